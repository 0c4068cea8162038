//! The record of a reservation: the money of a request in progress.

use crate::ledger::{
    account::{AccountKey, Currency},
    payment::{IdempotencyKey, PaymentId},
    records::codec::{Record, RecordError},
};
use alloy_primitives::{Address, B128, B256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cheque::Amount;

/// A reservation, under the first of its ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct ReservationRecord {
    pub(in crate::ledger) account: AccountKey,
    /// All ids of the request, in ascending order. The record's key has the first.
    pub(in crate::ledger) ids: Vec<PaymentId>,
    pub(in crate::ledger) amount: Amount,
    /// The worker that serves the request.
    pub(in crate::ledger) worker: B128,
    /// The number of the attempt of the first id.
    pub(in crate::ledger) attempt: u64,
    /// The second from which anybody may release the reservation.
    pub(in crate::ledger) lease_until: u64,
    /// The client's name for the request.
    pub(in crate::ledger) key: Option<IdempotencyKey>,
}

#[derive(RlpEncodable, RlpDecodable)]
pub(in crate::ledger) struct Fields {
    signer: Address,
    chain_id: u64,
    token: Address,
    ids: Vec<PaymentId>,
    amount: u128,
    worker: B128,
    attempt: u64,
    lease_until: u64,
    /// One key, or none.
    key: Vec<B256>,
}

impl Record for ReservationRecord {
    type Fields = Fields;

    fn to_fields(&self) -> Fields {
        Fields {
            signer: self.account.signer,
            chain_id: self.account.currency.chain_id,
            token: self.account.currency.token,
            ids: self.ids.clone(),
            amount: self.amount.get(),
            worker: self.worker,
            attempt: self.attempt,
            lease_until: self.lease_until,
            key: self.key.into_iter().map(|key| key.0).collect(),
        }
    }

    fn from_fields(fields: Fields) -> Result<Self, RecordError> {
        Ok(Self {
            account: AccountKey {
                signer: fields.signer,
                currency: Currency {
                    chain_id: fields.chain_id,
                    token: fields.token,
                },
            },
            ids: fields.ids,
            amount: Amount::new(fields.amount),
            worker: fields.worker,
            attempt: fields.attempt,
            lease_until: fields.lease_until,
            key: fields.key.first().copied().map(IdempotencyKey),
        })
    }
}
