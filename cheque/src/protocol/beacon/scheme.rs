//! The scheme `bls-unchained-g1-rfc9380`: its domain, and the message of a round.

use sha2::{Digest, Sha256};

/// The domain of hashing to G1.
pub(super) const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// Computes the message that the beacon signs for a round.
pub(super) fn message(round: u64) -> [u8; 32] {
    Sha256::digest(round.to_be_bytes()).into()
}
