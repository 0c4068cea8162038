//! Events of the tracker, and their moments.

use super::*;
use BalanceEvent::{Changed, FellBelow, GainedTokens, LostTokens};

/// Calls `poll` at each next event until an event happens, and returns the moment and the events. Limits the number
/// of calls.
fn next(tracker: &mut Tracker, until: u64) -> Option<(u64, Vec<BalanceEvent<Id>>)> {
    for _ in 0..200 {
        let at = tracker.next_event();
        if at > until {
            return None;
        }
        let events = tracker.poll(at).unwrap();
        if !events.is_empty() {
            return Some((at, events));
        }
    }
    panic!("200 polls returned no event");
}

#[test]
fn reports_the_last_token_when_it_is_spent() {
    let mut tracker = connected(one_per_ns());
    tracker.add_balance(&id(1), 60_000_000_000, 0).unwrap();
    let reported = tracker.poll(0).unwrap();
    assert_eq!(reported, [Changed(id(1)), GainedTokens(id(1))]);
    assert!(tracker.has_tokens(&id(1)));
    let lost = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(lost, Some((60 * SECOND, vec![LostTokens(id(1))])));
    assert!(!tracker.has_tokens(&id(1)));
    assert_eq!(next(&mut tracker, 1_000 * SECOND), None);
}

#[test]
fn reports_the_last_token_earlier_with_requests() {
    let mut prices = one_per_ns();
    prices.positive.request = SECOND.into();
    let mut tracker = connected(prices);
    tracker.add_balance(&id(1), 60_000_000_000, 0).unwrap();
    tracker.poll(0).unwrap();
    tracker.request_served(&id(1), 50 * SECOND, 0).unwrap();
    let lost = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(lost, Some((10 * SECOND, vec![LostTokens(id(1))])));
    tracker.add_balance(&id(1), 5, 20 * SECOND).unwrap();
    tracker.request_served(&id(1), 6, 20 * SECOND).unwrap();
    let reported = tracker.poll(20 * SECOND).unwrap();
    assert_eq!(
        reported,
        [Changed(id(1)), GainedTokens(id(1)), LostTokens(id(1))]
    );
}

#[test]
fn reports_a_watched_priority_once() {
    let mut tracker = connected(one_per_ns());
    tracker.set_capacity(&id(1), 1000, 0).unwrap();
    set(&mut tracker, 1, 100 * SECOND, 0, 0);
    let watched = Priority::new(90 * SECOND, 0, 1000);
    tracker.watch(&id(1), watched, 0).unwrap();
    tracker.poll(0).unwrap();
    let until = tracker.time_until_below(&id(1), watched, 0).unwrap();
    assert_eq!(until, Some(10 * SECOND + 1));
    let reported = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(reported, Some((10 * SECOND + 1, vec![FellBelow(id(1))])));
    let reported = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(reported, Some((100 * SECOND, vec![LostTokens(id(1))])));
}

#[test]
fn watches_a_priority_below_zero() {
    let mut tracker = connected(one_per_ns());
    set(&mut tracker, 1, 10 * SECOND, 2 * SECOND, 0);
    let watched = Priority::new(0, 5 * SECOND, 1);
    tracker.watch(&id(1), watched, 0).unwrap();
    tracker.poll(0).unwrap();
    let reported = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(reported, Some((10 * SECOND, vec![LostTokens(id(1))])));
    let reported = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(reported, Some((13 * SECOND + 1, vec![FellBelow(id(1))])));
}

#[test]
fn schedules_check_at_seven_eighths_beyond_a_second() {
    let mut tracker = connected(one_per_ns());
    set(&mut tracker, 1, 81 * SECOND, 0, 0);
    tracker.poll(0).unwrap();
    assert_eq!(tracker.next_event(), 71 * SECOND);
    // A cheap request does not change the schedule.
    tracker.request_served(&id(1), 0, 8 * SECOND).unwrap();
    assert_eq!(tracker.next_event(), 71 * SECOND);
    assert!(tracker.poll(71 * SECOND).unwrap().is_empty());
    assert_eq!(
        tracker.next_event(),
        71 * SECOND + SECOND + 9 * SECOND / 8 * 7
    );
}

#[test]
fn computes_time_until_priority_from_prices_and_capacity() {
    let per_second = |time: u64, capacity: u64| PriceFactors {
        time: time.into(),
        capacity: capacity.into(),
        request: Price::ZERO,
    };
    let mut tracker = connected(ServicePrices {
        positive: per_second(0, 10),
        negative: per_second(20, 0),
    });
    tracker.set_capacity(&id(1), 1_000_000, 0).unwrap();
    set(&mut tracker, 1, 1_000, 100, 0);
    let until =
        |tracker: &Tracker, priority| tracker.time_until_below(&id(1), priority, 0).unwrap();
    let at = |tokens| Priority::new(tokens, 0, 1_000_000);
    assert_eq!(until(&tracker, at(1_001)), Some(0));
    assert_eq!(until(&tracker, at(1_000)), Some(SECOND / 10));
    assert_eq!(until(&tracker, at(1)), Some(100 * SECOND));
    let owing = |debt| Priority::new(0, debt, 1);
    assert_eq!(until(&tracker, owing(99)), Some(100 * SECOND));
    assert_eq!(
        until(&tracker, owing(100)),
        Some(100 * SECOND + SECOND / 20)
    );
    assert_eq!(until(&tracker, owing(299)), Some(110 * SECOND));
    tracker
        .set_prices(&id(1), ServicePrices::default(), 0)
        .unwrap();
    assert_eq!(until(&tracker, at(1)), None);
    assert_eq!(until(&tracker, owing(100)), None);
    assert_eq!(until(&tracker, at(1_001)), Some(0));
}

#[test]
fn returns_events_after_a_store_failure() {
    let store = Arc::new(Failing::default());
    let settings = BalanceSettings {
        prices: one_per_ns(),
        ..BalanceSettings::default()
    };
    let mut tracker = BalanceTracker::open(Arc::clone(&store), PREFIX, settings, 0).unwrap();
    connect(&mut tracker, 1, HOME, 0);
    tracker.add_balance(&id(1), 300_000_000_000, 0).unwrap();
    tracker.poll(0).unwrap();
    store.fail(true);
    let now = 300 * SECOND;
    tracker.poll(now).unwrap_err();
    assert_eq!(tracker.next_event(), 0, "an event is waiting");
    assert_eq!(tracker.poll(now).unwrap(), [LostTokens(id(1))]);
    assert_eq!(
        tracker.next_event(),
        now + 10 * SECOND,
        "a write is waiting"
    );
}
