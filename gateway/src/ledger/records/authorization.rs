//! The record of an authorization of a transfer by EIP-3009, with which a request is paid by the scheme `exact`.

use crate::ledger::{
    payment::Fingerprint,
    records::codec::{Record, RecordError},
};
use alloy_primitives::{B128, B256, Bytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};

const SERVING: u8 = 0;
const SETTLING: u8 = 1;
const SETTLED: u8 = 2;

/// An authorization that pays, or has paid, for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct AuthorizationRecord {
    pub(in crate::ledger) fingerprint: Fingerprint,
    /// The hash of the payment as shown. Who shows another one under the same nonce is not told the answer.
    pub(in crate::ledger) payload: B256,
    pub(in crate::ledger) worker: B128,
    /// The number of reservations so far.
    pub(in crate::ledger) attempt: u64,
    /// The second from which another worker may take over.
    pub(in crate::ledger) lease_until: u64,
    /// The second from which the record is not needed: the authorization cannot be used then.
    pub(in crate::ledger) until: u64,
    pub(in crate::ledger) state: AuthorizationState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum AuthorizationState {
    /// The upstream works on the request.
    Serving,
    /// The upstream has answered, and the transfer may be on its way. `answer` is empty if it is not kept.
    Settling { answer: Bytes },
    /// The transfer was made. `receipt` is what the client was told.
    Settled { answer: Bytes, receipt: String },
}

#[derive(RlpEncodable, RlpDecodable)]
pub(in crate::ledger) struct Fields {
    fingerprint: B256,
    payload: B256,
    worker: B128,
    attempt: u64,
    lease_until: u64,
    until: u64,
    state: u8,
    answer: Bytes,
    receipt: String,
}

impl Record for AuthorizationRecord {
    type Fields = Fields;

    fn to_fields(&self) -> Fields {
        let (state, answer, receipt) = match &self.state {
            AuthorizationState::Serving => (SERVING, Bytes::new(), String::new()),
            AuthorizationState::Settling { answer } => (SETTLING, answer.clone(), String::new()),
            AuthorizationState::Settled { answer, receipt } => {
                (SETTLED, answer.clone(), receipt.clone())
            }
        };
        Fields {
            fingerprint: self.fingerprint.0,
            payload: self.payload,
            worker: self.worker,
            attempt: self.attempt,
            lease_until: self.lease_until,
            until: self.until,
            state,
            answer,
            receipt,
        }
    }

    fn from_fields(fields: Fields) -> Result<Self, RecordError> {
        let answer = fields.answer;
        let state = match fields.state {
            SERVING => AuthorizationState::Serving,
            SETTLING => AuthorizationState::Settling { answer },
            SETTLED => AuthorizationState::Settled {
                answer,
                receipt: fields.receipt,
            },
            unknown => return Err(RecordError::State(unknown)),
        };
        Ok(Self {
            fingerprint: Fingerprint(fields.fingerprint),
            payload: fields.payload,
            worker: fields.worker,
            attempt: fields.attempt,
            lease_until: fields.lease_until,
            until: fields.until,
            state,
        })
    }
}
