//! Errors of receiving payments.

use crate::{
    bank::error::BankError, protocol::receive::rejection::Rejection,
    store::async_store::StoredError,
};

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
    /// The store failed. The payment may be good; judge it again later. A payment that was stored after all counts
    /// once, and is then [`Rejection::Replay`].
    #[error(transparent)]
    Stored(#[from] StoredError),
}
