//! Work that goes on without the caller that waits for it.

use crate::{payer::error::PayerError, store::async_store::StoredError};
use tokio::task::JoinError;

/// Runs work to its end, even if the caller drops the future in the middle.
pub(super) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, PayerError>> + Send + 'static,
) -> Result<T, PayerError> {
    ended(tokio::spawn(work).await)?
}

/// Returns a task's result, or resumes its panic.
pub(super) fn ended<T>(result: Result<T, JoinError>) -> Result<T, PayerError> {
    result.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => StoredError::ShuttingDown.into(),
    })
}
