//! A bucket of cost units, refilled at a rate.

use super::settings::{SECOND, Tier};

/// Fractions of a unit: rates per second become whole numbers per nanosecond.
const PARTS: u128 = SECOND as u128;

/// A level that rises with time up to a burst. Full at first.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    tier: Tier,
    /// Missing parts of units at `at_ns`.
    missing: u128,
    at_ns: u64,
}

impl Bucket {
    pub(super) const fn full(tier: Tier, now_ns: u64) -> Self {
        Self {
            tier,
            missing: 0,
            at_ns: now_ns,
        }
    }

    /// Changes rate and burst. What was taken stays taken.
    pub(super) fn set_tier(&mut self, tier: Tier, now_ns: u64) {
        self.refill(now_ns);
        self.tier = tier;
    }

    /// Returns nanoseconds until `units` are there; `None` if the burst is smaller.
    pub(super) fn wait_ns(&self, units: u64, now_ns: u64) -> Option<u64> {
        let spare = u128::from(self.tier.burst.checked_sub(units)?) * PARTS;
        let excess = self.missing_at(now_ns).saturating_sub(spare);
        let wait = excess.div_ceil(self.tier.rate.get().into());
        Some(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Takes units, even if they are not there: check with [`wait_ns`](Self::wait_ns) first.
    pub(super) fn take(&mut self, units: u64, now_ns: u64) {
        self.refill(now_ns);
        self.missing = self.missing.saturating_add(u128::from(units) * PARTS);
    }

    /// Takes units as far as they are there.
    pub(super) fn drain(&mut self, units: u64, now_ns: u64) {
        self.take(units, now_ns);
        self.missing = self.missing.min(u128::from(self.tier.burst) * PARTS);
    }

    /// Gives units back that were taken and not used.
    pub(super) fn give_back(&mut self, units: u64, now_ns: u64) {
        self.refill(now_ns);
        self.missing = self.missing.saturating_sub(u128::from(units) * PARTS);
    }

    /// Returns the moment from which the bucket is full.
    pub(super) fn full_from(&self) -> u64 {
        let wait = self.missing.div_ceil(self.tier.rate.get().into());
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        self.at_ns.saturating_add(wait)
    }

    fn refill(&mut self, now_ns: u64) {
        self.missing = self.missing_at(now_ns);
        self.at_ns = self.at_ns.max(now_ns);
    }

    fn missing_at(&self, now_ns: u64) -> u128 {
        let elapsed = u128::from(now_ns.saturating_sub(self.at_ns));
        self.missing
            .saturating_sub(elapsed * u128::from(self.tier.rate.get()))
    }
}
