//! Settings of a payee's service.

use crate::protocol::{chain_profile::ChainProfile, draw::HISTORY_WINDOW, receive::policy::Policy};

/// Settings for redemption by a payee's service. Blocks are those of the bank's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayeeSettings {
    /// Redeem a win while its payout is at least this many times the cost at the present gas price. Otherwise wait for
    /// a lower price until `deadline_margin` begins.
    pub min_payout_per_cost: u32,
    /// Redeem a win at any cost below its payout this many blocks before its window closes, and log a warning.
    pub deadline_margin: u64,
    /// Redeem as soon as this many wins are worth their cost. Fewer wins wait for a near draw.
    pub batch_size: usize,
    /// Let a win wait for a larger batch at most this many blocks after its draw.
    pub batch_wait: u64,
    /// Keep a deposit in the store for this many blocks after its window.
    pub retention: u64,
}

impl PayeeSettings {
    /// The default settings:
    ///
    /// - `min_payout_per_cost`: the policy's, so a win is redeemed while the policy would still accept such a payout
    /// - `deadline_margin`: two hours, but at most half of the blocks for which the chain remembers a seed
    /// - `batch_size`: ten wins
    /// - `batch_wait`: one block of the chain's grid, and twice the confirmations
    /// - `retention`: 30 days
    #[must_use]
    pub fn new(policy: &Policy, profile: &ChainProfile) -> Self {
        let blocks = |seconds: u64| seconds / profile.block_time.max(1);
        Self {
            min_payout_per_cost: policy.min_payout_per_cost,
            deadline_margin: blocks(2 * 3600).min(HISTORY_WINDOW / 2),
            batch_size: 10,
            batch_wait: profile.grid + 2 * profile.confirmations,
            retention: blocks(30 * 24 * 3600),
        }
    }

    /// True if a win with this last block to redeem must be redeemed now at any cost below its payout.
    pub(super) const fn is_urgent(&self, deadline: u64, head: u64) -> bool {
        head.saturating_add(self.deadline_margin) >= deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::terms::Bank;
    use alloy_primitives::Address;

    #[test]
    fn limits_the_margin_to_half_of_the_chains_memory() {
        let defaults = |chain| {
            let profile = ChainProfile::of(chain).unwrap();
            let bank = Bank::new(chain, Address::ZERO);
            PayeeSettings::new(&Policy::new(Address::ZERO, bank, profile), profile)
        };
        let (mainnet, optimism) = (defaults(1), defaults(10));
        assert_eq!((mainnet.deadline_margin, mainnet.batch_wait), (600, 324));
        assert_eq!(
            (optimism.deadline_margin, optimism.batch_wait),
            (3_600, 360)
        );
        assert_eq!(defaults(31_337).deadline_margin, 4_095);
        assert_eq!(mainnet.retention, 216_000);
    }
}
