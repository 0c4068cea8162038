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
    /// Required age of the transfer's block by the newest one, in seconds; 0 means mined.
    pub confirm_s: u64,
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
    /// Time of the block, in seconds since 1970.
    pub time_s: u64,
}

/// View of the chain for one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferView {
    /// Time of the newest block, in seconds since 1970.
    pub head_time_s: u64,
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
    #[error(
        "the transfer was mined {age_s} s before the newest block; wait until it is {needed_s} s"
    )]
    NotConfirmed {
        /// Present age, in seconds.
        age_s: u64,
        /// Required age, in seconds.
        needed_s: u64,
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
        proof(self.transaction, self.index)
    }
}

/// Returns the proof of a transfer for the payee.
pub(super) fn proof(transaction: B256, index: u64) -> Vec<u8> {
    [transaction.as_slice(), &index.to_be_bytes()].concat()
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
        let age_s = view.head_time_s.saturating_sub(transfer.time_s);
        let needed_s = self.terms.confirm_s;
        if age_s < needed_s {
            return Err(TransferRejection::NotConfirmed { age_s, needed_s });
        }
        Ok(Incoming {
            value: transfer.amount,
            credit_to: transfer.from,
            new_record: transfer.block.to_be_bytes().to_vec(),
        })
    }
}
