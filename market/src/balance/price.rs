//! What connection and service cost, in integers and without losing fractions.

use ruint::aliases::{U256, U512};

/// A token has this many of the parts that charges are counted in, so that every price is a whole number per nanosecond.
const PARTS: u64 = 1_000_000_000_000_000;
const PARTS_OF_A_NANO: u64 = 1_000_000;

/// Prices of a connection.
///
/// A connection of `t` nanoseconds at a capacity with requests of a total cost is charged
///
/// ```text
/// t · time / 10^9  +  t · capacity · capacity_factor / 10^15  +  cost · request / 10^9   tokens
/// ```
///
/// (the formula of the LES server in go-ethereum). Fractions of a token are carried over to the next charge, so many
/// small charges cost what one large one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PriceFactors {
    /// Tokens per second of connection.
    pub time: u64,
    /// Tokens per second of connection for every 1,000,000 units of capacity.
    pub capacity: u64,
    /// Tokens per 1,000,000,000 units of request cost; per second of service, if costs are counted in nanoseconds.
    pub request: u64,
}

/// The prices of a client: while it has tokens, and for what goes beyond them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prices {
    /// Taken from the positive balance.
    pub positive: PriceFactors,
    /// Added to the negative balance when there is no positive one.
    pub negative: PriceFactors,
}

/// What is charged for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Nanoseconds of connection.
    pub(super) time_ns: u64,
    /// At this capacity.
    pub(super) capacity: u64,
    /// And requests of this cost.
    pub(super) cost: u64,
}

/// A sum of money in parts of a token. Factors of 64 bits keep it far from 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Charge(U256);

/// Part of a token that was used and not charged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest(u64);

impl PriceFactors {
    pub(super) fn charge(&self, usage: Usage) -> Charge {
        let requests =
            U256::from(usage.cost) * U256::from(self.request) * U256::from(PARTS_OF_A_NANO);
        Charge(self.per_ns(usage.capacity) * U256::from(usage.time_ns) + requests)
    }

    /// The nanoseconds of connection after which `tokens` whole tokens have been charged; `None`: never.
    pub(super) fn time_for(&self, tokens: u64, rest: Rest, capacity: u64) -> Option<u64> {
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

    fn per_ns(&self, capacity: u64) -> U256 {
        let time = U256::from(self.time) * U256::from(PARTS_OF_A_NANO);
        time + U256::from(self.capacity) * U256::from(capacity)
    }
}

impl Charge {
    /// What is to be taken from `tokens`, which are not 0, and then: the rest to be charged later or, if the charge is
    /// more than there is, the share of the usage that is left.
    pub(super) fn taken_from(self, rest: Rest, tokens: u64) -> (u64, Result<Rest, Uncovered>) {
        let due = self.0 + U256::from(rest.0);
        let (whole, rest) = due.div_rem(U256::from(PARTS));
        if whole <= U256::from(tokens) {
            return (whole.to(), Ok(Rest(rest.to())));
        }
        let uncovered = due - U256::from(tokens) * U256::from(PARTS);
        let share = Uncovered {
            // Not above `of`: the rest is less than a token, and at least one token is taken.
            part: uncovered,
            of: self.0,
        };
        (tokens, Err(share))
    }

    /// Whole tokens, at most 2^63 - 1, and the rest.
    pub(super) fn tokens(self, rest: Rest) -> (i64, Rest) {
        let (whole, rest) = (self.0 + U256::from(rest.0)).div_rem(U256::from(PARTS));
        match i64::try_from(whole) {
            Ok(whole) => (whole, Rest(rest.to())),
            Err(_) => (i64::MAX, Rest(0)),
        }
    }

    /// The charge for a share of what this is the whole charge of, rounded up against the client by less than a part.
    pub(super) fn share(self, share: Uncovered) -> Self {
        let product = U512::from(self.0) * U512::from(share.part);
        let charge = product.div_ceil(U512::from(share.of));
        // Not above `self`, because `part` is not above `of`.
        Self(charge.saturating_to())
    }
}

/// The share of a usage that the positive balance was too small for. `of` is not zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uncovered {
    part: U256,
    of: U256,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(factors: PriceFactors, usage: Usage) -> i64 {
        factors.charge(usage).tokens(Rest::default()).0
    }

    #[test]
    fn each_factor_has_its_unit() {
        let second = Usage {
            time_ns: 1_000_000_000,
            capacity: 3_000_000,
            cost: 2_000_000_000,
        };
        let price = |time, capacity, request| PriceFactors {
            time,
            capacity,
            request,
        };
        assert_eq!(tokens(price(5, 0, 0), second), 5);
        assert_eq!(tokens(price(0, 5, 0), second), 15);
        assert_eq!(tokens(price(0, 0, 5), second), 10);
        assert_eq!(tokens(price(5, 5, 5), second), 30);
    }

    #[test]
    fn the_largest_usage_at_the_largest_prices_is_the_largest_charge() {
        let most = PriceFactors {
            time: u64::MAX,
            capacity: u64::MAX,
            request: u64::MAX,
        };
        let usage = Usage {
            time_ns: u64::MAX,
            capacity: u64::MAX,
            cost: u64::MAX,
        };
        let charge = most.charge(usage);
        assert_eq!(charge.tokens(Rest(PARTS - 1)), (i64::MAX, Rest(0)));
        let (taken, uncovered) = charge.taken_from(Rest(0), u64::MAX);
        assert_eq!(taken, u64::MAX);
        assert!(charge.share(uncovered.unwrap_err()) < charge);
    }

    #[test]
    fn small_charges_add_up_to_a_large_one() {
        let price = PriceFactors {
            time: 333_333_333,
            capacity: 7,
            request: 0,
        };
        let usage = |time_ns| Usage {
            time_ns,
            capacity: 123_456,
            cost: 0,
        };
        let (mut sum, mut rest) = (0, Rest::default());
        for _ in 0..1_000 {
            let charged = price.charge(usage(1)).tokens(rest);
            sum += charged.0;
            rest = charged.1;
        }
        assert_eq!((sum, rest), price.charge(usage(1_000)).tokens(Rest(0)));
        assert_eq!(sum, 333);
    }

    #[test]
    fn time_for_some_tokens_is_the_first_moment_they_are_charged() {
        let price = PriceFactors {
            time: 3,
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
        let time = price.time_for(10, Rest(0), 0).unwrap();
        assert_eq!((after(time - 1), after(time)), (9, 10));
        assert_eq!(price.time_for(0, Rest(0), 0), Some(0));
        assert_eq!(PriceFactors::default().time_for(1, Rest(5), 9), None);
        assert_eq!(price.time_for(u64::MAX, Rest(0), 0), None);
    }
}
