//! Prunes old deposits once a day.

use crate::payer::{
    error::PayerError,
    service::{PayerService, decide::blocks_of_a_day},
};
use std::sync::atomic::Ordering;

/// Default retention of a deposit after its last block to redeem, in days.
const DAYS: u64 = 30;

impl PayerService {
    /// Keeps settled deposits for this many blocks after their last block to redeem, and for a day at least,
    /// because the daily budget counts them. The default is 30 days.
    #[must_use]
    pub const fn with_retention(mut self, blocks: u64) -> Self {
        self.retention = blocks;
        self
    }

    pub(super) const fn default_retention(block_time: u64) -> u64 {
        blocks_of_a_day(block_time).saturating_mul(DAYS)
    }

    /// Once a day, removes settled deposits that are past their retention. Without pruning, every poll would
    /// read all deposits ever made.
    pub(super) async fn prune_old(&self, head: u64) -> Result<(), PayerError> {
        let day = blocks_of_a_day(self.payer.reader().profile().block_time);
        let next = &self.shared.next_prune;
        if head < next.load(Ordering::Relaxed) {
            return Ok(());
        }
        let before = head.saturating_sub(self.retention.max(day));
        self.payer.prune_before(before).await?;
        next.store(head.saturating_add(day), Ordering::Relaxed);
        Ok(())
    }
}
