//! The backend on blst, in C and assembly.

use super::{point::PointError, scheme::DOMAIN};
use blst::{
    BLST_ERROR,
    min_sig::{PublicKey, SecretKey, Signature},
};

pub(super) type Key = PublicKey;
pub(super) type Secret = SecretKey;
pub(super) type Point = Signature;

pub(super) fn key(bytes: &[u8; 96]) -> Result<Key, PointError> {
    let key = PublicKey::uncompress(bytes).map_err(reason)?;
    key.validate().map_err(|_| PointError::OutsideSubgroup)?;
    Ok(key)
}

pub(super) fn point(bytes: &[u8; 48]) -> Result<Point, PointError> {
    let point = Signature::uncompress(bytes).map_err(reason)?;
    if !point.subgroup_check() {
        return Err(PointError::OutsideSubgroup);
    }
    Ok(point)
}

pub(super) fn verify(key: &Key, message: &[u8; 32], point: &Point) -> bool {
    // `false`: both points were checked when they were read.
    point.verify(false, message, DOMAIN, &[], key, false) == BLST_ERROR::BLST_SUCCESS
}

pub(super) fn uncompressed(point: &Point) -> [u8; 96] {
    point.serialize()
}

/// Writes c1 before c0.
pub(super) fn uncompressed_key(key: &Key) -> [u8; 192] {
    key.serialize()
}

pub(super) fn secret(bytes: &[u8; 32]) -> Option<Secret> {
    SecretKey::from_bytes(bytes).ok()
}

pub(super) fn public_key(secret: &Secret) -> [u8; 96] {
    secret.sk_to_pk().compress()
}

pub(super) fn sign(secret: &Secret, message: &[u8; 32]) -> [u8; 48] {
    secret.sign(message, DOMAIN, &[]).compress()
}

fn reason(error: BLST_ERROR) -> PointError {
    match error {
        // For x = 0, whose two points have order 3.
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => PointError::OutsideSubgroup,
        _ => PointError::OffCurve,
    }
}
