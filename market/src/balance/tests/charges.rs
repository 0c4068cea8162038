//! What time, capacity and requests cost, and the priorities that follow.

use super::*;

#[test]
fn tokens_are_spent_first_and_debt_grows_after() {
    let mut tracker = connected(one_per_ns());
    set(&mut tracker, 1, 60 * SECOND, 0, 0);
    for (second, expected) in [
        (1, (59 * SECOND, 0)),
        (59, (SECOND, 0)),
        (60, (0, 0)),
        (61, (0, SECOND)),
        (71, (0, 11 * SECOND)),
    ] {
        assert_eq!(balances(&tracker, 1, second * SECOND), expected);
    }
    // Looking does not charge; charging in steps comes to the same.
    for second in [30, 60, 61, 71] {
        tracker.set_capacity(&id(1), 0, second * SECOND).unwrap();
    }
    assert_eq!(balances(&tracker, 1, 71 * SECOND), (0, 11 * SECOND));
}

#[test]
fn what_tokens_do_not_cover_is_owed_at_the_other_prices() {
    let price = |time, request| PriceFactors {
        time,
        request,
        capacity: 0,
    };
    let prices = Prices {
        positive: price(SECOND, SECOND),
        negative: price(3 * SECOND, 5 * SECOND),
    };
    let mut tracker = connected(prices);
    set(&mut tracker, 1, 60 * SECOND, 0, 0);
    assert_eq!(balances(&tracker, 1, 100 * SECOND), (0, 120 * SECOND));
    set(&mut tracker, 1, 60, 0, 100 * SECOND);
    let left = tracker.request_served(&id(1), 50, 100 * SECOND).unwrap();
    assert_eq!(left, 10);
    let left = tracker.request_served(&id(1), 20, 100 * SECOND).unwrap();
    assert_eq!(left, 0);
    assert_eq!(balances(&tracker, 1, 100 * SECOND), (0, 50));
    tracker.request_served(&id(1), 20, 100 * SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, 100 * SECOND), (0, 150));
}

#[test]
fn what_is_free_for_holders_of_tokens_leaves_no_debt() {
    let mut prices = one_per_ns();
    prices.positive = PriceFactors::default();
    prices.negative.request = SECOND;
    let mut tracker = connected(prices);
    set(&mut tracker, 1, 1, 0, 0);
    tracker.request_served(&id(1), 1_000, SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, SECOND), (1, 0));
}

#[test]
fn capacity_is_charged_for_the_time_it_was_there() {
    let capacity = PriceFactors {
        capacity: SECOND,
        ..PriceFactors::default()
    };
    let mut tracker = connected(Prices {
        positive: capacity,
        negative: capacity,
    });
    set(&mut tracker, 1, 100 * SECOND, 0, 0);
    tracker
        .set_capacity(&id(1), 2_000_000, 10 * SECOND)
        .unwrap();
    tracker.set_capacity(&id(1), 500_000, 20 * SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, 30 * SECOND), (75 * SECOND, 0));
    tracker
        .set_prices(&id(1), Prices::default(), 30 * SECOND)
        .unwrap();
    assert_eq!(balances(&tracker, 1, 90 * SECOND), (75 * SECOND, 0));
}

#[test]
fn default_prices_are_those_of_later_clients() {
    let mut tracker = connected(one_per_ns());
    tracker.set_default_prices(Prices::default());
    tracker.connect(id(2), b"elsewhere", 0).unwrap();
    set(&mut tracker, 1, 2 * SECOND, 0, 0);
    tracker.add_balance(&id(2), 10, 0).unwrap();
    assert_eq!(balances(&tracker, 1, SECOND), (SECOND, 0));
    assert_eq!(balances(&tracker, 2, SECOND), (10, 0));
}

#[test]
fn costs_count_at_the_offset_of_the_middle_of_their_time() {
    let store = Arc::default();
    let mut tracker = open(&store, half_lives(HOUR, HOUR), 0);
    tracker.set_default_prices(one_per_ns());
    tracker.connect(id(1), HOME, 0).unwrap();
    set(&mut tracker, 1, 16 * HOUR, 0, 0);
    // After an hour half of it is left, of which two are taken; of the rest, half is left after another hour.
    assert_eq!(balances(&tracker, 1, 2 * HOUR), (3 * HOUR, 0));
}

#[test]
fn priority_is_by_balance_and_capacity() {
    let mut tracker = connected(Prices::default());
    for (positive, negative, whole) in [(1000, 0, 1), (2000, 0, 2), (0, 0, 0), (0, 1000, -1000)] {
        set(&mut tracker, 1, positive, negative, 0);
        let priority = tracker.priority(&id(1), 1000, 0).unwrap();
        assert_eq!(priority.whole(), whole);
    }
}

#[test]
fn an_estimate_takes_the_costs_of_the_time_to_come() {
    let mut tracker = connected(one_per_ns());
    set(&mut tracker, 1, 1000 * SECOND, 0, 0);
    let expect = |estimate: Estimate, tokens: u64| {
        let found = tracker.estimate_priority(&id(1), estimate, 0).unwrap();
        assert_eq!(
            found,
            Priority::new(tokens, 0, estimate.capacity),
            "{estimate:?}"
        );
    };
    let estimate = Estimate {
        capacity: 1000,
        ..Estimate::default()
    };
    let (bias_ns, future_ns) = (100 * SECOND, 300 * SECOND);
    expect(
        Estimate {
            bias_ns,
            ..estimate
        },
        900 * SECOND,
    );
    expect(
        Estimate {
            future_ns,
            ..estimate
        },
        700 * SECOND,
    );
    expect(
        Estimate {
            bias_ns,
            future_ns,
            ..estimate
        },
        600 * SECOND,
    );
    let add = 50_000_000_000;
    expect(
        Estimate {
            bias_ns,
            add,
            ..estimate
        },
        950 * SECOND,
    );
    expect(
        Estimate {
            bias_ns,
            add: -add,
            ..estimate
        },
        850 * SECOND,
    );
    expect(
        Estimate {
            capacity: 1,
            bias_ns,
            ..estimate
        },
        900 * SECOND,
    );
}

#[test]
fn an_estimate_expects_twice_the_requests_of_this_connection() {
    let mut prices = Prices::default();
    prices.positive.request = SECOND;
    let mut tracker = connected(prices);
    let estimate = Estimate {
        capacity: 1,
        future_ns: 10 * SECOND,
        ..Estimate::default()
    };
    let tokens = |tracker: &Tracker, now| {
        let found = tracker.estimate_priority(&id(1), estimate, now).unwrap();
        found.lowered().whole() + 1
    };
    tracker.add_balance(&id(1), 1_000, 0).unwrap();
    tracker.request_served(&id(1), 40, SECOND).unwrap();
    assert_eq!(
        tokens(&tracker, SECOND),
        960,
        "nothing is known in the first second"
    );
    assert_eq!(tokens(&tracker, 4 * SECOND), 960 - 2 * 40 * 10 / 4);
}

#[test]
fn an_estimate_is_always_below_what_there_is() {
    let mut tracker = connected(Prices::default());
    let estimate = Estimate {
        capacity: 3,
        bias_ns: 1,
        ..Estimate::default()
    };
    for (positive, negative) in [(1000, 0), (1, 0), (0, 0), (0, 1000)] {
        set(&mut tracker, 1, positive, negative, 0);
        let now = tracker.priority(&id(1), 3, 0).unwrap();
        let expected = tracker.estimate_priority(&id(1), estimate, 0).unwrap();
        assert_eq!(expected, now.lowered());
    }
    // With tokens to be added, below what there would be then.
    let more = Estimate { add: 9, ..estimate };
    set(&mut tracker, 1, 1000, 0, 0);
    let expected = tracker.estimate_priority(&id(1), more, 0).unwrap();
    assert_eq!(expected, Priority::new(1009, 0, 3).lowered());
}

#[test]
fn tokens_to_be_added_beyond_the_largest_balance_count_up_to_it() {
    let mut tracker = connected(Prices::default());
    tracker.add_balance(&id(1), 5, 0).unwrap();
    let most = Estimate {
        capacity: 1,
        add: i64::MAX,
        ..Estimate::default()
    };
    let expected = tracker.estimate_priority(&id(1), most, 0).unwrap();
    assert_eq!(expected, Priority::new(i64::MAX as u64, 0, 1).lowered());
}
