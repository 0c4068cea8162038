//! keccak256, the only hash function of the protocol.

use alloy_primitives::B256;
use sha3::{Digest, Keccak256};

/// Computes keccak256 of the concatenated parts.
pub(crate) fn keccak<const N: usize>(parts: [&[u8]; N]) -> B256 {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    B256::from(<[u8; 32]>::from(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_like_alloys_keccak() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in [0, 1, 20, 32, 52, 96, 135, 136, 137, 255] {
            let (left, right) = bytes[..len].split_at(len / 2);
            assert_eq!(
                keccak([left, right]),
                alloy_primitives::keccak256(&bytes[..len])
            );
        }
    }
}
