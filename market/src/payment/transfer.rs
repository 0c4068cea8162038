//! Payment in advance by a transfer on chain, proven by its transaction.
//!
//! The proof is the transaction's hash and the position of the transfer among the transaction's logs. The view of the
//! chain is an argument. A transfer is credited to its own sender, so an observer of the chain gains nothing by
//! presenting the hash first.

use super::{
    handshake::Offer,
    receiver::{Incoming, PaymentReceiver},
};
use alloy_primitives::{Address, B256};

pub(crate) const TRANSFER_IDENTITY: &str = "transfer/1";
const PROOF_LENGTH: usize = 40;

/// Terms of a receiver of transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferTerms {
    /// Id of the chain.
    pub chain_id: u64,
    /// Token (zero: the native coin).
    pub token: Address,
    /// Account of the receiver.
    pub payee: Address,
    /// Required number of blocks from the block of the transfer to the newest, both included; 1 means mined.
    pub confirmations: u64,
}

/// A transfer in a successful transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Hash of the transaction.
    pub transaction: B256,
    /// Position among the transaction's logs; 0 for the native coin.
    pub index: u64,
    /// Sender of the money.
    pub from: Address,
    /// Recipient of the money.
    pub to: Address,
    /// Token (zero: the native coin).
    pub token: Address,
    /// Amount, in token units.
    pub amount: u128,
    /// Number of the block.
    pub block: u64,
}

/// View of the chain for one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferView {
    /// Newest block.
    pub head: u64,
    /// The transfer of the proof, read at that head; `None` if absent or reverted.
    pub transfer: Option<Transfer>,
}

/// A reason for rejecting a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferRejection {
    /// The proof is not 40 bytes.
    #[error(
        "the proof has {found} bytes and needs {PROOF_LENGTH}; send a transaction's hash and a position"
    )]
    Length {
        /// Length of the proof.
        found: usize,
    },
    /// The transfer was credited before.
    #[error(
        "transfer {index} of transaction {transaction} was credited before; make another transfer"
    )]
    Replay {
        /// Hash of the transaction.
        transaction: B256,
        /// Position among its logs.
        index: u64,
    },
    /// The chain has no such transfer.
    #[error(
        "the chain has no transfer {index} in transaction {transaction}; wait until it is mined"
    )]
    Unknown {
        /// Hash of the transaction.
        transaction: B256,
        /// Position among its logs.
        index: u64,
    },
    /// The view is of another transfer: a defect of the host.
    #[error(
        "the view is of transfer {found:?}, and the proof of {expected:?}; query the transfer of the proof"
    )]
    WrongView {
        /// Transaction and position of the view.
        found: (B256, u64),
        /// Transaction and position of the proof.
        expected: (B256, u64),
    },
    /// The transfer has another recipient.
    #[error("the transfer went to {found} instead of {expected}; pay the right account")]
    WrongPayee {
        /// Recipient of the transfer.
        found: Address,
        /// Account of the receiver.
        expected: Address,
    },
    /// The transfer has another sender.
    #[error(
        "the transfer is from {found}, and the proof from {expected}; let the payer send the proof"
    )]
    WrongFrom {
        /// Sender of the transfer.
        found: Address,
        /// Sender of the proof.
        expected: Address,
    },
    /// The transfer is in another token.
    #[error("the transfer is in token {found} instead of {expected}; pay in the right token")]
    WrongToken {
        /// Token of the transfer.
        found: Address,
        /// Accepted token.
        expected: Address,
    },
    /// The amount is 0.
    #[error("the amount of the transfer is 0; transfer more")]
    ZeroAmount,
    /// The transfer is not confirmed yet.
    #[error("the transfer has {found} of {needed} confirmations; wait for more blocks")]
    NotConfirmed {
        /// Present confirmations.
        found: u64,
        /// Required confirmations.
        needed: u64,
    },
}

/// The provider's end of payment by transfers, without a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferReceiver {
    terms: TransferTerms,
}

impl TransferTerms {
    fn offer(&self) -> Offer {
        Offer {
            identity: TRANSFER_IDENTITY.into(),
            chain_id: self.chain_id,
            bank: None,
            token: self.token,
        }
    }
}

impl Transfer {
    /// Returns the proof for the payee.
    pub fn proof(&self) -> Vec<u8> {
        [self.transaction.as_slice(), &self.index.to_be_bytes()].concat()
    }
}

impl TransferReceiver {
    /// Accepts transfers on these terms.
    pub const fn new(terms: TransferTerms) -> Self {
        Self { terms }
    }

    /// Returns the transaction and the position in a proof, for querying a [`TransferView`].
    ///
    /// # Errors
    ///
    /// [`TransferRejection::Length`] for a proof of another length.
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
