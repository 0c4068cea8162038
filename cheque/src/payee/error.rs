//! Errors of receiving payments.

use crate::{
    bank::error::BankError, protocol::receive::rejection::Rejection,
    store::async_store::StoredError,
};

/// Why a payment was not taken. Nothing has changed, unless it is [`StoreError::Unknown`](crate::store::StoreError::Unknown).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The payment is not good, or not now.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The chain, or the way to it. The payment may be good.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// The store. The payment may be good. Where it is unknown whether it was kept, show it again: it counts once, and is
    /// [`Rejection::Replay`] if it was.
    #[error(transparent)]
    Stored(#[from] StoredError),
}
