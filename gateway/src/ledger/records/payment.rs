//! The record of a payment id: the request that it is bound to, and whether it is used.

use crate::ledger::{
    payment::{ChequeHash, Fingerprint, PaymentId},
    records::codec::{Record, RecordError},
};
use alloy_primitives::B256;
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque::Amount;

const UNUSED: u8 = 0;
const RESERVED: u8 = 1;
const CHARGED: u8 = 2;
const BURNT: u8 = 3;

/// A payment id that a request has shown, with a signature that was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct PaymentRecord {
    pub(in crate::ledger) fingerprint: Fingerprint,
    pub(in crate::ledger) cheque: ChequeHash,
    /// The face that the cheque added to its account when it was first judged.
    pub(in crate::ledger) added: Amount,
    /// The number of reservations so far. Tells a reservation from an older one of the same id.
    pub(in crate::ledger) attempts: u64,
    pub(in crate::ledger) state: PaymentState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum PaymentState {
    /// Buys the request of the fingerprint, and no other.
    Unused,
    /// Pays for a request in progress, together with the other ids of the reservation.
    Reserved { holder: PaymentId },
    /// Has bought an answer, together with the other ids of the holder's reservation.
    Charged {
        holder: PaymentId,
        charged: Amount,
        /// The second until which the answer is stored; zero if it is not.
        answer_until: u64,
    },
    /// Buys nothing, because others may know the cheque.
    Burnt,
}

impl PaymentState {
    pub(in crate::ledger) const fn is_used(&self) -> bool {
        !matches!(self, Self::Unused)
    }
}

#[derive(RlpEncodable, RlpDecodable)]
pub(in crate::ledger) struct Fields {
    fingerprint: B256,
    cheque: B256,
    added: u128,
    attempts: u64,
    state: u8,
    /// One id, or none where the state has none.
    holder: Vec<PaymentId>,
    charged: u128,
    answer_until: u64,
}

impl Record for PaymentRecord {
    type Fields = Fields;

    fn to_fields(&self) -> Fields {
        let (state, holder, charged, answer_until) = match self.state {
            PaymentState::Unused => (UNUSED, None, Amount::ZERO, 0),
            PaymentState::Reserved { holder } => (RESERVED, Some(holder), Amount::ZERO, 0),
            PaymentState::Charged {
                holder,
                charged,
                answer_until,
            } => (CHARGED, Some(holder), charged, answer_until),
            PaymentState::Burnt => (BURNT, None, Amount::ZERO, 0),
        };
        Fields {
            fingerprint: self.fingerprint.0,
            cheque: self.cheque.0,
            added: self.added.get(),
            attempts: self.attempts,
            state,
            holder: holder.into_iter().collect(),
            charged: charged.get(),
            answer_until,
        }
    }

    fn from_fields(fields: Fields) -> Result<Self, RecordError> {
        let holder = || fields.holder.first().copied().ok_or(RecordError::Missing);
        let state = match fields.state {
            UNUSED => PaymentState::Unused,
            RESERVED => PaymentState::Reserved { holder: holder()? },
            CHARGED => PaymentState::Charged {
                holder: holder()?,
                charged: Amount::new(fields.charged),
                answer_until: fields.answer_until,
            },
            BURNT => PaymentState::Burnt,
            unknown => return Err(RecordError::State(unknown)),
        };
        Ok(Self {
            fingerprint: Fingerprint(fields.fingerprint),
            cheque: ChequeHash(fields.cheque),
            added: Amount::new(fields.added),
            attempts: fields.attempts,
            state,
        })
    }
}
