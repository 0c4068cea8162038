//! The state that the clones of a payee share.

use crate::{
    bank::due_rounds::DueRounds,
    payee::{
        error::ReceiveError, exposure::ExposureIndex, positions::PositionCache,
        snapshot::ChainSnapshot, unknown_deposits::UnknownDeposits,
    },
    protocol::terms::DepositId,
    single_flight::SingleFlight,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) snapshots: SingleFlight<ChainSnapshot, ReceiveError>,
    /// Recently used positions: a payment is then a write without a read.
    pub(super) positions: PositionCache,
    /// The totals at stake. Read from the store at the first snapshot.
    pub(super) exposure: Mutex<ExposureIndex>,
    /// The last time at which draws were decided.
    pub(super) decided: tokio::sync::Mutex<Option<Instant>>,
    pub(super) due_rounds: DueRounds,
    /// The last time at which the node refused the state of the final block.
    pub(super) no_old_state: Mutex<Option<Instant>>,
    pub(super) unknown_deposits: Arc<UnknownDeposits>,
    pub(super) deep_reorgs: DeepReorgs,
    pub(super) news: News,
}

/// Counts the reorganisations that replaced a final block.
#[derive(Debug, Default)]
pub(super) struct DeepReorgs(AtomicU64);

impl DeepReorgs {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    #[cfg(feature = "service")]
    pub(super) fn number(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The deposits with a first payment, or a payment stored after the cutoff, since the service has looked. Empty without a
/// service.
#[derive(Debug, Default)]
pub(super) struct News {
    wanted: AtomicBool,
    deposits: Mutex<BTreeSet<DepositId>>,
}

impl Shared {
    pub(super) fn index(&self) -> MutexGuard<'_, ExposureIndex> {
        // No code panics under the lock, so a poisoned lock is good.
        let index = self.exposure.lock();
        index.unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to collect news for a service.
    #[cfg(feature = "service")]
    pub(super) fn want_news(&self) {
        self.news.wanted.store(true, Ordering::Release);
    }

    /// Tells the service of a deposit, if there is a service.
    pub(super) fn report(&self, id: DepositId) {
        if self.news.wanted.load(Ordering::Acquire) {
            self.news_deposits().insert(id);
        }
    }

    pub(super) fn news_deposits(&self) -> MutexGuard<'_, BTreeSet<DepositId>> {
        let deposits = self.news.deposits.lock();
        deposits.unwrap_or_else(PoisonError::into_inner)
    }
}
