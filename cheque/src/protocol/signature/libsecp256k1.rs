//! The backend on libsecp256k1.

use secp256k1::{
    All, Message, PublicKey, Secp256k1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId, Signature},
};
use std::sync::LazyLock;

pub(super) type Secret = SecretKey;

/// The tables for signing and verifying, computed once. They hold no secret.
static CONTEXT: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

pub(super) fn secret(bytes: &[u8; 32]) -> Option<Secret> {
    SecretKey::from_byte_array(*bytes).ok()
}

pub(super) fn public_key(secret: &Secret) -> [u8; 64] {
    xy(&secret.public_key(&CONTEXT))
}

pub(super) fn sign(secret: &Secret, digest: &[u8; 32]) -> [u8; 65] {
    let signature = CONTEXT.sign_ecdsa_recoverable(Message::from_digest(*digest), secret);
    let (recovery, compact) = signature.serialize_compact();
    let mut bytes = [0; 65];
    bytes[..64].copy_from_slice(&compact);
    bytes[64] = match recovery {
        RecoveryId::Zero | RecoveryId::Two => 27,
        RecoveryId::One | RecoveryId::Three => 28,
    };
    bytes
}

pub(super) fn recover(digest: &[u8; 32], compact: &[u8], parity: u8) -> Option<[u8; 64]> {
    let recovery = if parity == 0 {
        RecoveryId::Zero
    } else {
        RecoveryId::One
    };
    let signature = RecoverableSignature::from_compact(compact, recovery).ok()?;
    let key = CONTEXT
        .recover_ecdsa(Message::from_digest(*digest), &signature)
        .ok()?;
    Some(xy(&key))
}

pub(super) fn verify(key: &[u8; 64], digest: &[u8; 32], compact: &[u8]) -> bool {
    // The uncompressed form needs no square root.
    let mut uncompressed = [4; 65];
    uncompressed[1..].copy_from_slice(key);
    let (Ok(key), Ok(signature)) = (
        PublicKey::from_byte_array_uncompressed(uncompressed),
        Signature::from_compact(compact),
    ) else {
        return false;
    };
    let message = Message::from_digest(*digest);
    CONTEXT.verify_ecdsa(message, &signature, &key).is_ok()
}

fn xy(key: &PublicKey) -> [u8; 64] {
    let mut xy = [0; 64];
    xy.copy_from_slice(&key.serialize_uncompressed()[1..]);
    xy
}
