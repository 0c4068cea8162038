//! Encoding of stored values: one version byte, then one RLP list.
//!
//! A value of an unknown version, with trailing bytes or in a non-canonical form is an error: state that decides about
//! money is never guessed.

use alloy_rlp::{Decodable, Encodable};

const VERSION: u8 = 1;

/// Why a stored value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The value is empty.
    #[error("the stored record is empty")]
    Empty,
    /// A later version of this library wrote the value.
    #[error("the stored record has version {found}, and this program reads version {VERSION}")]
    Version {
        /// The value's version.
        found: u8,
    },
    /// The value is not what its version says.
    #[error("the stored record is damaged: {0}")]
    Damaged(#[from] alloy_rlp::Error),
    /// The value belongs to another key.
    #[error("the stored record does not belong to its key")]
    WrongKey,
}

pub(crate) fn encode(row: &impl Encodable) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    row.encode(&mut bytes);
    bytes
}

pub(crate) fn decode<T: Decodable>(bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        None => Err(RecordError::Empty),
        Some((&VERSION, row)) => Ok(alloy_rlp::decode_exact(row)?),
        Some((&found, _)) => Err(RecordError::Version { found }),
    }
}
