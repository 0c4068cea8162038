//! A limit on concurrent node requests for unknown deposits.

use crate::payee::error::ReceiveError;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Limits concurrent lookups of unknown deposits at the node.
///
/// Any signer can invent any number of deposits, and a node may limit its rate of answers. Openings of unknown deposits
/// share a fixed number of permits, which leaves answers for heads, draws and redemptions. Some openings wait for a permit,
/// in order of arrival; more are refused. Payments of known deposits need no permit.
#[derive(Debug)]
pub(super) struct UnknownDepositLimiter {
    lookups: Semaphore,
    /// The lookups and those that wait for one.
    places: Semaphore,
}

/// The right to look up one deposit. Dropped, it makes room for the next.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    _lookup: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

impl UnknownDepositLimiter {
    pub(super) const MAX_LOOKUPS: usize = 16;

    /// The number of openings that wait at most.
    pub(super) const MAX_WAITING: usize = 256;

    /// Waits for a permit, in order of arrival.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Busy`] at once if too many openings wait already.
    pub(super) async fn acquire(&self) -> Result<Permit<'_>, ReceiveError> {
        let place = self.places.try_acquire();
        let place = place.map_err(|_| ReceiveError::Busy)?;
        // Never closed, so no error either.
        let lookup = self.lookups.acquire().await;
        let lookup = lookup.map_err(|_| ReceiveError::Busy)?;
        Ok(Permit {
            _lookup: lookup,
            _place: place,
        })
    }
}

impl Default for UnknownDepositLimiter {
    fn default() -> Self {
        Self {
            lookups: Semaphore::new(Self::MAX_LOOKUPS),
            places: Semaphore::new(Self::MAX_LOOKUPS + Self::MAX_WAITING),
        }
    }
}
