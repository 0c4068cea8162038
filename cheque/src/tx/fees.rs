//! Fee bumping for replacement transactions.

/// The highest tip that is offered because blocks took it or a node suggests it, in wei per unit of gas (100 gwei). Chains
/// demand 30 gwei at most. A block with a single transaction, or a node that errs, must not cost more; who wants to pay more
/// names the tip.
pub(super) const MAX_TIP: u128 = 100_000_000_000;

/// The fees that a transaction offers, in wei per unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    /// The maximum price of a unit (EIP-1559 `max_fee_per_gas`).
    pub(crate) max: u128,
    /// The proposer's part of the price, at most (EIP-1559 `max_priority_fee_per_gas`).
    pub(crate) tip: u128,
}

/// The base fee may double before the transaction is mined.
pub(super) const BASE_FEES: u128 = 2;

impl Fees {
    /// Returns the price at the present base fee, of fees that the market told.
    pub(crate) const fn at_present(&self) -> u128 {
        (self.max.saturating_sub(self.tip) / BASE_FEES).saturating_add(self.tip)
    }
}

/// Returns the fees for a replacement of a pending transaction: the market's, and at least the minimum bump that nodes
/// demand. `passed_over` if a block was made without the transaction since the last offer.
///
/// `None` if the old fees reach the market's and nothing shows that they are too low, or if the replacement would offer more
/// than four times the market's fee.
pub(crate) fn bump_fees(old: Fees, market: Fees, passed_over: bool) -> Option<Fees> {
    /// The highest offer, as a multiple of the market's fee.
    const MAX_MARKET_FEES: u128 = 4;
    /// The least tip of a transaction that was passed over at the market's tip, as a part of the market's fee: a sixteenth of
    /// the base fee, up to the highest tip. An eighth more of a tip of a few wei would never be enough.
    const PART_FOR_TIP: u128 = 32;
    let is_at_market = market.max <= old.max && market.tip <= old.tip;
    let least_tip = match (is_at_market, passed_over) {
        (false, _) => market.tip,
        (true, true) => market.tip.max((market.max / PART_FOR_TIP).min(MAX_TIP)),
        (true, false) => return None,
    };
    let max = bumped(old.max).max(market.max);
    let tip = bumped(old.tip).max(least_tip);
    let sensible = max <= market.max.saturating_mul(MAX_MARKET_FEES) && tip <= max;
    sensible.then_some(Fees { max, tip })
}

/// Returns the fees for a replacement that nodes accept at any market price: the market's up to `limit`, and at least the
/// minimum bump. The bump wins over `limit`; the caller checks the result against its limit.
pub(crate) fn min_replacement_fees(old: Fees, market: Fees, limit: Option<u128>) -> Fees {
    let target = market.max.min(limit.unwrap_or(u128::MAX));
    let max = bumped(old.max).max(target);
    // A tip is part of the fee, so it must not exceed the fee.
    let tip = bumped(old.tip).max(market.tip);
    Fees {
        max,
        tip: tip.min(max),
    }
}

/// Adds an eighth and one wei, rounded down. Nodes demand a tenth more for a replacement.
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
    fn keeps_transaction_at_market_fee() {
        assert_eq!(bump_fees(fees(100, 10), fees(100, 10), false), None);
        assert_eq!(bump_fees(fees(100, 10), fees(1, 1), false), None);
    }

    #[test]
    fn raises_passed_over_transaction_above_market_fee() {
        let again = |old| bump_fees(old, fees(3_200, 1), true);
        let first = again(fees(3_200, 1)).unwrap();
        assert_eq!(first, fees(3_601, 100));
        assert_eq!(again(first), Some(fees(4_052, 113)));
        // Up to four times the market's fee, and a market above the old offer decides alone.
        assert_eq!(again(fees(11_377, 900)), Some(fees(12_800, 1_013)));
        assert_eq!(again(fees(11_378, 900)), None);
        assert_eq!(
            bump_fees(fees(80, 8), fees(800, 9), true),
            Some(fees(800, 10))
        );
    }

    #[test]
    fn bumps_to_market_fee_and_min_bump() {
        assert_eq!(
            bump_fees(fees(80, 8), fees(800, 80), false),
            Some(fees(800, 80))
        );
        assert_eq!(
            bump_fees(fees(800, 80), fees(801, 80), false),
            Some(fees(901, 91))
        );
        assert_eq!(
            bump_fees(fees(800, 80), fees(800, 81), false),
            Some(fees(901, 91))
        );
    }

    #[test]
    fn refuses_bump_above_four_market_fees() {
        assert_eq!(
            bump_fees(fees(352, 1), fees(100, 2), false),
            Some(fees(397, 2))
        );
        assert_eq!(bump_fees(fees(356, 1), fees(100, 2), false), None);
        assert_eq!(
            bump_fees(fees(u128::MAX, 1), fees(u128::MAX, 2), false),
            Some(fees(u128::MAX, 2))
        );
        assert_eq!(
            bump_fees(fees(80, 90), fees(81, 10), false),
            None,
            "the tip is part of the fee"
        );
    }

    #[test]
    fn caps_replacement_at_limit_but_not_below_min_bump() {
        let replacement = |market, limit| min_replacement_fees(fees(80, 8), market, limit);
        assert_eq!(replacement(fees(1, 1), None), fees(91, 10));
        assert_eq!(replacement(fees(800, 80), None), fees(800, 80));
        assert_eq!(replacement(fees(800, 80), Some(100)), fees(100, 80));
        assert_eq!(replacement(fees(800, 200), Some(100)), fees(100, 100));
        assert_eq!(
            replacement(fees(800, 80), Some(90)),
            fees(91, 80),
            "the minimum bump exceeds the limit, so the wallet refuses to sign"
        );
        let highest = fees(u128::MAX, u128::MAX);
        assert_eq!(min_replacement_fees(highest, highest, None), highest);
    }
}
