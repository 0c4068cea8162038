//! Charges for time, capacity and requests, and the priorities that follow.

use super::*;

#[test]
fn spends_tokens_before_debt_grows() {
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
    // Reading does not charge; charging in steps gives the same sum.
    for second in [30, 60, 61, 71] {
        tracker.set_capacity(&id(1), 1, second * SECOND).unwrap();
    }
    assert_eq!(balances(&tracker, 1, 71 * SECOND), (0, 11 * SECOND));
}

#[test]
fn charges_uncovered_usage_at_negative_prices() {
    let price = |time: u64, request: u64| PriceFactors {
        time: time.into(),
        request: request.into(),
        capacity: Price::ZERO,
    };
    let prices = ServicePrices {
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
fn leaves_no_debt_for_free_usage_with_tokens() {
    let mut prices = one_per_ns();
    prices.positive = PriceFactors::default();
    prices.negative.request = SECOND.into();
    let mut tracker = connected(prices);
    set(&mut tracker, 1, 1, 0, 0);
    tracker.request_served(&id(1), 1_000, SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, SECOND), (1, 0));
}

#[test]
fn charges_capacity_for_the_time_it_was_granted() {
    let capacity = PriceFactors {
        capacity: SECOND.into(),
        ..PriceFactors::default()
    };
    let mut tracker = connected(ServicePrices {
        positive: capacity,
        negative: capacity,
    });
    tracker.set_capacity(&id(1), 0, 0).unwrap();
    set(&mut tracker, 1, 100 * SECOND, 0, 0);
    tracker
        .set_capacity(&id(1), 2_000_000, 10 * SECOND)
        .unwrap();
    tracker.set_capacity(&id(1), 500_000, 20 * SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, 30 * SECOND), (75 * SECOND, 0));
    tracker
        .set_prices(&id(1), ServicePrices::default(), 30 * SECOND)
        .unwrap();
    assert_eq!(balances(&tracker, 1, 90 * SECOND), (75 * SECOND, 0));
}

#[test]
fn charges_no_time_without_capacity() {
    let mut prices = one_per_ns();
    prices.positive.request = SECOND.into();
    let mut tracker = connected(prices);
    set(&mut tracker, 1, 100 * SECOND, 0, 0);
    tracker.set_capacity(&id(1), 0, 10 * SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, 50 * SECOND), (90 * SECOND, 0));
    let below = Priority::new(SECOND, 0, 1);
    let until = tracker.time_until_below(&id(1), below, 50 * SECOND);
    assert_eq!(until, Ok(None));
    // Requests cost what they cost.
    tracker.request_served(&id(1), 7, 50 * SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, 60 * SECOND).0, 90 * SECOND - 7);
    tracker.set_capacity(&id(1), 1, 60 * SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, 61 * SECOND).0, 89 * SECOND - 7);
}

#[test]
fn applies_default_prices_to_later_clients() {
    let mut tracker = connected(one_per_ns());
    tracker.set_default_prices(ServicePrices::default());
    connect(&mut tracker, 2, b"elsewhere", 0);
    set(&mut tracker, 1, 2 * SECOND, 0, 0);
    tracker.add_balance(&id(2), 10, 0).unwrap();
    assert_eq!(balances(&tracker, 1, SECOND), (SECOND, 0));
    assert_eq!(balances(&tracker, 2, SECOND), (10, 0));
}

#[test]
fn charges_time_at_the_offset_of_its_middle() {
    let store = Arc::default();
    let mut tracker = open(&store, half_lives(HOUR, HOUR), 0);
    tracker.set_default_prices(one_per_ns());
    connect(&mut tracker, 1, HOME, 0);
    set(&mut tracker, 1, 16 * HOUR, 0, 0);
    // After an hour half of the balance is left, of which two hours are taken; after another hour half of the rest is
    // left.
    assert_eq!(balances(&tracker, 1, 2 * HOUR), (3 * HOUR, 0));
}

#[test]
fn ranks_by_balance_and_capacity() {
    let mut tracker = connected(ServicePrices::default());
    for (positive, negative, whole) in [(1000, 0, 1), (2000, 0, 2), (0, 0, 0), (0, 1000, -1000)] {
        set(&mut tracker, 1, positive, negative, 0);
        let priority = tracker.priority(&id(1), 1000, 0).unwrap();
        assert_eq!(priority.whole(), whole);
    }
}

#[test]
fn includes_future_costs_in_forecast() {
    let mut tracker = connected(one_per_ns());
    set(&mut tracker, 1, 1000 * SECOND, 0, 0);
    let expect = |forecast: Forecast, tokens: u64| {
        let found = tracker.forecast_priority(&id(1), forecast, 0).unwrap();
        assert_eq!(
            found,
            Priority::new(tokens, 0, forecast.capacity),
            "{forecast:?}"
        );
    };
    let forecast = Forecast {
        capacity: 1000,
        ..Forecast::default()
    };
    let (bias_ns, future_ns) = (100 * SECOND, 300 * SECOND);
    expect(
        Forecast {
            bias_ns,
            ..forecast
        },
        900 * SECOND,
    );
    expect(
        Forecast {
            future_ns,
            ..forecast
        },
        700 * SECOND,
    );
    expect(
        Forecast {
            bias_ns,
            future_ns,
            ..forecast
        },
        600 * SECOND,
    );
    let add = 50_000_000_000;
    expect(
        Forecast {
            bias_ns,
            add,
            ..forecast
        },
        950 * SECOND,
    );
    expect(
        Forecast {
            bias_ns,
            add: -add,
            ..forecast
        },
        850 * SECOND,
    );
    expect(
        Forecast {
            capacity: 1,
            bias_ns,
            ..forecast
        },
        900 * SECOND,
    );
}

#[test]
fn forecasts_twice_the_requests_of_the_connection() {
    let mut prices = ServicePrices::default();
    prices.positive.request = SECOND.into();
    let mut tracker = connected(prices);
    let forecast = Forecast {
        capacity: 1,
        future_ns: 10 * SECOND,
        ..Forecast::default()
    };
    let tokens = |tracker: &Tracker, now| {
        let found = tracker.forecast_priority(&id(1), forecast, now).unwrap();
        found.lowered().whole() + 1
    };
    tracker.add_balance(&id(1), 1_000, 0).unwrap();
    tracker.request_served(&id(1), 40, SECOND).unwrap();
    assert_eq!(
        tokens(&tracker, SECOND),
        960,
        "the first second of a connection gives no mean"
    );
    assert_eq!(tokens(&tracker, 4 * SECOND), 960 - 2 * 40 * 10 / 4);
}

#[test]
fn forecasts_below_the_present_priority() {
    let mut tracker = connected(ServicePrices::default());
    let forecast = Forecast {
        capacity: 3,
        bias_ns: 1,
        ..Forecast::default()
    };
    for (positive, negative) in [(1000, 0), (1, 0), (0, 0), (0, 1000)] {
        set(&mut tracker, 1, positive, negative, 0);
        let now = tracker.priority(&id(1), 3, 0).unwrap();
        let expected = tracker.forecast_priority(&id(1), forecast, 0).unwrap();
        assert_eq!(expected, now.lowered());
    }
    // With tokens to add, the forecast is below the priority of the sum.
    let more = Forecast { add: 9, ..forecast };
    set(&mut tracker, 1, 1000, 0, 0);
    let expected = tracker.forecast_priority(&id(1), more, 0).unwrap();
    assert_eq!(expected, Priority::new(1009, 0, 3).lowered());
}

#[test]
fn caps_tokens_to_add_at_the_largest_balance() {
    let mut tracker = connected(ServicePrices::default());
    tracker.add_balance(&id(1), 5, 0).unwrap();
    let max = Forecast {
        capacity: 1,
        add: i64::MAX,
        ..Forecast::default()
    };
    let expected = tracker.forecast_priority(&id(1), max, 0).unwrap();
    assert_eq!(expected, Priority::new(i64::MAX as u64, 0, 1).lowered());
}
