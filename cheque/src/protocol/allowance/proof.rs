//! The proof of an allowance: a payee's leaf and its path to the root.

use crate::protocol::{
    allowance::{inner_hash, leaf_hash},
    amount::Amount,
};
use alloy_primitives::{Address, B128, B256, U256};
use cheque_bindings::Deposit;

/// The contract's bound on the depth of a leaf, in levels.
pub const MAX_DEPTH: usize = 40;

/// A node beside the path from a leaf to the root. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// The node's hash.
    pub hash: B256,
    /// The sum of all allowances under the node, in token units.
    pub sum: Amount,
}

/// The proof of a payee's allowance: the leaf, and the siblings from the leaf up.
///
/// Untrusted until [`AllowanceProof::start`] has accepted it. Plain data, exhaustive by design: the fields are the
/// contract's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceProof {
    /// The payee's share of the deposit, in token units.
    pub allowance: Amount,
    /// The leaf's salt.
    pub salt: B128,
    /// The path: bit i is 1 if the own node is the right child at level i, counted from the leaf.
    pub path: u64,
    /// The siblings from the leaf up.
    pub siblings: Vec<Sibling>,
}

/// The reason why a proof does not fit a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The leaf is deeper than the contract accepts.
    #[error("the leaf is {0} levels deep, more than {MAX_DEPTH}")]
    TooDeep(usize),
    /// The packed siblings do not have 48 bytes each.
    #[error("{0} bytes of siblings are not a whole number of levels of 48 bytes")]
    Ragged(usize),
    /// The path has bits for levels that do not exist.
    #[error("the path {path:#b} has bits beyond its {depth} levels")]
    StrayPathBits {
        /// The path.
        path: u64,
        /// The number of levels.
        depth: usize,
    },
    /// The sums do not add up to the deposit's amount.
    #[error("the allowances add up to {total}, the deposit is {amount}")]
    WrongTotal {
        /// The exact sum of all allowances, in token units.
        total: U256,
        /// The deposit's amount, in token units.
        amount: Amount,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to root {found}, the deposit's is {expected}")]
    WrongRoot {
        /// The root that the proof leads to.
        found: B256,
        /// The deposit's root.
        expected: B256,
    },
}

/// The end of a proof: the root that it leads to, the exact sum there, and the sum of all that is left of the leaf.
pub(crate) struct Walked {
    pub(crate) root: B256,
    pub(crate) total: U256,
    pub(crate) start: U256,
}

impl AllowanceProof {
    /// Reads siblings in the form of [`Redemption`](crate::Redemption): 48 bytes a level from the leaf up, hash (32) ‖ sum (16).
    ///
    /// # Errors
    ///
    /// [`ProofError::Ragged`] if the length is not a multiple of 48.
    pub fn unpack_siblings(packed: &[u8]) -> Result<Vec<Sibling>, ProofError> {
        let (levels, rest) = packed.as_chunks::<48>();
        if !rest.is_empty() {
            return Err(ProofError::Ragged(packed.len()));
        }
        Ok(levels
            .iter()
            .map(|level| {
                let mut sum = [0; 16];
                sum.copy_from_slice(&level[32..]);
                Sibling {
                    hash: B256::from_slice(&level[..32]),
                    sum: Amount::new(u128::from_be_bytes(sum)),
                }
            })
            .collect())
    }

    /// Verifies that `deposit` grants `payee` this allowance, and returns the start of its range, in token units: the
    /// sum of all allowances to its left (SPEC section 5).
    ///
    /// Accepts what the contract accepts. Does not check that the deposit is open.
    ///
    /// # Errors
    ///
    /// [`ProofError`] names the first condition that fails.
    pub fn start(&self, payee: Address, deposit: &Deposit) -> Result<Amount, ProofError> {
        let walked = self.walk(payee)?;
        if walked.total != U256::from(deposit.amount) {
            return Err(ProofError::WrongTotal {
                total: walked.total,
                amount: Amount::new(deposit.amount),
            });
        }
        if walked.root != deposit.root {
            return Err(ProofError::WrongRoot {
                found: walked.root,
                expected: deposit.root,
            });
        }
        // start <= total = amount < 2^128
        Ok(Amount::new(walked.start.to()))
    }

    /// Walks from the payee's leaf to the root.
    pub(crate) fn walk(&self, payee: Address) -> Result<Walked, ProofError> {
        let depth = self.siblings.len();
        if depth > MAX_DEPTH {
            return Err(ProofError::TooDeep(depth));
        }
        if self.path >> depth != 0 {
            return Err(ProofError::StrayPathBits {
                path: self.path,
                depth,
            });
        }
        let mut root = leaf_hash(payee, self.allowance, self.salt);
        let mut total = self.allowance.to_u256();
        let mut start = U256::ZERO;
        for (level, sibling) in self.siblings.iter().enumerate() {
            // Hashes a sum above 2^128 - 1 truncated, as the contract does; such a total is no deposit's amount.
            let own = total.as_limbs();
            let own = u128::from(own[0]) | (u128::from(own[1]) << 64);
            let other = sibling.sum.get();
            root = if self.path >> level & 1 == 1 {
                start += U256::from(other);
                inner_hash(sibling.hash, other, root, own)
            } else {
                inner_hash(root, own, sibling.hash, other)
            };
            total += U256::from(other);
        }
        Ok(Walked { root, total, start })
    }

    /// Packs the siblings into the form of [`Redemption`](crate::Redemption): 48 bytes a level from the leaf up, hash (32) ‖ sum (16).
    pub fn packed_siblings(&self) -> Vec<u8> {
        let mut packed = Vec::with_capacity(48 * self.siblings.len());
        for sibling in &self.siblings {
            packed.extend_from_slice(sibling.hash.as_slice());
            packed.extend_from_slice(&sibling.sum.get().to_be_bytes());
        }
        packed
    }
}
