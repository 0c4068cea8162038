//! The backend on bls12_381, in pure Rust. Portable, and the oracle of the other backend's tests.

use super::{point::PointError, scheme::DOMAIN};
use bls12_381::{
    G1Affine, G1Projective, G2Affine, G2Prepared, Gt, Scalar,
    hash_to_curve::{ExpandMsgXmd, HashToCurve},
    multi_miller_loop,
};
use sha2::Sha256;
use std::fmt;

/// A public key, and the same prepared for pairings.
#[derive(Clone)]
pub(super) struct Key {
    point: G2Affine,
    prepared: G2Prepared,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

pub(super) type Secret = Scalar;
pub(super) type Point = G1Affine;

pub(super) fn key(bytes: &[u8; 96]) -> Result<Key, PointError> {
    let point = G2Affine::from_compressed_unchecked(bytes).into_option();
    let point = point.ok_or(PointError::OffCurve)?;
    if !bool::from(point.is_torsion_free()) {
        return Err(PointError::OutsideSubgroup);
    }
    Ok(Key {
        point,
        prepared: point.into(),
    })
}

pub(super) fn point(bytes: &[u8; 48]) -> Result<Point, PointError> {
    let point = G1Affine::from_compressed_unchecked(bytes).into_option();
    let point = point.ok_or(PointError::OffCurve)?;
    if !bool::from(point.is_torsion_free()) {
        return Err(PointError::OutsideSubgroup);
    }
    Ok(point)
}

pub(super) fn verify(key: &Key, message: &[u8; 32], point: &Point) -> bool {
    // e(signature, -G2) * e(H(m), key) = 1
    let generator = G2Prepared::from(-G2Affine::generator());
    let hashed = G1Affine::from(hash(message));
    let terms = [(point, &generator), (&hashed, &key.prepared)];
    multi_miller_loop(&terms).final_exponentiation() == Gt::identity()
}

pub(super) fn uncompressed(point: &Point) -> [u8; 96] {
    point.to_uncompressed()
}

/// Writes c1 before c0.
pub(super) fn uncompressed_key(key: &Key) -> [u8; 192] {
    key.point.to_uncompressed()
}

pub(super) fn secret(bytes: &[u8; 32]) -> Option<Secret> {
    let mut little_endian = *bytes;
    little_endian.reverse();
    let secret = Scalar::from_bytes(&little_endian).into_option();
    secret.filter(|secret| *secret != Scalar::zero())
}

pub(super) fn public_key(secret: &Secret) -> [u8; 96] {
    G2Affine::from(G2Affine::generator() * secret).to_compressed()
}

pub(super) fn sign(secret: &Secret, message: &[u8; 32]) -> [u8; 48] {
    G1Affine::from(hash(message) * secret).to_compressed()
}

fn hash(message: &[u8; 32]) -> G1Projective {
    <G1Projective as HashToCurve<ExpandMsgXmd<Sha256>>>::hash_to_curve([message], DOMAIN)
}
