//! The record of an idempotency key: the request that it names.

use crate::ledger::{
    payment::{Fingerprint, PaymentId},
    records::codec::{Record, RecordError},
};
use alloy_primitives::B256;
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// A request that was reserved under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct KeyRecord {
    pub(in crate::ledger) fingerprint: Fingerprint,
    /// The id under which the request was reserved.
    pub(in crate::ledger) holder: PaymentId,
    /// The second until which a charged request counts; zero while it is in progress.
    pub(in crate::ledger) until: u64,
}

#[derive(RlpEncodable, RlpDecodable)]
pub(in crate::ledger) struct Fields {
    fingerprint: B256,
    holder: PaymentId,
    until: u64,
}

impl Record for KeyRecord {
    type Fields = Fields;

    fn to_fields(&self) -> Fields {
        Fields {
            fingerprint: self.fingerprint.0,
            holder: self.holder,
            until: self.until,
        }
    }

    fn from_fields(fields: Fields) -> Result<Self, RecordError> {
        Ok(Self {
            fingerprint: Fingerprint(fields.fingerprint),
            holder: fields.holder,
            until: fields.until,
        })
    }
}
