//! Payments that are counted as exposure while they are written, and given back if they were certainly not.

use crate::{
    payee::{
        exposure::reservation::Reservation,
        positions::{PositionCacheError, Replaced},
        shared::Shared,
    },
    protocol::terms::DepositId,
    store::error::StoreError,
    sys::unix_now,
};
use std::sync::Arc;

/// A payment that is counted as exposure while it is written. Dropped without the result of the write, the payment counts:
/// it may be written.
#[must_use = "finish it with the result of the write"]
pub(super) struct Counted {
    pub(super) shared: Arc<Shared>,
    pub(super) reservation: Option<Reservation>,
    pub(super) written: Written,
}

/// A payment whose position was written, or may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) id: DepositId,
    pub(super) is_first: bool,
    /// The time from which the payee refuses payments of the deposit.
    pub(super) cutoff: u64,
}

impl Written {
    /// Tells the service of the deposit, if it is to look at it. Call it after the write.
    ///
    /// From the cutoff on, the service may have computed the draw by the position before, and the payment may turn a loss
    /// into a win. The own clock is at most ten seconds behind a round by which a draw is computed, and the cutoff is longer.
    pub(super) fn report(&self, shared: &Shared) {
        let head_time = shared.snapshots.newest().map(|newest| newest.head.time);
        let now = unix_now().max(head_time.unwrap_or_default());
        if self.is_first || now >= self.cutoff {
            shared.report(self.id);
        }
    }
}

impl Counted {
    pub(super) fn finish(mut self, replaced: &Result<Replaced, PositionCacheError>) {
        use PositionCacheError::{Position, Store};
        let written = match replaced {
            Ok(Replaced::Done) | Err(Store(StoreError::Unknown { .. })) => true,
            Ok(Replaced::Conflict) | Err(Store(_) | Position(_)) => false,
        };
        self.end(written);
    }

    /// Ends a payment that was certainly not written.
    pub(super) fn give_back(mut self) {
        self.end(false);
    }

    fn end(&mut self, written: bool) {
        if let Some(reservation) = self.reservation.take() {
            self.shared.index().finish(reservation, written);
            if written {
                self.written.report(&self.shared);
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.end(true);
    }
}
