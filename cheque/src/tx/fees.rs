//! What a transaction offers that takes the place of another one.

use crate::tx::wallet::Estimate;

/// Fee and tip of a replacement: what the market asks, and more than the old ones by what nodes want for it. `None`: the
/// old ones will do, or the replacement would cost more than is sensible.
pub(crate) fn bump_fees(old_fee: u128, old_tip: u128, market: &Estimate) -> Option<(u128, u128)> {
    /// The most that is ever offered, in market fees.
    const MOST: u128 = 4;
    let (fee, tip) = (market.max_fee_per_gas, market.max_priority_fee_per_gas);
    if fee <= old_fee && tip <= old_tip {
        return None;
    }
    let (fee_asked, tip_asked) = (bumped(old_fee).max(fee), bumped(old_tip).max(tip));
    let sensible = fee_asked <= fee.saturating_mul(MOST) && tip_asked <= fee_asked;
    sensible.then_some((fee_asked, tip_asked))
}

/// Fee and tip of a replacement that nodes prefer to the old one whatever the market asks: what the market asks, as far as
/// the limit `most` allows, and no less than they want for replacing.
pub(crate) fn min_replacement_fees(
    old_fee: u128,
    old_tip: u128,
    market: &Estimate,
    most: Option<u128>,
) -> (u128, u128) {
    let sought = market.max_fee_per_gas.min(most.unwrap_or(u128::MAX));
    let fee = bumped(old_fee).max(sought);
    // No transaction tips more than its fee, so neither does what replaces it.
    let tip = bumped(old_tip).max(market.max_priority_fee_per_gas);
    (fee, tip.min(fee))
}

/// An eighth more and one: what nodes want for a replacement is a tenth more.
const fn bumped(fee: u128) -> u128 {
    fee.saturating_add(fee / 8).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    const fn market(fee: u128, tip: u128) -> Estimate {
        Estimate {
            gas: 21_000,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            max_cost: U256::ZERO,
        }
    }

    #[test]
    fn a_transaction_that_pays_the_market_fee_is_not_replaced() {
        assert_eq!(bump_fees(100, 10, &market(100, 10)), None);
        assert_eq!(bump_fees(100, 10, &market(1, 1)), None);
    }

    #[test]
    fn a_replacement_pays_the_market_fee_and_what_nodes_want_for_replacing() {
        assert_eq!(bump_fees(80, 8, &market(800, 80)), Some((800, 80)));
        assert_eq!(bump_fees(800, 80, &market(801, 80)), Some((901, 91)));
        assert_eq!(bump_fees(800, 80, &market(800, 81)), Some((901, 91)));
    }

    #[test]
    fn no_replacement_offers_more_than_four_market_fees() {
        assert_eq!(bump_fees(352, 1, &market(100, 2)), Some((397, 2)));
        assert_eq!(bump_fees(356, 1, &market(100, 2)), None);
        assert_eq!(
            bump_fees(u128::MAX, 1, &market(u128::MAX, 2)),
            Some((u128::MAX, 2))
        );
        assert_eq!(
            bump_fees(80, 90, &market(81, 10)),
            None,
            "the tip is part of the fee"
        );
    }

    #[test]
    fn what_must_be_replaced_offers_what_nodes_want_and_the_market_up_to_the_limit() {
        let fees = |market, most| min_replacement_fees(80, 8, &market, most);
        assert_eq!(fees(market(1, 1), None), (91, 10));
        assert_eq!(fees(market(800, 80), None), (800, 80));
        assert_eq!(fees(market(800, 80), Some(100)), (100, 80));
        assert_eq!(fees(market(800, 200), Some(100)), (100, 100));
        assert_eq!(
            fees(market(800, 80), Some(90)),
            (91, 80),
            "above the limit, so it is refused and not underpriced"
        );
        let highest = market(u128::MAX, u128::MAX);
        assert_eq!(
            min_replacement_fees(u128::MAX, u128::MAX, &highest, None),
            (u128::MAX, u128::MAX)
        );
    }
}
