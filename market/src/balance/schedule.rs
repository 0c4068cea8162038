//! Schedule of upkeep.

use super::types::{SECOND, Sign};
use crate::value::expiring::ExpiringValue;

/// Maximum time of charges that a killed process loses.
pub(super) const SAVE_EVERY_NS: u64 = 300 * SECOND;
pub(super) const TIDY_EVERY_NS: u64 = 3_600 * SECOND;

/// Times of the next upkeep.
#[derive(Debug)]
pub(super) struct UpkeepSchedule {
    pub(super) save_at: u64,
    pub(super) tidy_at: u64,
    /// First balance of the next tidying.
    pub(super) tidy_from: (Sign, Vec<u8>),
    /// Sum of connected clients' positive balances, and the moment of the sum.
    pub(super) active: Option<(ExpiringValue, u64)>,
}

impl UpkeepSchedule {
    pub(super) const fn new(now_ns: u64) -> Self {
        Self {
            save_at: now_ns.saturating_add(SAVE_EVERY_NS),
            tidy_at: now_ns.saturating_add(TIDY_EVERY_NS),
            tidy_from: (Sign::Positive, Vec::new()),
            active: None,
        }
    }

    /// Replaces a connected client's balance in the sum. Charges do not count as replacements.
    pub(super) fn replace_active(&mut self, old: ExpiringValue, new: ExpiringValue) {
        if let Some((active, _)) = &mut self.active {
            active.sub_exp(old);
            active.add_exp(new);
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.save_at.min(self.tidy_at)
    }
}
