//! Limits how many deposits that this payee does not hold are looked up at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The right to ask the node for a deposit that nobody here knows. Whoever can sign can make up any number of them, and
/// the node may answer to a rate only: this is what strangers get of it, the rest is for heads, draws and redemptions.
/// They wait for each other in the order in which they came. Payments of known deposits do not wait at all.
#[derive(Debug)]
pub(super) struct UnknownDepositLimiter(Semaphore);

impl UnknownDepositLimiter {
    const AT_A_TIME: usize = 16;

    /// Waits for a turn, in order of arrival. The semaphore is never closed, so there always is one.
    pub(super) async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}

impl Default for UnknownDepositLimiter {
    fn default() -> Self {
        Self(Semaphore::new(Self::AT_A_TIME))
    }
}
