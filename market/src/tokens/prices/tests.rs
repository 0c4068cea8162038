//! The reference's vectors, inverses, splitting, and the documented bounds against a big-number oracle.

use super::*;
use dashu_float::{FBig, round::mode::HalfEven};
use proptest::prelude::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

type Real = FBig<HalfEven, 2>;

/// Converts with 400 bits: the oracle's own error is far below every tested bound.
fn real(integer: u128) -> Real {
    Real::from(integer).with_precision(400).value()
}

fn prices(limit: u64) -> TokenPrices {
    TokenPrices::new(NonZeroU64::new(limit).unwrap())
}

/// Returns `cost(amount)` without rounding, in units of 2^-32.
fn true_cost(amount: u64, limit: u64) -> Real {
    let (amount, limit) = (real(amount.into()), real(limit.into()));
    let x = &amount / &limit;
    let relative = if &x + &x <= real(1) {
        &x * &x
    } else {
        real(1) / real(4) - (real(2) - &x - &x).ln() / real(2)
    };
    relative * limit * real(1 << 32)
}

fn distance(a: Real, b: Real) -> Real {
    if a > b { a - b } else { b - a }
}

#[test]
fn matches_costs_of_the_vectors() {
    // Tokens, amount before, cost in 1/10,000.
    let vectors = [
        (250, 0, 625_000),
        (500, 0, 2_500_000),
        (250, 250, 1_875_000),
        (250, 500, 3_465_736),
        (400, 500, 8_047_190),
        (200, 400, 2_015_718),
    ];
    for (tokens, amount, cost) in vectors {
        let Rcu(units) = prices(1_000).buy(tokens, amount).unwrap();
        assert_eq!(
            (units * 10_000 + (1 << 31)) >> 32,
            cost,
            "{tokens} from {amount}"
        );
    }
    assert_eq!(prices(1_000).buy(500, 0), Ok(Rcu::new(250)));
}

#[test]
fn prices_at_twice_the_share_then_grows_without_bound() {
    let price = |amount| prices(1_000).price(amount).map(Rcu::units);
    assert_eq!(price(0), Some(0));
    assert_eq!(price(250), Some(1 << 31));
    assert_eq!(price(500), Some(1 << 32));
    assert_eq!(price(750), Some(2 << 32));
    assert_eq!(price(900), Some(5 << 32));
    assert_eq!(price(999), Some(500 << 32));
    assert_eq!([price(1_000), price(1_001)], [None, None]);
    // 2/1000 and 1000/998, rounded up.
    assert_eq!(price(1), Some((1 << 33) / 1_000 + 1));
    assert_eq!(price(501), Some((1_000 << 32) / 998 + 1));
}

#[test]
fn never_sells_up_to_the_limit() {
    let all = |available| {
        Err(BuyError::Limit {
            tokens: 1_000,
            available,
        })
    };
    assert!(prices(1_000).buy(999, 0).is_ok());
    assert_eq!(prices(1_000).buy(1_000, 0), all(999));
    assert_eq!(prices(1_000).buy(1_000, 2_000), all(0));
    assert_eq!(prices(1_000).buy(0, 2_000), Ok(Rcu(0)));
    assert_eq!(
        prices(1).buy(1, 0),
        Err(BuyError::Limit {
            tokens: 1,
            available: 0
        })
    );
}

#[test]
fn pays_out_at_most_the_price_at_nine_tenths() {
    let sell = |tokens, amount| prices(1_000).sell(tokens, amount);
    assert_eq!(sell(99, 999), Rcu::new(5 * 99));
    assert_eq!(sell(1_000, 5_000), Rcu::new(5_000));
    assert_eq!(Ok(sell(400, 900)), prices(1_000).buy(400, 500));
    let below = sell(10, 900);
    assert!(below < Rcu::new(50) && below > Rcu::new(45));
    // More than exist: all there is.
    assert_eq!(sell(11, 10), sell(10, 10));
    assert_eq!(sell(u64::MAX, 10), sell(10, 10));
}

#[test]
fn rounds_charges_up_and_payouts_down() {
    let sum = Rcu::from_units((5 << 32) + 1);
    assert_eq!(
        (sum.to_charge(Log2::ZERO), sum.to_pay_out(Log2::ZERO)),
        (Some(6), Some(5))
    );
    let whole = Rcu::new(5);
    assert_eq!(
        (whole.to_charge(Log2::ZERO), whole.to_pay_out(Log2::ZERO)),
        (Some(5), Some(5))
    );
    assert_eq!(whole.to_charge(Log2::from_octaves(60)), Some(5 << 60));
    assert_eq!(whole.to_pay_out(Log2::from_octaves(125)), None);
}

/// The reference allowed an error of 10^-6; this crate is exact.
#[test]
fn breaks_even_when_buying_and_selling_in_two_steps() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..100_000 {
        let limit = (random.next_u64() >> (random.next_u32() % 60)).max(10);
        let prices = prices(limit);
        // Up to nine tenths, above which selling pays out less.
        let top = (u128::from(limit) * 9 / 10) as u64;
        let mut points = [0; 4].map(|_| random.next_u64() % (top + 1));
        points.sort_unstable();
        let [start, up, down, end] = points;

        let bought = prices.buy(up - start, start).unwrap().0 + prices.buy(end - up, up).unwrap().0;
        let sold = prices.sell(end - down, end).0 + prices.sell(down - start, down).0;
        assert_eq!(bought, sold, "limit {limit}, {points:?}");
        assert_eq!(prices.buy(end - start, start), Ok(Rcu(bought)));
    }
}

prop_compose! {
    /// A limit, and two amounts below the limit.
    fn markets()(limit in 1u64.., shift in 0u32..63, a: u64, b: u64) -> (u64, u64, u64) {
        let limit = (limit >> shift).max(1);
        (limit, a % limit, b % limit)
    }
}

proptest! {
    #[test]
    fn keeps_cost_within_2_to_the_minus_31((limit, a, b) in markets()) {
        let (from, to) = (a.min(b), a.max(b));
        let cost = prices(limit).buy(to - from, from).unwrap();
        let exact = true_cost(to, limit) - true_cost(from, limit);
        prop_assert!(distance(real(cost.0), exact) < real(2));
    }

    #[test]
    fn keeps_cost_near_the_limit_within_2_to_the_minus_31(limit in 3u64.., left in 1u64..3) {
        let cost = prices(limit).buy(limit - left, 0).unwrap();
        prop_assert!(distance(real(cost.0), true_cost(limit - left, limit)) < real(2));
    }

    #[test]
    fn never_charges_less_for_more_tokens((limit, a, b) in markets()) {
        let cost = |amount| prices(limit).buy(amount, 0).unwrap();
        prop_assert!(cost(a.min(b)) <= cost(a.max(b)));
    }

    #[test]
    fn never_pays_out_more_than_buying_costs((limit, a, b) in markets()) {
        let (from, to) = (a.min(b), a.max(b));
        let bought = prices(limit).buy(to - from, from).unwrap();
        prop_assert!(prices(limit).sell(to - from, to) <= bought);
    }

    #[test]
    fn buys_as_many_tokens_as_the_sum_covers((limit, amount, _) in markets(), sum: u128, shift in 0u32..128) {
        let (prices, sum) = (prices(limit), Rcu(sum >> shift));
        let tokens = prices.tokens_for(sum, amount);
        prop_assert!(prices.buy(tokens, amount).unwrap() <= sum);
        prop_assert!(prices.buy(tokens + 1, amount).map_or(true, |cost| cost > sum));
    }

    #[test]
    fn raises_a_sum_with_the_fewest_tokens(
        (limit, amount, _) in markets(), over in 0u64..1_000, sum: u128, shift in 0u32..128,
    ) {
        let (prices, sum) = (prices(limit), Rcu(sum >> shift));
        let amount = amount.saturating_add(over);
        match prices.tokens_to_raise(sum, amount) {
            None => prop_assert!(prices.sell(amount, amount) < sum),
            Some(tokens) => {
                prop_assert!(prices.sell(tokens, amount) >= sum);
                prop_assert!(tokens == 0 || prices.sell(tokens - 1, amount) < sum);
            }
        }
    }
}
