//! Settings of a payee's service.

use crate::protocol::{chain_profile::ChainProfile, receive::policy::Policy};

const HOUR: u64 = 3_600;

/// Settings for redemption by a payee's service. Times are seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayeeSettings {
    /// Redeem a win while its payout is at least this many times the cost at the present gas price. Otherwise wait for
    /// a lower price until `deadline_margin` begins.
    pub min_payout_per_cost: u32,
    /// Redeem a win at any cost below its payout this long before its window closes, and log a warning.
    pub deadline_margin: u64,
    /// Redeem as soon as this many wins are worth their cost. Fewer wins wait for a near draw.
    pub batch_size: usize,
    /// Let a win wait for a larger batch at most this long after its draw.
    pub batch_wait: u64,
    /// Keep a deposit in the store for this long after its window.
    pub retention: u64,
}

impl PayeeSettings {
    /// The default settings:
    ///
    /// - `min_payout_per_cost`: the policy's, so a win is redeemed while the policy would still accept such a payout
    /// - `deadline_margin`: two hours
    /// - `batch_size`: ten wins
    /// - `batch_wait`: two steps of the chain's grid of draw times
    /// - `retention`: 30 days
    #[must_use]
    pub const fn new(policy: &Policy, profile: &ChainProfile) -> Self {
        Self {
            min_payout_per_cost: policy.min_payout_per_cost,
            deadline_margin: 2 * HOUR,
            batch_size: 10,
            batch_wait: profile.draw_grid.saturating_mul(2),
            retention: 30 * 24 * HOUR,
        }
    }

    /// True if a win with this last time to redeem must be redeemed now at any cost below its payout.
    pub(super) const fn is_urgent(&self, redeem_until: u64, head_time: u64) -> bool {
        head_time.saturating_add(self.deadline_margin) >= redeem_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::terms::Bank;
    use alloy_primitives::Address;

    #[test]
    fn waits_two_steps_of_the_grid_and_keeps_30_days() {
        let defaults = |chain| {
            let profile = ChainProfile::of(chain).unwrap();
            let bank = Bank::new(chain, Address::ZERO);
            PayeeSettings::new(&Policy::new(Address::ZERO, bank, profile), profile)
        };
        for (chain, batch_wait) in [(1, 600), (8453, 600), (31_337, 2)] {
            let settings = defaults(chain);
            assert_eq!(
                (settings.deadline_margin, settings.batch_wait),
                (7_200, batch_wait)
            );
            assert_eq!(settings.retention, 2_592_000);
        }
    }

    #[test]
    fn is_urgent_from_the_margin_on() {
        let profile = ChainProfile::of(1).unwrap();
        let bank = Bank::new(1, Address::ZERO);
        let settings = PayeeSettings::new(&Policy::new(Address::ZERO, bank, profile), profile);
        assert!(!settings.is_urgent(10_000, 2_799));
        assert!(settings.is_urgent(10_000, 2_800));
        assert!(settings.is_urgent(u64::MAX, u64::MAX));
    }
}
