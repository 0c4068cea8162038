//! Errors of receiving payments.

use crate::{
    bank::error::BankError,
    protocol::receive::rejection::{Rejection, RejectionClass},
    store::async_store::StoredError,
};
use std::sync::Arc;

/// The reason for not accepting a payment. The store is unchanged, except perhaps after
/// [`StoreError::Unknown`](crate::store::StoreError::Unknown).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The payment is invalid, or not acceptable now.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The chain or the node failed. The payment may be good; judge it again later.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// The payment opens a deposit that the payee does not know, and too many such payments wait for the node's answers. The
    /// payment may be good; judge it again later.
    #[error(
        "too many payments of unknown deposits wait for the node; send the payment again later"
    )]
    Busy,
    /// The application's records could not be made, so nothing was stored. The payment may be good; judge it again later.
    #[error("the application does not record the payment: {0}")]
    Application(Arc<dyn std::error::Error + Send + Sync>),
    /// The store failed. The payment may be good; judge it again later. A payment that was stored after all counts
    /// once, and is then [`Rejection::Replay`].
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl ReceiveError {
    /// Returns what the sender can do. An error of node, store or application is [`RejectionClass::Retry`]: the proof counts
    /// at most once.
    #[must_use]
    pub const fn class(&self) -> RejectionClass {
        match self {
            Self::Rejected(rejection) => rejection.class(),
            Self::Bank(_) | Self::Busy | Self::Application(_) | Self::Stored(_) => {
                RejectionClass::Retry
            }
        }
    }

    /// Returns the HTTP status of an answer that tells the error: that of the rejection, else 503. Do not answer with the
    /// text of other errors than rejections: it names the operator's node and store.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Rejected(rejection) => rejection.http_status(),
            Self::Bank(_) | Self::Busy | Self::Application(_) | Self::Stored(_) => 503,
        }
    }
}
