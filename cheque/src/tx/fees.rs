//! What a transaction offers that takes the place of another one.

/// What a transaction offers for a unit of gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    /// The most that a unit may cost (EIP-1559 `max_fee_per_gas`).
    pub(crate) max: u128,
    /// The part of it for the block's proposer (EIP-1559 `max_priority_fee_per_gas`).
    pub(crate) tip: u128,
}

/// Raises the fees of a pending transaction to the market's, and by at least what nodes want for a replacement. `None`:
/// the old fees reach the market's, or the replacement would offer more than four times the market's.
pub(crate) fn bump_fees(old: Fees, market: Fees) -> Option<Fees> {
    /// The highest offer, in market fees.
    const MAX_MARKET_FEES: u128 = 4;
    if market.max <= old.max && market.tip <= old.tip {
        return None;
    }
    let max = bumped(old.max).max(market.max);
    let tip = bumped(old.tip).max(market.tip);
    let sensible = max <= market.max.saturating_mul(MAX_MARKET_FEES) && tip <= max;
    sensible.then_some(Fees { max, tip })
}

/// The fees of a replacement that nodes accept whatever the market asks: the market's up to `limit`, and never below what
/// nodes want for a replacement.
pub(crate) fn min_replacement_fees(old: Fees, market: Fees, limit: Option<u128>) -> Fees {
    let sought = market.max.min(limit.unwrap_or(u128::MAX));
    let max = bumped(old.max).max(sought);
    // No transaction tips more than its fee, so neither does its replacement.
    let tip = bumped(old.tip).max(market.tip);
    Fees {
        max,
        tip: tip.min(max),
    }
}

/// An eighth more and one: what nodes want for a replacement is a tenth more.
const fn bumped(fee: u128) -> u128 {
    fee.saturating_add(fee / 8).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn fees(max: u128, tip: u128) -> Fees {
        Fees { max, tip }
    }

    #[test]
    fn a_transaction_that_pays_the_market_fee_is_not_replaced() {
        assert_eq!(bump_fees(fees(100, 10), fees(100, 10)), None);
        assert_eq!(bump_fees(fees(100, 10), fees(1, 1)), None);
    }

    #[test]
    fn a_replacement_pays_the_market_fee_and_what_nodes_want_for_replacing() {
        assert_eq!(bump_fees(fees(80, 8), fees(800, 80)), Some(fees(800, 80)));
        assert_eq!(bump_fees(fees(800, 80), fees(801, 80)), Some(fees(901, 91)));
        assert_eq!(bump_fees(fees(800, 80), fees(800, 81)), Some(fees(901, 91)));
    }

    #[test]
    fn no_replacement_offers_more_than_four_market_fees() {
        assert_eq!(bump_fees(fees(352, 1), fees(100, 2)), Some(fees(397, 2)));
        assert_eq!(bump_fees(fees(356, 1), fees(100, 2)), None);
        assert_eq!(
            bump_fees(fees(u128::MAX, 1), fees(u128::MAX, 2)),
            Some(fees(u128::MAX, 2))
        );
        assert_eq!(
            bump_fees(fees(80, 90), fees(81, 10)),
            None,
            "the tip is part of the fee"
        );
    }

    #[test]
    fn what_must_be_replaced_offers_what_nodes_want_and_the_market_up_to_the_limit() {
        let replacement = |market, limit| min_replacement_fees(fees(80, 8), market, limit);
        assert_eq!(replacement(fees(1, 1), None), fees(91, 10));
        assert_eq!(replacement(fees(800, 80), None), fees(800, 80));
        assert_eq!(replacement(fees(800, 80), Some(100)), fees(100, 80));
        assert_eq!(replacement(fees(800, 200), Some(100)), fees(100, 100));
        assert_eq!(
            replacement(fees(800, 80), Some(90)),
            fees(91, 80),
            "above the limit, so the wallet refuses it instead of underpricing it"
        );
        let highest = fees(u128::MAX, u128::MAX);
        assert_eq!(min_replacement_fees(highest, highest, None), highest);
    }
}
