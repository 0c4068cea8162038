//! Trades, adjustments, limits, and balanced books.

use super::*;
use proptest::prelude::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

fn limit(limit: u64) -> NonZeroU64 {
    NonZeroU64::new(limit).unwrap()
}

/// Returns a curve of 2^20 tokens at 2^20 units of currency, with `amount` of them sold.
fn curve(amount: u64) -> BondingCurve {
    BondingCurve::restore(amount, limit(1 << 20), Log2::from_octaves(20)).unwrap()
}

#[test]
fn locks_the_integral_of_the_price() {
    assert_eq!(curve(0).locked(), 0);
    assert_eq!(curve(1 << 18).locked(), 1 << 36);
    assert_eq!(curve(1 << 19).locked(), 1 << 38);
    // At 3/4: (1/4 + ln(2)/2) · 2^40, rounded up.
    assert_eq!(curve(3 << 18).locked(), 655_939_599_337);
}

#[test]
fn prices_a_trade_by_the_difference_of_locked_currency() {
    let half = curve(1 << 19);
    assert_eq!(half.price(0), Some(0));
    assert_eq!(half.price(-(1 << 18)), Some((1 << 36) - (1 << 38)));
    assert_eq!(half.price(-(1 << 19)), Some(-(1 << 38)));
    assert_eq!(half.price(1 << 18), Some(655_939_599_337 - (1 << 38)));
    // The last segment is not for sale.
    assert!(half.price((1 << 19) - 64).is_some());
    assert_eq!(half.price((1 << 19) - 63), None);
    assert_eq!(half.price(i64::MAX), None);
}

#[test]
fn buys_the_most_tokens_for_the_money() {
    let mut curve = curve(1 << 18);
    let money = (1 << 38) - (1 << 36);
    let all = Some(Exchanged {
        tokens: 1 << 18,
        cost: money,
    });
    assert_eq!(curve.clone().exchange(1, i64::MAX, money), all);
    let one_less = curve.clone().exchange(1, i64::MAX, money - 1).unwrap();
    assert_eq!(one_less.tokens, (1 << 18) - 1);
    assert_eq!(curve.clone().exchange(1, 5, money).unwrap().tokens, 5);
    assert_eq!(curve.exchange(1 << 18, i64::MAX, money - 1), None);
    assert_eq!(curve, self::curve(1 << 18));
}

#[test]
fn sells_the_fewest_tokens_that_give_the_money() {
    let proceeds = (1 << 36) - (1 << 38);
    let mut curve = curve(1 << 19);
    assert_eq!(
        curve.clone().exchange(i64::MIN, 0, 0),
        Some(Exchanged { tokens: 0, cost: 0 })
    );
    let one_more = curve.clone().exchange(i64::MIN, 0, proceeds - 1).unwrap();
    assert_eq!(one_more.tokens, -(1 << 18) - 1);
    // More currency than is locked.
    assert_eq!(curve.exchange(i64::MIN, 0, -(1 << 38) - 1), None);
    let sold = Some(Exchanged {
        tokens: -(1 << 18),
        cost: proceeds,
    });
    assert_eq!(curve.exchange(i64::MIN, 0, proceeds), sold);
    assert_eq!((curve.amount(), curve.locked()), (1 << 18, 1 << 36));
}

#[test]
fn rejects_empty_range() {
    assert_eq!(curve(100).exchange(6, 5, i128::MAX), None);
    assert_eq!(curve(0).exchange(1 << 20, i64::MAX, i128::MAX), None);
}

#[test]
fn earns_currency_of_spent_tokens() {
    let mut curve = curve(1 << 19);
    let adjusted = curve.adjust(1 << 18, curve.limit(), curve.log_base_price());
    assert_eq!(
        adjusted,
        Adjusted {
            earned: (1 << 38) - (1 << 36),
            gifted: 0,
            reached: true
        }
    );
    assert_eq!(curve, self::curve(1 << 18));
}

#[test]
fn unlocks_currency_by_larger_limit_and_lower_price() {
    let mut curve = curve(1 << 19);
    // x falls to 1/4: 2^21 · (1/4)^2 · 2^19.
    let adjusted = curve.adjust(1 << 19, limit(1 << 21), Log2::from_octaves(19));
    assert_eq!(
        adjusted,
        Adjusted {
            earned: (1 << 38) - (1 << 36),
            gifted: 0,
            reached: true
        }
    );
    assert_eq!(curve.locked(), 1 << 36);
}

#[test]
fn raises_base_price_as_far_as_spending_allows() {
    let mut curve = curve(1 << 19);
    let spent_half = curve.adjust(1 << 18, limit(1 << 20), Log2::from_octaves(23));
    // A quarter is locked at the old price, which pays for two octaves of the three.
    assert_eq!(
        spent_half,
        Adjusted {
            earned: 0,
            gifted: 0,
            reached: false
        }
    );
    assert_eq!(
        (curve.log_base_price(), curve.locked()),
        (Log2::from_octaves(22), 1 << 38)
    );
    // Nothing was spent, so nothing moves.
    let before = curve.clone();
    let nothing_spent = curve.adjust(1 << 18, limit(1 << 20), Log2::from_octaves(23));
    assert_eq!(
        nothing_spent,
        Adjusted {
            earned: 0,
            gifted: 0,
            reached: false
        }
    );
    assert_eq!(curve, before);
}

#[test]
fn lowers_limit_as_far_as_spending_allows() {
    let mut curve = curve(1 << 19);
    let adjusted = curve.adjust(1 << 18, limit(1 << 10), Log2::from_octaves(20));
    assert!(!adjusted.reached && curve.limit().get() < 1 << 19 && curve.limit().get() > 1 << 18);
    // One token less of limit would lock more than before.
    let narrower = limit(curve.limit().get() - 1);
    let over = BondingCurve::restore(1 << 18, narrower, Log2::from_octaves(20)).unwrap();
    assert!(curve.locked() <= 1 << 38 && over.locked() > 1 << 38);
    assert_eq!(adjusted.earned, (1 << 38) - curve.locked());
}

#[test]
fn reaches_every_target_without_tokens() {
    let mut curve = curve(1 << 19);
    for (tokens, octaves) in [(1, -300), (u64::MAX, 300), (7, 5)] {
        let adjusted = curve.adjust(0, limit(tokens), Log2::from_octaves(octaves));
        assert!(adjusted.reached);
        assert_eq!((curve.locked(), curve.limit().get()), (0, tokens));
    }
}

/// The older system, and this one before, refused to adjust: one gift of an operator stopped price and limit for ever.
#[test]
fn counts_gifted_tokens_apart_and_adjusts_all_the_rest() {
    let mut curve = curve(1 << 18);
    let (narrow, price) = (limit(1 << 21), Log2::from_octaves(19));
    let adjusted = curve.adjust((1 << 18) + 101, narrow, price);
    assert_eq!((adjusted.gifted, adjusted.reached), (101, true));
    assert_eq!((curve.amount(), curve.limit()), (1 << 18, narrow));
    // Nobody paid for the gifts: they earn nothing when they are spent.
    let locked = curve.locked();
    let adjusted = curve.adjust((1 << 18) + 1, narrow, price);
    assert_eq!((adjusted.gifted, adjusted.earned), (1, 0));
    let adjusted = curve.adjust((1 << 18) - 1, narrow, price);
    assert_eq!(adjusted.gifted, 0);
    assert!(adjusted.earned > 0 && curve.locked() == locked - adjusted.earned);
}

#[test]
fn buys_all_there_is_from_a_customer_who_offers_more() {
    let mut curve = curve(100);
    let all = curve.price(-100);
    assert_eq!(curve.price(-101), all);
    assert_eq!(curve.price(i64::MIN), all);
    let sold = curve.exchange(i64::MIN, -200, 0).unwrap();
    assert_eq!((sold.tokens, Some(sold.cost)), (-100, all));
    assert_eq!((curve.amount(), curve.locked()), (0, 0));
    let nothing = curve.exchange(-200, -1, 0).unwrap();
    assert_eq!((nothing.tokens, nothing.cost), (0, 0));
}

#[test]
fn restores_stored_curve_and_rejects_impossible_state() {
    let restore = BondingCurve::restore;
    let original = curve(123_456);
    let restored = restore(
        original.amount(),
        original.limit(),
        original.log_base_price(),
    );
    assert_eq!(restored, Ok(original));

    let max = (1 << 20) - 64;
    let price = Log2::from_octaves(20);
    assert!(restore(max, limit(1 << 20), price).is_ok());
    let refused = RestoreCurveError::Amount {
        amount: max + 1,
        max,
    };
    assert_eq!(restore(max + 1, limit(1 << 20), price), Err(refused));

    // 2^20 · 1/4 · 2^octaves
    assert!(restore(1 << 19, limit(1 << 20), Log2::from_octaves(108)).is_ok());
    let refused = RestoreCurveError::Locked { octaves: 109 };
    assert_eq!(
        restore(1 << 19, limit(1 << 20), Log2::from_octaves(109)),
        Err(refused)
    );
}

#[test]
fn rejects_trade_that_would_lock_too_much() {
    let price = Log2::from_octaves(108);
    let mut curve = BondingCurve::restore(1 << 19, limit(1 << 20), price).unwrap();
    let bought = curve.exchange(1, i64::MAX, i128::MAX).unwrap();
    assert!(curve.locked() < 1 << 127 && curve.amount() < max_tokens(curve.limit()));
    assert!(bought.tokens > 0);
    assert_eq!(curve.price(1), None);
}

/// Random trades, spending and targets. The till has the money of customers less their payouts and the earnings. It
/// must always equal the locked currency, and be 0 when the last token is sold.
#[test]
fn balances_books_over_10_000_random_rounds() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut curve = BondingCurve::new(limit(1_000_000), Log2::ZERO);
    let mut till = 0i128;
    let (mut trades, mut earnings, mut missed) = (0, 0, 0);
    for round in 0..10_000 {
        let size = random.next_u64() >> (30 + random.next_u32() % 30);
        let size = size as i64;
        let money = i128::from(random.next_u64() >> (random.next_u32() % 64));
        let exchanged = match random.next_u32() % 3 {
            0 => curve.exchange(0, size, money),
            1 => curve.exchange(-size, -1, -(money >> 20)),
            _ => curve.exchange(-size, size, money - (i64::MAX as i128 >> 5)),
        };
        if let Some(Exchanged { cost, .. }) = exchanged {
            till += cost;
            trades += 1;
        }
        assert_eq!(Ok(till), i128::try_from(curve.locked()), "round {round}");

        let left = curve.amount() - random.next_u64() % (curve.amount() / 8 + 1);
        let (target, price) = if round % 8 == 0 {
            let steps = (random.next_u64() % (60 << 24)) as i64 - (20 << 24);
            (random.next_u64() % 100_000_000 + 1, steps)
        } else {
            // Near the present values: up to 1/64 and 1/8 of an octave away.
            let (tokens, steps) = (curve.limit().get(), curve.log_base_price().steps());
            let tokens = tokens - tokens / 64 + random.next_u64() % (tokens / 32 + 1);
            (
                tokens.max(1),
                steps + (random.next_u64() % (1 << 22)) as i64 - (1 << 21),
            )
        };
        let (target, price) = (limit(target), Log2::from_steps(price));
        let Adjusted {
            earned, reached, ..
        } = curve.adjust(left, target, price);
        till -= i128::try_from(earned).unwrap();
        earnings += u64::from(earned > 0);
        missed += u64::from(!reached);
        assert!(till >= 0);
        assert_eq!(Ok(till), i128::try_from(curve.locked()), "round {round}");

        if round % 1_000 == 999 {
            let all = 0i64.saturating_sub_unsigned(curve.amount());
            till += curve.exchange(all, all, 0).unwrap().cost;
            assert_eq!((till, curve.locked(), curve.amount()), (0, 0, 0));
        }
    }
    // The rounds were not idle.
    assert!(
        trades > 5_000 && earnings > 1_000 && missed > 1_000,
        "{trades} {earnings} {missed}"
    );
}

prop_compose! {
    fn curves()(tokens in 2u64.., shift in 0u32..63, amount: u64, steps in -(60i64 << 24)..60 << 24) -> BondingCurve {
        let limit = limit((tokens >> shift).max(2));
        BondingCurve::restore(amount % (max_tokens(limit) + 1), limit, Log2::from_steps(steps)).unwrap()
    }
}

proptest! {
    #[test]
    fn exchanges_the_most_tokens_within_its_limits(
        mut curve in curves(), a: i64, b: i64, shift in 0u32..63, max_cost: i64,
    ) {
        let (min, max) = ((a >> shift).min(b >> shift), (a >> shift).max(b >> shift));
        let before = curve.clone();
        match curve.exchange(min, max, max_cost.into()) {
            Some(Exchanged { tokens, cost }) => {
                let [min, max] = [min, max].map(|number| before.at_most_all(number));
                prop_assert!(min <= tokens && tokens <= max && cost <= max_cost.into());
                prop_assert_eq!(before.price(tokens), Some(cost));
                prop_assert_eq!(curve.price(-tokens), Some(-cost));
                let better = tokens.checked_add(1).filter(|better| *better <= max);
                let better = better.and_then(|better| before.price(better));
                prop_assert!(better.is_none_or(|cost| cost > max_cost.into()));
            }
            None => {
                prop_assert_eq!(&curve, &before);
                let [feasible_min, max] = [min, max].map(|number| before.at_most_all(number));
                let cost = before.price(feasible_min).filter(|_| feasible_min <= max);
                prop_assert!(cost.is_none_or(|cost| cost > max_cost.into()));
            }
        }
    }

    #[test]
    fn never_charges_less_for_more_tokens(curve in curves(), a: u64, b: u64) {
        let max = max_tokens(curve.limit()) + 1;
        let locked = |amount| locked_currency(amount, curve.limit(), curve.log_base_price());
        prop_assert!(locked(a.min(b) % max).is_some());
        let (a, b) = (a % max, b % max);
        prop_assert!(locked(a.min(b)) <= locked(a.max(b)));
    }

    #[test]
    fn never_locks_more_at_a_larger_limit(curve in curves(), wider: u64, shift in 0u32..64) {
        let wider = NonZeroU64::new(curve.limit().get().saturating_add(wider >> shift)).unwrap();
        let locked = locked_currency(curve.amount(), wider, curve.log_base_price()).unwrap();
        prop_assert!(locked <= curve.locked());
    }

    #[test]
    fn adjusts_towards_targets_without_locking_more(
        mut curve in curves(), spent: u64, tokens in 1u64.., shift in 0u32..63, steps in -(60i64 << 24)..60 << 24,
    ) {
        let (target, price) = (limit((tokens >> shift).max(1)), Log2::from_steps(steps));
        let before = curve.clone();
        let left = before.amount() - spent % (before.amount() + 1);
        let Adjusted { earned, reached, .. } = curve.adjust(left, target, price);
        prop_assert_eq!(before.locked() - curve.locked(), earned);
        prop_assert_eq!(curve.amount(), left);
        let between = |low: i128, number: i128, high: i128| low.min(high) <= number && number <= low.max(high);
        let widths = [before.limit(), curve.limit(), target].map(|limit| i128::from(limit.get()));
        let prices = [before.log_base_price(), curve.log_base_price(), price].map(|log| i128::from(log.steps()));
        prop_assert!(between(widths[0], widths[1], widths[2]));
        prop_assert!(between(prices[0], prices[1], prices[2]));
        prop_assert_eq!(reached, curve.limit() == target && curve.log_base_price() == price);
    }
}
