//! Errors of the balances.

use super::types::VERSION;
use crate::{store::interface::StoreError, value::expiring::ExpiringValue};

/// An error of reading stored balances.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadBalanceError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A later version of this library wrote the balance.
    #[error(
        "a stored balance has version {found} and this program reads version {VERSION}; use a newer program"
    )]
    Version {
        /// Version of the record.
        found: u8,
    },
    /// The record is no balance and no offset.
    #[error("a stored balance of {length} bytes is damaged; restore the store from a backup")]
    Damaged {
        /// Length of the record.
        length: usize,
    },
}

/// An error of changing a balance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeBalanceError {
    /// The balance would be too large.
    #[error(
        "a balance of {balance} and {amount} more exceed the limit of {} tokens; add less",
        ExpiringValue::LIMIT
    )]
    Overflow {
        /// Present balance; 0 if it was to be replaced.
        balance: u64,
        /// Amount to add.
        amount: u64,
    },
    /// The stored balance cannot be read.
    #[error(transparent)]
    Load(#[from] LoadBalanceError),
}

impl From<StoreError> for ChangeBalanceError {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

/// The client is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the client is not connected; connect it first, or use an operation, which needs no connection"
)]
pub struct NotConnected;

/// An error of connecting a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The client is connected already.
    #[error("the client is connected already; disconnect it first")]
    Connected,
    /// The stored balances cannot be read.
    #[error(transparent)]
    Load(#[from] LoadBalanceError),
}

/// An error of disconnecting a client. The client stays connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectError {
    /// The client is not connected.
    #[error(transparent)]
    NotConnected(#[from] NotConnected),
    /// The balances could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
