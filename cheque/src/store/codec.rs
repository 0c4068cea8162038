//! Encoding of stored values: a version byte, then an RLP list.
//!
//! A value with an unknown version, trailing bytes or a non-canonical form is an error: a program never guesses state
//! that decides about money.

#[cfg(feature = "client")]
use alloy_rlp::{Decodable, Encodable};

const VERSION: u8 = 1;

/// The reason why a stored value is unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The value is empty.
    #[error("the stored record is empty")]
    Empty,
    /// A later version of this library wrote the value.
    #[error(
        "the stored record has version {found}, and this program reads version {VERSION}; use a newer program"
    )]
    Version {
        /// The value's version.
        found: u8,
    },
    /// The value is not in the form of its version.
    #[error("the stored record is damaged: {0}")]
    Damaged(#[from] alloy_rlp::Error),
    /// The value belongs to another key.
    #[error("the stored record does not belong to its key")]
    WrongKey,
}

#[cfg(feature = "client")]
pub(crate) fn encode(row: &impl Encodable) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    row.encode(&mut bytes);
    bytes
}

#[cfg(feature = "client")]
pub(crate) fn decode<T: Decodable>(bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        None => Err(RecordError::Empty),
        Some((&VERSION, row)) => Ok(alloy_rlp::decode_exact(row)?),
        Some((&found, _)) => Err(RecordError::Version { found }),
    }
}
