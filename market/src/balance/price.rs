//! Prices of connection and service, in integers and without lost fractions.

use super::decimal::Price;
use ruint::aliases::{U256, U512};

/// Parts of a token in which charges are counted; they make every price a whole number per nanosecond.
pub(super) const PARTS: u128 = 1_000_000_000_000_000_000_000_000;
/// Parts in the billionth of a billionth of a token.
const PARTS_PER_STEP: u64 = 1_000_000;

/// Prices of a connection.
///
/// A connection of `t` nanoseconds at a capacity with requests of a total cost is charged
///
/// ```text
/// t · time / 10^9  +  t · capacity · capacity_factor / 10^15  +  cost · request / 10^9   tokens
/// ```
///
/// (the formula of the LES server in go-ethereum). Fractions of a token are carried over to the next charge, so many
/// small charges sum up to a large one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PriceFactors {
    /// Tokens per second of connection.
    pub time: Price,
    /// Tokens per second of connection for every 1,000,000 units of capacity.
    pub capacity: Price,
    /// Tokens per 1,000,000,000 units of request cost: tokens per second of service if costs are nanoseconds.
    pub request: Price,
}

/// Prices of a client, with and without tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServicePrices {
    /// Taken from the positive balance.
    pub positive: PriceFactors,
    /// Added to the negative balance once the positive balance is 0.
    pub negative: PriceFactors,
}

/// Usage to charge for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Nanoseconds of connection.
    pub(super) time_ns: u64,
    /// Capacity during that time.
    pub(super) capacity: u64,
    /// Cost of requests.
    pub(super) cost: u64,
}

/// A sum of tokens in parts of a token: below 2^224, for prices below 2^94 and factors of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Charge(U256);

/// Used part of a token that is not charged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Remainder(u128);

impl PriceFactors {
    pub(super) fn charge(&self, usage: Usage) -> Charge {
        let requests = U256::from(usage.cost) * self.per_cost();
        Charge(self.per_ns(usage.capacity) * U256::from(usage.time_ns) + requests)
    }

    /// Returns the nanoseconds of connection after which `tokens` whole tokens are charged; `None` for never.
    pub(super) fn time_for(&self, tokens: u64, rest: Remainder, capacity: u64) -> Option<u64> {
        let missing = (U256::from(tokens) * U256::from(PARTS)).saturating_sub(U256::from(rest.0));
        let per_ns = self.per_ns(capacity);
        if missing.is_zero() {
            return Some(0);
        }
        if per_ns.is_zero() {
            return None;
        }
        missing.div_ceil(per_ns).try_into().ok()
    }

    /// Returns parts of a token per nanosecond of connection.
    pub(super) fn per_ns(&self, capacity: u64) -> U256 {
        let time = U256::from(self.time.billionths()) * U256::from(PARTS_PER_STEP);
        time + U256::from(self.capacity.billionths()) * U256::from(capacity)
    }

    fn per_cost(&self) -> U256 {
        U256::from(self.request.billionths()) * U256::from(PARTS_PER_STEP)
    }
}

impl Charge {
    /// Takes the charge from `tokens`, which are not 0. Returns the tokens taken, and the remainder for the next
    /// charge or, if the charge exceeds the tokens, the uncovered share of the usage.
    pub(super) fn taken_from(
        self,
        rest: Remainder,
        tokens: u64,
    ) -> (u64, Result<Remainder, Uncovered>) {
        let due = self.0 + U256::from(rest.0);
        let (whole, rest) = by_parts(due);
        if whole <= U256::from(tokens) {
            return (whole.to(), Ok(Remainder(rest.to())));
        }
        let uncovered = due - U256::from(tokens) * U256::from(PARTS);
        let share = Uncovered {
            // Not above `of`: the remainder is less than a token, and at least one token is taken.
            part: uncovered,
            of: self.0,
        };
        (tokens, Err(share))
    }

    /// Returns whole tokens, at most 2^63 - 1, and the remainder.
    pub(super) fn tokens(self, rest: Remainder) -> (i64, Remainder) {
        let (whole, rest) = by_parts(self.0 + U256::from(rest.0));
        match i64::try_from(whole) {
            Ok(whole) => (whole, Remainder(rest.to())),
            Err(_) => (i64::MAX, Remainder(0)),
        }
    }

    /// Returns a share of this charge, rounded up against the client by less than one part.
    pub(super) fn share(self, share: Uncovered) -> Self {
        let product = U512::from(self.0) * U512::from(share.part);
        let charge = product.div_ceil(U512::from(share.of));
        // Not above `self`, because `part` is not above `of`.
        Self(charge.saturating_to())
    }
}

/// Divides by the parts of a token. Nearly all charges fit in 128 bits, of which a division is quick.
fn by_parts(due: U256) -> (U256, U256) {
    match u128::try_from(due) {
        Ok(due) => (U256::from(due / PARTS), U256::from(due % PARTS)),
        Err(_) => due.div_rem(U256::from(PARTS)),
    }
}

/// The share of a usage that the positive balance did not cover. `of` is not zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uncovered {
    part: U256,
    of: U256,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(factors: PriceFactors, usage: Usage) -> i64 {
        factors.charge(usage).tokens(Remainder::default()).0
    }

    #[test]
    fn charges_each_factor_in_its_unit() {
        let second = Usage {
            time_ns: 1_000_000_000,
            capacity: 3_000_000,
            cost: 2_000_000_000,
        };
        let price = |time: u64, capacity: u64, request: u64| PriceFactors {
            time: time.into(),
            capacity: capacity.into(),
            request: request.into(),
        };
        assert_eq!(tokens(price(5, 0, 0), second), 5);
        assert_eq!(tokens(price(0, 5, 0), second), 15);
        assert_eq!(tokens(price(0, 0, 5), second), 10);
        assert_eq!(tokens(price(5, 5, 5), second), 30);
    }

    #[test]
    fn charges_fractions_of_a_token_per_second() {
        let half = PriceFactors {
            time: "0.5".parse().unwrap(),
            capacity: "0.25".parse().unwrap(),
            request: "0.000000001".parse().unwrap(),
        };
        let usage = |seconds: u64| Usage {
            time_ns: seconds * 1_000_000_000,
            capacity: 2_000_000,
            cost: seconds * 1_000_000_000,
        };
        assert_eq!([tokens(half, usage(1)), tokens(half, usage(7))], [1, 7]);
        let only = PriceFactors {
            time: Price::ZERO,
            capacity: Price::ZERO,
            ..half
        };
        assert_eq!(
            [
                tokens(only, usage(999_999_999)),
                tokens(only, usage(1_000_000_000))
            ],
            [0, 1]
        );
    }

    #[test]
    fn caps_charge_of_largest_usage_at_largest_prices() {
        let max = PriceFactors {
            time: u64::MAX.into(),
            capacity: u64::MAX.into(),
            request: u64::MAX.into(),
        };
        let usage = Usage {
            time_ns: u64::MAX,
            capacity: u64::MAX,
            cost: u64::MAX,
        };
        let charge = max.charge(usage);
        assert_eq!(
            charge.tokens(Remainder(PARTS - 1)),
            (i64::MAX, Remainder(0))
        );
        let (taken, uncovered) = charge.taken_from(Remainder(0), u64::MAX);
        assert_eq!(taken, u64::MAX);
        assert!(charge.share(uncovered.unwrap_err()) < charge);
    }

    #[test]
    fn sums_small_charges_to_a_large_one() {
        let price = PriceFactors {
            time: 333_333_333.into(),
            capacity: 7.into(),
            request: Price::ZERO,
        };
        let usage = |time_ns| Usage {
            time_ns,
            capacity: 123_456,
            cost: 0,
        };
        let (mut sum, mut rest) = (0, Remainder::default());
        for _ in 0..1_000 {
            let charged = price.charge(usage(1)).tokens(rest);
            sum += charged.0;
            rest = charged.1;
        }
        assert_eq!((sum, rest), price.charge(usage(1_000)).tokens(Remainder(0)));
        assert_eq!(sum, 333);
    }

    #[test]
    fn finds_first_moment_at_which_tokens_are_charged() {
        let price = PriceFactors {
            time: 3.into(),
            ..PriceFactors::default()
        };
        let after = |time_ns| {
            tokens(
                price,
                Usage {
                    time_ns,
                    ..Usage::default()
                },
            )
        };
        let time = price.time_for(10, Remainder(0), 0).unwrap();
        assert_eq!((after(time - 1), after(time)), (9, 10));
        assert_eq!(price.time_for(0, Remainder(0), 0), Some(0));
        assert_eq!(PriceFactors::default().time_for(1, Remainder(5), 9), None);
        assert_eq!(price.time_for(u64::MAX, Remainder(0), 0), None);
    }
}
