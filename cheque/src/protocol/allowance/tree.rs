//! The whole tree, at its payer.

use crate::protocol::{
    allowance::{
        MasterSalt, inner_hash, leaf_hash,
        proof::{AllowanceProof, Sibling},
    },
    amount::Amount,
};
use alloy_primitives::{Address, B256};

/// The bound on the payees of a tree, 2^20.
pub const MAX_PAYEES: usize = 1 << 20;

/// The allowances of a deposit, with the hashes to prove each of them. Takes 119 bytes a payee.
///
/// Leaves are sorted by hash, so their order reveals nothing. An odd last node of a level moves up to the next.
///
/// ```
/// use cheque::{Address, AllowanceTree, Amount, DepositBuilder, MasterSalt};
///
/// let (alice, bob) = (Address::repeat_byte(0xa1), Address::repeat_byte(0xb0));
/// let allowances = [(alice, Amount::new(3_000_000)), (bob, Amount::new(1_000_000))];
/// let salt = MasterSalt::from_bytes([9; 32]); // from a random number generator
/// let tree = AllowanceTree::build(allowances, &salt)?;
/// assert_eq!(tree.total(), Amount::new(4_000_000));
///
/// // A deposit commits to the tree; each payee gets a proof of its own allowance, and learns nothing about the others.
/// let (payer, signer) = (Address::repeat_byte(1), Address::repeat_byte(2));
/// let deposit = DepositBuilder::new(payer, signer).draw_time(1_800_000_000).build(&tree)?;
/// let proof = tree.proof(bob).ok_or("bob has an allowance")?;
/// assert_eq!(proof.allowance, Amount::new(1_000_000));
///
/// // The ranges of both payees cover the deposit without an overlap.
/// let start = proof.start(bob, &deposit)?;
/// assert_eq!(tree.payee_at(start), Some(bob));
/// assert!(proof.start(alice, &deposit).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AllowanceTree {
    master: MasterSalt,
    /// The payees in the order of the leaves.
    payees: Vec<Address>,
    /// Indices into `payees`, sorted by address.
    by_address: Vec<Index>,
    /// The nodes of each level, from the leaves to the root.
    levels: Vec<Vec<Node>>,
}

/// The number of a leaf, below [`MAX_PAYEES`], in the smallest number of bytes.
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

/// The reason why a list of allowances has no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The list has no payee.
    #[error("the list of allowances is empty")]
    Empty,
    /// The list has too many payees.
    #[error("the list has more than {MAX_PAYEES} payees; split it over several deposits")]
    TooManyPayees,
    /// The list names a payee twice.
    #[error("payee {0} is listed twice; merge its allowances")]
    DuplicatePayee(Address),
    /// An allowance is zero.
    #[error("the allowance of payee {0} is zero")]
    ZeroAllowance(Address),
    /// A payee is the zero address.
    #[error("the zero address cannot be a payee")]
    ZeroPayee,
    /// A payee is the bank, which could never withdraw its payout.
    #[error("the bank {0} cannot be a payee")]
    BankIsPayee(Address),
    /// The sum exceeds an amount.
    #[error("the allowances add up to more than 2^128 - 1")]
    SumTooLarge,
}

impl AllowanceTree {
    /// Builds the tree of a list of allowances, in token units and any order. The order does not change the tree.
    ///
    /// # Errors
    ///
    /// [`TreeError`] names a fault of the list.
    pub fn build(
        allowances: impl IntoIterator<Item = (Address, Amount)>,
        master: &MasterSalt,
    ) -> Result<Self, TreeError> {
        let allowances = allowances.into_iter();
        // A foreign iterator may report a wrong length.
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
        // Collects from a borrow: an in-place collection would keep the larger allocation of the owned vector.
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

    /// Returns the root's hash, a term of the deposit.
    pub fn root(&self) -> B256 {
        self.top().hash
    }

    /// Returns the sum of all allowances, in token units: the deposit's amount.
    pub fn total(&self) -> Amount {
        Amount::new(self.top().sum())
    }

    /// Returns the number of payees.
    #[expect(clippy::len_without_is_empty, reason = "a tree is never empty")]
    pub fn len(&self) -> usize {
        self.payees.len()
    }

    /// Returns the number of levels above the deepest leaf.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// Returns the allowance of a payee, in token units; `None` for others.
    pub fn allowance(&self, payee: Address) -> Option<Amount> {
        self.leaf(payee).map(|leaf| self.allowance_at(leaf))
    }

    /// Returns the proof of a payee's allowance; `None` for others.
    pub fn proof(&self, payee: Address) -> Option<AllowanceProof> {
        self.leaf(payee).map(|leaf| self.proof_at(leaf))
    }

    /// Iterates over all payees with their allowances, in the order of the leaves.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Address, Amount)> {
        (0..self.len()).map(|leaf| (self.payees[leaf], self.allowance_at(leaf)))
    }

    /// Iterates over all payees with their proofs, in the order of the leaves.
    pub fn proofs(&self) -> impl ExactSizeIterator<Item = (Address, AllowanceProof)> {
        (0..self.len()).map(|leaf| (self.payees[leaf], self.proof_at(leaf)))
    }

    /// Checks that no leaf is for the bank that holds the deposit. A payout to the bank's own balance would be lost.
    ///
    /// # Errors
    ///
    /// [`TreeError::BankIsPayee`] if there is such a leaf.
    pub fn check_bank(&self, bank: Address) -> Result<(), TreeError> {
        match self.leaf(bank) {
            Some(_) => Err(TreeError::BankIsPayee(bank)),
            None => Ok(()),
        }
    }

    /// Returns the payee whose allowance holds `roll`; `None` if `roll` is not below the total.
    ///
    /// Does not tell whether the payee has won, because the winning range depends on the total paid: see
    /// [`payout`](crate::payout).
    pub fn payee_at(&self, roll: Amount) -> Option<Address> {
        let mut rest = roll.get();
        if rest >= self.total().get() {
            return None;
        }
        let mut index = 0;
        for level in self.levels[..self.depth()].iter().rev() {
            index *= 2;
            // A node that moved up is the only child of its parent, on the left.
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
            // A node without a sibling moves up, and its level does not count.
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
            // No overflow: the total was checked.
            sum: (left.sum() + right.sum()).to_be_bytes(),
        },
        promoted => promoted[0],
    }
}
