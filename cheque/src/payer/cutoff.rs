//! The least and the default time between a payer's last cheque and the draw.

use crate::protocol::{deposit_builder::PAYER_CUTOFF, now::Freshness};

/// Seconds from the payer's request to the payee's store, as of SPEC section 12.2.
const TIME_TO_STORE: u64 = 10;

/// Seconds between the cutoff that a payee requires and the payer's: the way of a payment to the payee.
pub(super) const TIME_TO_PAYEE: u64 = 15;

/// Returns the shortest cutoff of a payer, in seconds: that of a payee, and the way of a payment to the payee. A payee that
/// knows the draw could ask a payer with a slow clock for exactly the total that wins. Zero where the clocks are not
/// checked.
pub(super) fn min_cutoff(bounds: Option<&Freshness>, period: u64) -> u64 {
    let of_payee = |bounds: &Freshness| {
        let clocks = bounds.max_ahead.saturating_add(period);
        clocks.saturating_add(TIME_TO_STORE)
    };
    bounds.map_or(0, |bounds| of_payee(bounds).saturating_add(TIME_TO_PAYEE))
}

/// Returns the default cutoff of a payer: 45 s, or the shortest one where rounds are rare.
pub(super) fn default_cutoff(bounds: Option<&Freshness>, period: u64) -> u64 {
    PAYER_CUTOFF.max(min_cutoff(bounds, period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutoff_leaves_time_for_clocks_round_and_payment() {
        let bounds = Freshness::DEFAULT;
        assert_eq!(min_cutoff(Some(&bounds), 3), 10 + 3 + 10 + 15);
        assert_eq!(min_cutoff(Some(&bounds), u64::MAX), u64::MAX);
        assert_eq!(min_cutoff(None, 3), 0);
        for (period, cutoff) in [(3, 45), (10, 45), (11, 46), (30, 65)] {
            assert_eq!(default_cutoff(Some(&bounds), period), cutoff);
            assert_eq!(default_cutoff(None, period), 45);
        }
    }
}
