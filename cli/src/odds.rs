//! What a cheque is worth before the draw: chance, expected value, variance. Exact integers, each rounded down.

use alloy::primitives::{U256, U512};
use cheque::{Amount, Payout};

/// Expected value and spread of one prize, or of several independent ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Odds {
    /// chance * payout, in units.
    pub(crate) expected: U256,
    /// chance * (1 - chance) * payout^2, in units^2.
    pub(crate) variance: U512,
}

impl Odds {
    /// Of a prize from a deposit of `amount`: chance = range / amount.
    pub(crate) fn of(payout: &Payout, amount: Amount) -> Self {
        let (range, payout, amount) = (
            payout.range.to_u256(),
            payout.amount.to_u256(),
            amount.to_u256(),
        );
        let loses = amount.saturating_sub(range);
        // Four factors of 128 bits each.
        let wide = U512::from(range) * U512::from(loses) * U512::from(payout) * U512::from(payout);
        let square = U512::from(amount) * U512::from(amount);
        Self {
            expected: (range * payout).checked_div(amount).unwrap_or_default(),
            variance: wide.checked_div(square).unwrap_or_default(),
        }
    }

    /// Of both together, if one does not depend on the other. Deposits drawn by the same block are independent, too: the
    /// roll depends on the deposit's id.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            expected: self.expected.saturating_add(other.expected),
            variance: self.variance.saturating_add(other.variance),
        }
    }

    /// The standard deviation, in units.
    pub(crate) fn deviation(&self) -> U256 {
        square_root(self.variance)
    }
}

/// The integer square root, by Newton's method from above.
fn square_root(square: U512) -> U256 {
    if square.is_zero() {
        return U256::ZERO;
    }
    let mut root = U512::from(1) << square.bit_len().div_ceil(2);
    loop {
        let next: U512 = (root + square / root) >> 1;
        if next >= root {
            // The root of 512 bits has 256.
            return root.saturating_to();
        }
        root = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odds(range: u128, payout: u128, amount: u128) -> Odds {
        let payout = Payout {
            amount: Amount::new(payout),
            range: Amount::new(range),
        };
        Odds::of(&payout, Amount::new(amount))
    }

    #[test]
    fn a_fair_coin_for_ten_has_mean_five_and_deviation_five() {
        let coin = odds(50, 10, 100);
        assert_eq!(
            (coin.expected, coin.variance),
            (U256::from(5), U512::from(25))
        );
        assert_eq!(coin.deviation(), U256::from(5));
        let four = coin.and(coin).and(coin).and(coin);
        assert_eq!(
            (four.expected, four.deviation()),
            (U256::from(20), U256::from(10))
        );
    }

    #[test]
    fn certainty_has_no_variance() {
        assert_eq!(odds(100, 100, 100).variance, U512::ZERO);
        assert_eq!(odds(0, 100, 100).variance, U512::ZERO);
    }

    #[test]
    fn the_largest_amounts_do_not_overflow() {
        let most = odds(u128::MAX / 2, u128::MAX, u128::MAX);
        assert_eq!(most.expected, U256::from(u128::MAX / 2));
        // 1/4 payout^2 less what the odd half takes away.
        let half = U256::from(u128::MAX) / U256::from(2);
        assert!(
            most.deviation() <= half + U256::from(1) && most.deviation() >= half - U256::from(1)
        );
    }

    #[test]
    fn square_roots_round_down() {
        for n in 0_u64..2000 {
            let root: u64 = square_root(U512::from(n)).to();
            assert!(root * root <= n && (root + 1) * (root + 1) > n, "{n}");
        }
        assert_eq!(square_root(U512::MAX), U256::MAX);
    }
}
