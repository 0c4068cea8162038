//! Errors of the hall.

use crate::{
    balance::error::{ChangeBalanceError, LoadBalanceError},
    store::interface::StoreError,
    tokens::{RestoreCurveError, TokenIssuerError},
};
use std::error::Error;

/// An error of an operation. Nothing changes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HallError {
    /// The hall sells no tokens.
    #[error("this provider sells no tokens; pay in money")]
    NoSale,
    /// The order cannot be met.
    #[error("the order cannot be met at the present price; ask for a price and order again")]
    Terms,
    /// The caller's part of the operation failed.
    #[error(transparent)]
    Money(Box<dyn Error + Send + Sync>),
    /// The balance did not change.
    #[error(transparent)]
    Balance(#[from] ChangeBalanceError),
    /// The stored record of the sale is damaged.
    #[error("the stored sale of {length} bytes is damaged; restore the store from a backup")]
    DamagedSale {
        /// Length of the record.
        length: usize,
    },
    /// The stored sale contradicts itself.
    #[error(transparent)]
    Curve(#[from] RestoreCurveError),
    /// The terms of the sale contradict themselves.
    #[error(transparent)]
    Issuer(#[from] TokenIssuerError),
    /// An earlier commit is not known to be made or not.
    #[error("an earlier write has no known outcome; retry once the store can be read")]
    Unsettled,
}

impl From<LoadBalanceError> for HallError {
    fn from(error: LoadBalanceError) -> Self {
        Self::Balance(error.into())
    }
}

impl From<StoreError> for HallError {
    fn from(error: StoreError) -> Self {
        Self::Balance(error.into())
    }
}

/// An error of a commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Nothing was written; the operations are undone.
    #[error("nothing was written and nothing has changed: {0}")]
    Undone(#[source] StoreError),
    /// The write failed and is made as soon as the store works, before anything else happens. The operations count, unless
    /// the process ends before.
    #[error("the change counts in memory, and is stored once the store works again: {0}")]
    Owed(#[source] StoreError),
    /// The write may have been made. The operations count or not; the next [`begin`](super::Hall::begin) finds out.
    #[error("the write may have been made; read the balances before a retry: {0}")]
    Unknown(#[source] StoreError),
}
