//! The backend on k256, in pure Rust. Portable, and the oracle of the other backend's tests.

use k256::{
    EncodedPoint,
    ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashVerifier},
};

pub(super) type Secret = SigningKey;

pub(super) fn secret(bytes: &[u8; 32]) -> Option<Secret> {
    SigningKey::from_slice(bytes).ok()
}

pub(super) fn public_key(secret: &Secret) -> [u8; 64] {
    xy(secret.verifying_key())
}

pub(super) fn sign(secret: &Secret, digest: &[u8; 32]) -> [u8; 65] {
    let mut bytes = [0; 65];
    let (signature, recovery) = secret
        .sign_prehash_recoverable(digest)
        .expect("every 32-byte digest has a signature with an RFC 6979 nonce");
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes[64] = 27 + u8::from(recovery.is_y_odd());
    bytes
}

pub(super) fn recover(digest: &[u8; 32], compact: &[u8], parity: u8) -> Option<[u8; 64]> {
    let signature = Signature::from_slice(compact).ok()?;
    let recovery = RecoveryId::new(parity == 1, false);
    let key = VerifyingKey::recover_from_prehash(digest, &signature, recovery).ok()?;
    Some(xy(&key))
}

pub(super) fn verify(key: &[u8; 64], digest: &[u8; 32], compact: &[u8]) -> bool {
    // The uncompressed form needs no square root.
    let point = EncodedPoint::from_untagged_bytes(key.into());
    let (Ok(key), Ok(signature)) = (
        VerifyingKey::from_encoded_point(&point),
        Signature::from_slice(compact),
    ) else {
        return false;
    };
    key.verify_prehash(digest, &signature).is_ok()
}

fn xy(key: &VerifyingKey) -> [u8; 64] {
    let mut xy = [0; 64];
    xy.copy_from_slice(&key.to_encoded_point(false).as_bytes()[1..]);
    xy
}
