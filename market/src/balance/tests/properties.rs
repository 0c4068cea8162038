//! Rules that hold for all numbers.

use super::*;
use proptest::prelude::*;

fn factors() -> impl Strategy<Value = PriceFactors> {
    let small = 0u64..3_000_000_000;
    (small.clone(), small.clone(), small).prop_map(|(time, capacity, request)| PriceFactors {
        time: time.into(),
        capacity: capacity.into(),
        request: request.into(),
    })
}

fn prices() -> impl Strategy<Value = ServicePrices> {
    (factors(), factors()).prop_map(|(positive, negative)| ServicePrices { positive, negative })
}

proptest! {
    /// Without expiration, frequent charging costs nothing.
    #[test]
    fn charges_in_steps_as_much_as_at_once(
        prices in prices(),
        tokens in 0u64..1 << 40,
        capacity in 0u64..10_000_000,
        steps in proptest::collection::vec(0u64..10_000_000_000, 0..30),
    ) {
        let (mut often, mut once) = (connected(prices), connected(prices));
        for tracker in [&mut often, &mut once] {
            set(tracker, 1, tokens, 0, 0);
            tracker.set_capacity(&id(1), capacity, 0).unwrap();
        }
        let mut now = 0;
        for step in steps {
            now += step;
            often.request_served(&id(1), 0, now).unwrap();
        }
        let (often, once) = (balances(&often, 1, now), balances(&once, 1, now));
        prop_assert_eq!(often.0, once.0);
        // The uncovered share of a step is rounded up, by less than a token in all.
        prop_assert!(often.1.abs_diff(once.1) <= 1, "{:?} {:?}", often, once);
    }

    #[test]
    fn loses_priority_exactly_at_the_computed_moment(
        prices in prices(),
        positive in 0u64..1 << 40,
        negative in 0u64..1 << 40,
        capacity in 1u64..10_000_000,
        at in -(1i64 << 40)..1 << 40,
    ) {
        let mut tracker = connected(prices);
        set(&mut tracker, 1, positive, negative, 0);
        tracker.set_capacity(&id(1), capacity, 0).unwrap();
        let priority = Priority::new(at.max(0).unsigned_abs(), at.min(0).unsigned_abs(), capacity);
        let below = |now| tracker.priority(&id(1), capacity, now).unwrap() < priority;
        match tracker.time_until_below(&id(1), priority, 0).unwrap() {
            None => prop_assert!(!below(1 << 62)),
            Some(0) => prop_assert!(below(0)),
            Some(time) => {
                // Two charges are rounded up to the nanosecond: one of tokens, one of debt.
                prop_assert!(below(time) && !below(time.saturating_sub(2)), "{}", time);
            }
        }
    }

    #[test]
    fn forecasts_fall_with_time_and_capacity(
        prices in prices(),
        positive in 0u64..1 << 40,
        negative in 0u64..1 << 40,
        capacity in 1u64..10_000_000,
        future_ns in 0u64..1 << 36,
        bias_ns in 0u64..1 << 36,
    ) {
        let mut tracker = connected(prices);
        set(&mut tracker, 1, positive, negative, 0);
        tracker.request_served(&id(1), 1_000_000, 2 * SECOND).unwrap();
        let now = 2 * SECOND;
        let forecast = |capacity, future_ns, bias_ns| {
            let forecast = Forecast { capacity, add: 0, future_ns, bias_ns };
            tracker.forecast_priority(&id(1), forecast, now).unwrap()
        };
        let found = forecast(capacity, future_ns, bias_ns);
        prop_assert!(found < tracker.priority(&id(1), capacity, now).unwrap());
        prop_assert!(found <= forecast(capacity, future_ns / 2, bias_ns));
        prop_assert!(found <= forecast(capacity, future_ns, bias_ns / 2));
        prop_assert!(found <= forecast(capacity.div_ceil(2), future_ns, bias_ns));
    }

    /// The charged total is exactly the sum of lost tokens and debt.
    #[test]
    fn charges_exactly_the_loss_of_the_balances(
        prices in prices(),
        capacity in 0u64..10_000_000,
        steps in proptest::collection::vec(
            (0u64..10_000_000_000, 0u64..10_000_000_000, -(1i64 << 36)..1i64 << 36), 1..30,
        ),
    ) {
        let mut tracker = connected(prices);
        tracker.set_capacity(&id(1), capacity, 0).unwrap();
        let (mut now, mut added) = (0, 0);
        for (time, cost, amount) in steps {
            now += time;
            tracker.request_served(&id(1), cost, now).unwrap();
            let Added { old, new } = tracker.add_balance(&id(1), amount, now).unwrap();
            added += i128::from(new) - i128::from(old);
            let (positive, negative) = balances(&tracker, 1, now);
            let charged = tracker.charged(&id(1), now).unwrap().total;
            let lost = added - i128::from(positive) + i128::from(negative);
            prop_assert_eq!(i128::from(charged), lost);
        }
    }

    #[test]
    fn reports_notice_when_its_total_is_charged(
        prices in prices(),
        tokens in 0u64..1 << 36,
        capacity in 0u64..10_000_000,
        every in 1u64..1 << 34,
    ) {
        let mut tracker = connected(prices);
        set(&mut tracker, 1, tokens, 0, 0);
        tracker.set_capacity(&id(1), capacity, 0).unwrap();
        let notice = NonZeroU64::new(every).map(Notice::Every);
        tracker.set_notices([&id(1)], notice, Batch::new(), 0).unwrap();
        let mut due = every;
        for _ in 0..40 {
            let now = tracker.next_event();
            let before = tracker.charged(&id(1), now.saturating_sub(2)).unwrap().total;
            let after = tracker.charged(&id(1), now).unwrap().total;
            if tracker.poll(now).unwrap().contains(&BalanceEvent::Noticed(id(1))) {
                // The two charges before the notice are each rounded up to the nanosecond.
                prop_assert!(after >= due && before < due, "{} {} {}", before, due, after);
                due = after - (after - due) % every + every;
            } else {
                prop_assert!(after < due, "{} {}", after, due);
            }
        }
    }
}
