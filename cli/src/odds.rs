//! Expected value and variance of a payout before the draw, in exact integers rounded down.

use alloy::primitives::{U256, U512};
use cheque::{Amount, Payout};

/// Expected value and variance of a payout, or of several independent payouts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Odds {
    /// chance * payout, in units.
    pub(crate) expected: U256,
    /// chance * (1 - chance) * payout^2, in units^2.
    pub(crate) variance: U512,
}

impl Odds {
    /// Computes the odds of a payout from a deposit of `amount`: chance = range / amount.
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

    /// Adds the odds of independent payouts. Deposits drawn by the same round are independent too, because the roll
    /// depends on the deposit's id.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            expected: self.expected.saturating_add(other.expected),
            variance: self.variance.saturating_add(other.variance),
        }
    }

    /// Computes the standard deviation, in units, rounded down.
    pub(crate) fn deviation(&self) -> U256 {
        square_root(self.variance)
    }
}

/// Computes the integer square root, rounded down, by Newton's method from above.
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
    fn computes_mean_and_deviation_of_fair_coins() {
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
    fn gives_certainty_no_variance() {
        assert_eq!(odds(100, 100, 100).variance, U512::ZERO);
        assert_eq!(odds(0, 100, 100).variance, U512::ZERO);
    }

    #[test]
    fn computes_the_largest_amounts_without_overflow() {
        let max = odds(u128::MAX / 2, u128::MAX, u128::MAX);
        assert_eq!(max.expected, U256::from(u128::MAX / 2));
        // The variance is payout^2 / 4, less a rest because half of an odd amount is rounded down.
        let half = U256::from(u128::MAX) / U256::from(2);
        assert!(max.deviation() <= half + U256::from(1) && max.deviation() >= half - U256::from(1));
    }

    #[test]
    fn rounds_square_roots_down() {
        for n in 0_u64..2000 {
            let root: u64 = square_root(U512::from(n)).to();
            assert!(root * root <= n && (root + 1) * (root + 1) > n, "{n}");
        }
        assert_eq!(square_root(U512::MAX), U256::MAX);
    }
}
