//! Forgetting rounds of long ago.

use crate::payer::{
    error::PayerError,
    service::{PayerService, decide::blocks_of_a_day},
};
use std::sync::atomic::Ordering;

/// How long a deposit stays in the store after its window, if nothing else is said.
const DAYS: u64 = 30;

impl PayerService {
    /// The same service, which keeps deposits for so many blocks after their last block to redeem, and for a day at
    /// least: the budget of a day counts them. The default is 30 days.
    pub const fn with_keep(mut self, blocks: u64) -> Self {
        self.keep = blocks;
        self
    }

    pub(super) const fn usual_keep(block_time: u64) -> u64 {
        blocks_of_a_day(block_time).saturating_mul(DAYS)
    }

    /// Once a day, forgets deposits that are settled and old: else every look would read all there ever were.
    pub(super) async fn forget_old(&self, head: u64) -> Result<(), PayerError> {
        let day = blocks_of_a_day(self.payer.reader().profile().block_time);
        let next = &self.shared.next_to_forget;
        if head < next.load(Ordering::Relaxed) {
            return Ok(());
        }
        let before = head.saturating_sub(self.keep.max(day));
        self.payer.prune_before(before).await?;
        next.store(head.saturating_add(day), Ordering::Relaxed);
        Ok(())
    }
}
