//! A limit on concurrent node requests for unknown deposits.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Limits concurrent lookups of unknown deposits at the node.
///
/// Any signer can invent any number of deposits, and a node may limit its rate of answers. Openings of unknown deposits
/// share a fixed number of permits, which leaves answers for heads, draws and redemptions. Openings wait for a permit
/// in order of arrival. Payments of known deposits need no permit.
#[derive(Debug)]
pub(super) struct UnknownDepositLimiter(Semaphore);

impl UnknownDepositLimiter {
    const MAX_LOOKUPS: usize = 16;

    /// Waits for a permit, in order of arrival. Never `None`, because the semaphore is never closed.
    pub(super) async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}

impl Default for UnknownDepositLimiter {
    fn default() -> Self {
        Self(Semaphore::new(Self::MAX_LOOKUPS))
    }
}
