//! A bucket of cost units, refilled at a rate.

use super::settings::{SECOND, Tier};
use std::collections::VecDeque;

/// Fractions of a unit: rates per second become whole numbers per nanosecond.
const PARTS: u128 = SECOND as u128;

/// Maximum number of low levels that a bucket remembers.
const MAX_LOWS: usize = 1_024;

/// A level that rises with time up to a burst. Full at first.
///
/// Units that were taken and not used can be given back, but only as far as time has not refilled them: what a full bucket
/// would have lost is lost. So the used units of any time never exceed that time at the rate and one burst.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    tier: Tier,
    /// Missing parts of units at `at_ns`.
    missing: u128,
    at_ns: u64,
    /// Numbers of takes, each with the fewest missing parts since then; both ascend. A take before the first one has 0.
    lows: VecDeque<(u64, u128)>,
}

impl Bucket {
    pub(super) const fn full(tier: Tier, now_ns: u64) -> Self {
        Self {
            tier,
            missing: 0,
            at_ns: now_ns,
            lows: VecDeque::new(),
        }
    }

    /// Changes rate and burst. What was taken stays taken.
    pub(super) fn set_tier(&mut self, tier: Tier, now_ns: u64) {
        self.refill(now_ns);
        self.tier = tier;
    }

    /// Returns nanoseconds until `units` are there; `None` if the burst is smaller.
    pub(super) fn wait_ns(&self, units: u64, now_ns: u64) -> Option<u64> {
        self.wait_ns_by(self.tier, units, now_ns)
    }

    /// Returns the same as if [`set_tier`](Self::set_tier) was called now.
    pub(super) fn wait_ns_by(&self, tier: Tier, units: u64, now_ns: u64) -> Option<u64> {
        let spare = u128::from(tier.burst.checked_sub(units)?) * PARTS;
        let excess = self.missing_at(now_ns).saturating_sub(spare);
        let wait = excess.div_ceil(tier.rate.get().into());
        Some(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Takes units, even if they are not there: check with [`wait_ns`](Self::wait_ns) first. `number` is above those of
    /// all takes before.
    pub(super) fn take(&mut self, units: u64, number: u64, now_ns: u64) {
        self.refill(now_ns);
        self.missing = self.missing.saturating_add(u128::from(units) * PARTS);
        self.lows.push_back((number, self.missing));
        if self.lows.len() > MAX_LOWS {
            // The second take counts as the first from now on, whose low level is no higher.
            self.lows.remove(1);
        }
    }

    /// Takes units as far as they are there, and returns the taken parts of units.
    pub(super) fn drain(&mut self, units: u64, number: u64, now_ns: u64) -> u128 {
        let full = u128::from(self.tier.burst) * PARTS;
        let spare = full.saturating_sub(self.missing_at(now_ns));
        let parts = spare.min(u128::from(units) * PARTS);
        self.take(0, number, now_ns);
        self.missing += parts;
        if let Some((_, low)) = self.lows.back_mut() {
            *low = self.missing;
        }
        parts
    }

    /// Gives back units of the take with this number.
    pub(super) fn give_back(&mut self, units: u64, number: u64, now_ns: u64) {
        self.give_back_parts(u128::from(units) * PARTS, number, now_ns);
    }

    /// Gives back parts of what [`drain`](Self::drain) took, if `used` units of it were used.
    pub(super) fn give_back_drained(&mut self, drained: u128, used: u64, number: u64, now_ns: u64) {
        let unused = drained.saturating_sub(u128::from(used) * PARTS);
        self.give_back_parts(unused, number, now_ns);
    }

    /// Makes the level as if the take had been smaller: less is missing since then, but never less than nothing.
    fn give_back_parts(&mut self, parts: u128, number: u64, now_ns: u64) {
        self.refill(now_ns);
        let later = self.lows.partition_point(|(take, _)| *take <= number);
        let Some(index) = later.checked_sub(1) else {
            return;
        };
        let Some((_, low)) = self.lows.get(index).copied() else {
            return;
        };
        let parts = parts.min(low);
        self.missing = self.missing.saturating_sub(parts);
        for (_, low) in self.lows.range_mut(index..) {
            *low = low.saturating_sub(parts);
        }
        for (_, earlier) in self.lows.range_mut(..index) {
            *earlier = (*earlier).min(low.saturating_sub(parts));
        }
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
        let mut first = None;
        while let Some((number, _)) = self.lows.pop_back_if(|(_, low)| *low >= self.missing) {
            first = Some(number);
        }
        self.lows.extend(first.map(|number| (number, self.missing)));
    }

    fn missing_at(&self, now_ns: u64) -> u128 {
        let elapsed = u128::from(now_ns.saturating_sub(self.at_ns));
        self.missing
            .saturating_sub(elapsed * u128::from(self.tier.rate.get()))
    }
}
