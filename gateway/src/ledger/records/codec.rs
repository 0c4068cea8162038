//! Encoding of the ledger's records.

use alloy_rlp::{Decodable, Encodable};

const VERSION: u8 = 1;

/// The reason why a record of the ledger is unreadable. The ledger never guesses state that decides about money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record is empty.
    #[error("a record of the ledger is empty")]
    Empty,
    /// A later version of this program wrote the record.
    #[error(
        "a record of the ledger has version {0}, and this program reads version {VERSION}; use a newer program"
    )]
    Version(u8),
    /// The record is not in the form of its version.
    #[error("a record of the ledger is damaged: {0}")]
    Damaged(#[from] alloy_rlp::Error),
    /// The record names a state that its version does not have.
    #[error("a record of the ledger has the unknown state {0}")]
    State(u8),
    /// A record that another one names is not there.
    #[error("a record of the ledger lacks the record that it names")]
    Missing,
}

/// A record of the ledger.
pub(in crate::ledger) trait Record: Sized {
    /// The RLP list that is stored.
    type Fields: Encodable + Decodable;

    fn to_fields(&self) -> Self::Fields;

    fn from_fields(fields: Self::Fields) -> Result<Self, RecordError>;

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        self.to_fields().encode(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes.split_first() {
            None => Err(RecordError::Empty),
            Some((&VERSION, list)) => Self::from_fields(alloy_rlp::decode_exact(list)?),
            Some((&found, _)) => Err(RecordError::Version(found)),
        }
    }
}
