//! The allowance tree: a Merkle-sum tree over (payee, allowance), whose root a deposit commits to (SPEC section 5).
//!
//! ```text
//! leaf  = keccak256(payee (20) ‖ allowance (16) ‖ salt (16))
//! inner = keccak256(left hash (32) ‖ left sum (16) ‖ right hash (32) ‖ right sum (16))
//! ```
//!
//! Every inner node commits to the sums of both children, so the ranges of two payees never overlap: a range starts at
//! the sum of all leaves to its left, and is as wide as its allowance.

pub(crate) mod proof;
pub(crate) mod tree;

use crate::protocol::{amount::Amount, hash::keccak};
use alloy_primitives::{Address, B128, B256};
use std::fmt;

/// The secret behind the salts of all leaves of a deposit: 32 bytes from a cryptographic random number generator, fresh
/// for every deposit. Does not check its randomness.
///
/// Keeps a payee from guessing the other payees by trial hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterSalt([u8; 32]);

impl MasterSalt {
    /// Wraps bytes, which must come from a cryptographic random number generator.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, which are as secret as the list of payees.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Computes the salt of a payee's leaf: the first 16 bytes of keccak256(master ‖ payee).
    pub fn leaf_salt(&self, payee: Address) -> B128 {
        B128::from_slice(&keccak([&self.0, payee.as_slice()])[..16])
    }
}

impl fmt::Debug for MasterSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSalt(..)")
    }
}

fn leaf_hash(payee: Address, allowance: Amount, salt: B128) -> B256 {
    keccak([
        payee.as_slice(),
        &allowance.get().to_be_bytes(),
        salt.as_slice(),
    ])
}

/// Computes the hash of an inner node. Takes sums as integers, because a walk also hashes sums above the tree's limit.
fn inner_hash(left: B256, left_sum: u128, right: B256, right_sum: u128) -> B256 {
    keccak([
        left.as_slice(),
        &left_sum.to_be_bytes(),
        right.as_slice(),
        &right_sum.to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests;
