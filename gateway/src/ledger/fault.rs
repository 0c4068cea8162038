//! Faults of the ledger: no answer to the payment, and nothing decided.

use crate::ledger::records::codec::RecordError;
use cheque::{PositionError, store::StoreError};

/// The reason why the ledger could not decide. The host answers 503: the payment may be good, and the client must show the
/// same payment again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerFault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record of the ledger is unreadable.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A payee's position is unreadable.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// The chain, the beacon or the clock is not in a state to judge payments by.
    #[error("payments cannot be judged now: {0}")]
    Unavailable(String),
    /// A sum of money is above 2^128 - 1 or below zero.
    #[error("the account's sums are out of range; the records contradict each other")]
    OutOfRange,
    /// Other writers have changed the same records each time.
    #[error("other requests have changed the account {0} times meanwhile; send the request again")]
    Contended(usize),
    /// The runtime shuts down.
    #[error("the program is shutting down")]
    ShuttingDown,
}

/// The result of a task; a panic goes on in the caller.
pub(super) fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, LedgerFault> {
    match result {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(LedgerFault::ShuttingDown),
        },
    }
}
