//! The whole tree, as its payer holds it.

use crate::protocol::{
    allowance::{
        MasterSalt, inner_hash, leaf_hash,
        proof::{AllowanceProof, Sibling},
    },
    amount::Amount,
};
use alloy_primitives::{Address, B256};

/// The most payees of one tree, 2^20.
pub const MAX_PAYEES: usize = 1 << 20;

/// The allowances of a deposit, ready to prove any of them.
///
/// Leaves are ordered by their hash, so that an order tells nothing; an odd last node of a level is promoted to the
/// next. Takes 119 bytes a payee.
#[derive(Clone, Debug)]
pub struct AllowanceTree {
    master: MasterSalt,
    /// In the order of the leaves.
    payees: Vec<Address>,
    /// Indices into `payees`, ordered by address.
    by_address: Vec<Index>,
    /// The leaves, their parents, and so on to the root.
    levels: Vec<Vec<Node>>,
}

/// A leaf's number, below [`MAX_PAYEES`], in as few bytes as hold it.
#[derive(Clone, Copy, Debug)]
struct Index([u8; 3]);

impl Index {
    const fn new(leaf: usize) -> Self {
        let [a, b, c, ..] = leaf.to_le_bytes();
        Self([a, b, c])
    }

    const fn get(self) -> usize {
        let [a, b, c] = self.0;
        u32::from_le_bytes([a, b, c, 0]) as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    hash: B256,
    sum: [u8; 16],
}

impl Node {
    fn sum(&self) -> u128 {
        u128::from_be_bytes(self.sum)
    }
}

/// Why no tree can be built from a list of allowances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// There is no payee.
    #[error("the list of allowances is empty")]
    Empty,
    /// Too many for one tree.
    #[error("there are more than {MAX_PAYEES} payees; split them over several deposits")]
    TooManyPayees,
    /// A payee is listed twice.
    #[error("payee {0} is listed twice")]
    DuplicatePayee(Address),
    /// An allowance of zero could never be paid from.
    #[error("the allowance of payee {0} is zero")]
    ZeroAllowance(Address),
    /// The zero address is nobody's.
    #[error("the zero address cannot be a payee")]
    ZeroPayee,
    /// The sum does not fit an amount.
    #[error("the allowances add up to more than 2^128 - 1")]
    SumTooLarge,
}

impl AllowanceTree {
    /// Builds the tree of a list of allowances, in any order.
    pub fn build(
        allowances: impl IntoIterator<Item = (Address, Amount)>,
        master: &MasterSalt,
    ) -> Result<Self, TreeError> {
        let allowances = allowances.into_iter();
        // Whoever made the iterator may be wrong about its length.
        let expected = allowances.size_hint().0.min(MAX_PAYEES);
        let mut leaves = Vec::with_capacity(expected);
        let mut total = Amount::ZERO;
        for (payee, allowance) in allowances {
            if payee.is_zero() {
                return Err(TreeError::ZeroPayee);
            }
            if allowance.is_zero() {
                return Err(TreeError::ZeroAllowance(payee));
            }
            if leaves.len() == MAX_PAYEES {
                return Err(TreeError::TooManyPayees);
            }
            total = total.checked_add(allowance).ok_or(TreeError::SumTooLarge)?;
            let node = Node {
                hash: leaf_hash(payee, allowance, master.leaf_salt(payee)),
                sum: allowance.get().to_be_bytes(),
            };
            leaves.push((node, payee));
        }
        if leaves.is_empty() {
            return Err(TreeError::Empty);
        }
        leaves.sort_unstable_by_key(|(node, _)| node.hash);
        let payees: Vec<Address> = leaves.iter().map(|(_, payee)| *payee).collect();
        let mut by_address: Vec<Index> = (0..payees.len()).map(Index::new).collect();
        by_address.sort_unstable_by_key(|leaf| payees[leaf.get()]);
        for pair in by_address.windows(2) {
            let payee = payees[pair[0].get()];
            if payee == payees[pair[1].get()] {
                return Err(TreeError::DuplicatePayee(payee));
            }
        }
        // From a borrow: what an owned vector is turned into in place keeps that vector's size.
        let nodes = leaves.iter().map(|(node, _)| *node).collect();
        drop(leaves);
        let levels = levels(nodes);
        Ok(Self {
            master: master.clone(),
            payees,
            by_address,
            levels,
        })
    }

    /// The root's hash, which goes into the deposit's terms.
    pub fn root(&self) -> B256 {
        self.top().hash
    }

    /// The sum of all allowances, which is the deposit's amount.
    pub fn total(&self) -> Amount {
        Amount::new(self.top().sum())
    }

    /// The number of payees.
    #[expect(clippy::len_without_is_empty, reason = "a tree is never empty")]
    pub fn len(&self) -> usize {
        self.payees.len()
    }

    /// The number of levels above the deepest leaf.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// The allowance of a payee, or `None` where it has none.
    pub fn allowance(&self, payee: Address) -> Option<Amount> {
        self.leaf(payee).map(|leaf| self.allowance_at(leaf))
    }

    /// The proof of a payee's allowance, or `None` where it has none.
    pub fn proof(&self, payee: Address) -> Option<AllowanceProof> {
        self.leaf(payee).map(|leaf| self.proof_at(leaf))
    }

    /// All payees with their allowances, in the order of the leaves.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Address, Amount)> {
        (0..self.len()).map(|leaf| (self.payees[leaf], self.allowance_at(leaf)))
    }

    /// All payees with their proofs, in the order of the leaves.
    pub fn proofs(&self) -> impl ExactSizeIterator<Item = (Address, AllowanceProof)> {
        (0..self.len()).map(|leaf| (self.payees[leaf], self.proof_at(leaf)))
    }

    /// The payee whose allowance holds `roll`, or `None` where `roll` is not below the total. Whether it has won
    /// depends on what it was paid: see [`payout`](crate::payout).
    pub fn payee_at(&self, roll: Amount) -> Option<Address> {
        let mut rest = roll.get();
        if rest >= self.total().get() {
            return None;
        }
        let mut index = 0;
        for level in self.levels[..self.depth()].iter().rev() {
            index *= 2;
            // A promoted node is its parent's only child, the left one.
            let left = level[index].sum();
            if rest >= left {
                rest -= left;
                index += 1;
            }
        }
        Some(self.payees[index])
    }

    fn top(&self) -> &Node {
        &self.levels[self.depth()][0]
    }

    fn leaf(&self, payee: Address) -> Option<usize> {
        self.by_address
            .binary_search_by_key(&payee, |leaf| self.payees[leaf.get()])
            .ok()
            .map(|at| self.by_address[at].get())
    }

    fn allowance_at(&self, leaf: usize) -> Amount {
        Amount::new(self.levels[0][leaf].sum())
    }

    fn proof_at(&self, leaf: usize) -> AllowanceProof {
        let mut index = leaf;
        let mut path = 0;
        let mut siblings = Vec::with_capacity(self.depth());
        for level in &self.levels[..self.depth()] {
            // No sibling: the node is promoted, and its level does not count.
            if let Some(sibling) = level.get(index ^ 1) {
                path |= ((index & 1) as u64) << siblings.len();
                siblings.push(Sibling {
                    hash: sibling.hash,
                    sum: Amount::new(sibling.sum()),
                });
            }
            index /= 2;
        }
        AllowanceProof {
            allowance: self.allowance_at(leaf),
            salt: self.master.leaf_salt(self.payees[leaf]),
            path,
            siblings,
        }
    }
}

fn levels(leaves: Vec<Node>) -> Vec<Vec<Node>> {
    let mut levels = vec![leaves];
    while let Some(below) = levels.last().filter(|level| level.len() > 1) {
        let parents = below.chunks(2).map(parent).collect();
        levels.push(parents);
    }
    levels
}

fn parent(children: &[Node]) -> Node {
    match children {
        [left, right] => Node {
            hash: inner_hash(left.hash, left.sum(), right.hash, right.sum()),
            // Below the total, which was checked.
            sum: (left.sum() + right.sum()).to_be_bytes(),
        },
        promoted => promoted[0],
    }
}
