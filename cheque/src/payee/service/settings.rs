//! What the owner of a payee may set.

use crate::protocol::{chain_profile::ChainProfile, draw::HISTORY_WINDOW, receive::policy::Policy};

/// How a payee's service cashes in. All blocks are the chain's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayeeSettings {
    /// A win is redeemed while its payout is at least this many times what redeeming costs at the present gas price. Below,
    /// it waits for a better price, until the margin begins.
    pub min_payout_per_cost: u32,
    /// This many blocks before a win's window closes, it is redeemed at any price below its payout, and warned about.
    pub margin: u64,
    /// So many wins are redeemed at once; fewer wait for company, where there may be some.
    pub batch: usize,
    /// How many blocks after its draw a win waits for company at the longest.
    pub company: u64,
    /// How many blocks after its window a deposit stays in the ledger.
    pub keep: u64,
}

impl PayeeSettings {
    /// The usual settings: redeem while the policy would still accept such a payout; a margin of two hours, but not more
    /// than half of what the chain remembers; ten wins, or those of one more block of the chain's grid; a ledger of 30 days.
    pub fn new(policy: &Policy, profile: &ChainProfile) -> Self {
        let blocks = |seconds: u64| seconds / profile.block_time.max(1);
        Self {
            min_payout_per_cost: policy.min_payout_per_cost,
            margin: blocks(2 * 3600).min(HISTORY_WINDOW / 2),
            batch: 10,
            company: profile.grid + 2 * profile.confirmations,
            keep: blocks(30 * 24 * 3600),
        }
    }

    /// Whether a win has to be redeemed now at any price, whose last block to redeem is `deadline`.
    pub(super) const fn is_urgent(&self, deadline: u64, head: u64) -> bool {
        head.saturating_add(self.margin) >= deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::terms::Bank;
    use alloy_primitives::Address;

    #[test]
    fn the_margin_leaves_at_least_half_of_the_time_in_which_the_chain_remembers() {
        let usual = |chain| {
            let profile = ChainProfile::of(chain).unwrap();
            let bank = Bank::new(chain, Address::ZERO);
            PayeeSettings::new(&Policy::new(Address::ZERO, bank, profile), profile)
        };
        assert_eq!((usual(1).margin, usual(1).company), (600, 324));
        assert_eq!((usual(10).margin, usual(10).company), (3_600, 360));
        assert_eq!(usual(31_337).margin, 4_095);
        assert_eq!(usual(1).keep, 216_000);
    }
}
