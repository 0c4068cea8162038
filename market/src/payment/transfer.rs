//! Payment in advance by a transfer on chain, proven by its transaction.
//!
//! The proof is the transaction's hash and the position of the transfer among the transaction's logs. What the chain says
//! about it is an argument. A transfer is credited to the account that it came from, so it is of no use to whoever sees it
//! on chain and sends its hash first.

use super::{Incoming, Offer, PaymentReceiver};
use alloy_primitives::{Address, B256};

pub(super) const IDENTITY: &str = "transfer/1";
const PROOF_LENGTH: usize = 40;

/// What a receiver is paid with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferTerms {
    /// The chain.
    pub chain_id: u64,
    /// The token (zero: the native coin).
    pub token: Address,
    /// The receiver's account.
    pub payee: Address,
    /// How many blocks must hold the transfer or follow it: 1 is mined.
    pub confirmations: u64,
}

/// A transfer as the chain has it, in a transaction that did not revert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The transaction.
    pub transaction: B256,
    /// Which of its logs it is; 0 for the native coin.
    pub index: u64,
    /// Whose money it was.
    pub from: Address,
    /// Who got it.
    pub to: Address,
    /// The token (zero: the native coin).
    pub token: Address,
    /// How much, in token units.
    pub amount: u128,
    /// The block.
    pub block: u64,
}

/// What the chain says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferView {
    /// The newest block.
    pub head: u64,
    /// The transfer that the proof names, read at that head; `None` if there is none or the transaction reverted.
    pub transfer: Option<Transfer>,
}

/// Why a transfer does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferRejection {
    /// The proof is not 40 bytes.
    #[error(
        "the proof has {found} bytes, and a transaction's hash and position have {PROOF_LENGTH}"
    )]
    Length {
        /// How many.
        found: usize,
    },
    /// It was credited before.
    #[error("transfer {index} of transaction {transaction} was credited before: make another")]
    Replay {
        /// The transaction.
        transaction: B256,
        /// Which of its logs.
        index: u64,
    },
    /// The chain does not have it.
    #[error(
        "the chain has no transfer {index} in transaction {transaction}: wait until it is mined"
    )]
    Unknown {
        /// The transaction.
        transaction: B256,
        /// Which of its logs.
        index: u64,
    },
    /// The view is of another transfer: a mistake of the host.
    #[error(
        "the view is of transfer {found:?}, and the proof of {expected:?}: look up the proof's"
    )]
    WrongView {
        /// The view's transaction and position.
        found: (B256, u64),
        /// The proof's.
        expected: (B256, u64),
    },
    /// It went to somebody else.
    #[error("the transfer went to {found}, and payments go to {expected}")]
    WrongPayee {
        /// Who got it.
        found: Address,
        /// The receiver.
        expected: Address,
    },
    /// It is from somebody else.
    #[error("the transfer is from {found}, and {expected} wants it credited")]
    WrongFrom {
        /// Whose money it was.
        found: Address,
        /// Who sent the proof.
        expected: Address,
    },
    /// It is of another token.
    #[error("the transfer is of token {found}, and payments are in {expected}")]
    WrongToken {
        /// Of the transfer.
        found: Address,
        /// The accepted one.
        expected: Address,
    },
    /// Nothing was transferred.
    #[error("the transfer is of nothing: transfer more than 0")]
    ZeroAmount,
    /// It is not deep enough in the chain.
    #[error("the transfer has {found} confirmations, and it takes {needed}: wait")]
    NotConfirmed {
        /// So many.
        found: u64,
        /// How many it takes.
        needed: u64,
    },
}

/// The provider's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferReceiver {
    terms: TransferTerms,
}

impl TransferTerms {
    fn offer(&self) -> Offer {
        Offer {
            identity: IDENTITY.into(),
            chain_id: self.chain_id,
            bank: None,
            token: self.token,
        }
    }
}

impl Transfer {
    /// The proof to hand to the payee.
    pub fn proof(&self) -> Vec<u8> {
        [self.transaction.as_slice(), &self.index.to_be_bytes()].concat()
    }
}

impl TransferReceiver {
    /// Accepts transfers on these terms.
    pub const fn new(terms: TransferTerms) -> Self {
        Self { terms }
    }

    /// The transaction and the position that a proof names: what to look up for the [`TransferView`].
    ///
    /// # Errors
    ///
    /// [`TransferRejection::Length`]
    pub fn named(proof: &[u8]) -> Result<(B256, u64), TransferRejection> {
        let length = TransferRejection::Length { found: proof.len() };
        let (hash, index) = proof.split_first_chunk::<32>().ok_or(length)?;
        let index = index.try_into().map_err(|_| length)?;
        Ok((B256::from(*hash), u64::from_be_bytes(index)))
    }
}

impl PaymentReceiver for TransferReceiver {
    type View = TransferView;
    type Error = TransferRejection;

    fn offer(&self) -> Offer {
        self.terms.offer()
    }

    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, TransferRejection> {
        Self::named(proof)?;
        Ok(proof.to_vec())
    }

    fn receive_payment(
        &self,
        from: Address,
        proof: &[u8],
        old_record: Option<&[u8]>,
        view: &TransferView,
    ) -> Result<Incoming, TransferRejection> {
        let (transaction, index) = Self::named(proof)?;
        if old_record.is_some() {
            return Err(TransferRejection::Replay { transaction, index });
        }
        let unknown = TransferRejection::Unknown { transaction, index };
        let transfer = view.transfer.ok_or(unknown)?;
        let (found, expected) = ((transfer.transaction, transfer.index), (transaction, index));
        if found != expected {
            return Err(TransferRejection::WrongView { found, expected });
        }
        let (found, expected) = (transfer.to, self.terms.payee);
        if found != expected {
            return Err(TransferRejection::WrongPayee { found, expected });
        }
        let (found, expected) = (transfer.token, self.terms.token);
        if found != expected {
            return Err(TransferRejection::WrongToken { found, expected });
        }
        let (found, expected) = (transfer.from, from);
        if found != expected {
            return Err(TransferRejection::WrongFrom { found, expected });
        }
        if transfer.amount == 0 {
            return Err(TransferRejection::ZeroAmount);
        }
        let blocks = view.head.checked_sub(transfer.block);
        let found = blocks.map_or(0, |blocks| blocks.saturating_add(1));
        let needed = self.terms.confirmations;
        if found < needed.max(1) {
            return Err(TransferRejection::NotConfirmed { found, needed });
        }
        Ok(Incoming {
            value: transfer.amount,
            credit_to: transfer.from,
            new_record: transfer.block.to_be_bytes().to_vec(),
        })
    }
}
