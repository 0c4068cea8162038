//! What the tracker says, and when.

use super::*;
use BalanceEvent::{Changed, FellBelow, GainedTokens, LostTokens};

/// Calls `poll` at each next event until something happens: what, and when. Checks that there are not many calls.
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
    panic!("polled 200 times and nothing happened");
}

#[test]
fn the_end_of_tokens_is_told_when_it_comes() {
    let mut tracker = connected(one_per_ns());
    tracker.add_balance(&id(1), 60_000_000_000, 0).unwrap();
    let told = tracker.poll(0).unwrap();
    assert_eq!(told, [Changed(id(1)), GainedTokens(id(1))]);
    assert!(tracker.has_tokens(&id(1)));
    let lost = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(lost, Some((60 * SECOND, vec![LostTokens(id(1))])));
    assert!(!tracker.has_tokens(&id(1)));
    assert_eq!(next(&mut tracker, 1_000 * SECOND), None);
}

#[test]
fn requests_bring_the_end_nearer() {
    let mut prices = one_per_ns();
    prices.positive.request = SECOND;
    let mut tracker = connected(prices);
    tracker.add_balance(&id(1), 60_000_000_000, 0).unwrap();
    tracker.poll(0).unwrap();
    tracker.request_served(&id(1), 50 * SECOND, 0).unwrap();
    let lost = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(lost, Some((10 * SECOND, vec![LostTokens(id(1))])));
    tracker.add_balance(&id(1), 5, 20 * SECOND).unwrap();
    tracker.request_served(&id(1), 6, 20 * SECOND).unwrap();
    let told = tracker.poll(20 * SECOND).unwrap();
    assert_eq!(
        told,
        [Changed(id(1)), GainedTokens(id(1)), LostTokens(id(1))]
    );
}

#[test]
fn a_watched_priority_is_told_once() {
    let mut tracker = connected(one_per_ns());
    tracker.set_capacity(&id(1), 1000, 0).unwrap();
    set(&mut tracker, 1, 100 * SECOND, 0, 0);
    let watched = Priority::new(90 * SECOND, 0, 1000);
    tracker.watch(&id(1), watched, 0).unwrap();
    tracker.poll(0).unwrap();
    let until = tracker.time_until_below(&id(1), watched, 0).unwrap();
    assert_eq!(until, Some(10 * SECOND + 1));
    let told = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(told, Some((10 * SECOND + 1, vec![FellBelow(id(1))])));
    let told = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(told, Some((100 * SECOND, vec![LostTokens(id(1))])));
}

#[test]
fn a_priority_below_zero_can_be_watched() {
    let mut tracker = connected(one_per_ns());
    set(&mut tracker, 1, 10 * SECOND, 2 * SECOND, 0);
    let watched = Priority::new(0, 5 * SECOND, 1);
    tracker.watch(&id(1), watched, 0).unwrap();
    tracker.poll(0).unwrap();
    let told = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(told, Some((10 * SECOND, vec![LostTokens(id(1))])));
    let told = next(&mut tracker, 1_000 * SECOND);
    assert_eq!(told, Some((13 * SECOND + 1, vec![FellBelow(id(1))])));
}

#[test]
fn looks_are_at_seven_eighths_of_the_time_beyond_a_second() {
    let mut tracker = connected(one_per_ns());
    set(&mut tracker, 1, 81 * SECOND, 0, 0);
    tracker.poll(0).unwrap();
    assert_eq!(tracker.next_event(), 71 * SECOND);
    // A request that costs little leaves it so.
    tracker.request_served(&id(1), 0, 8 * SECOND).unwrap();
    assert_eq!(tracker.next_event(), 71 * SECOND);
    assert!(tracker.poll(71 * SECOND).unwrap().is_empty());
    assert_eq!(
        tracker.next_event(),
        71 * SECOND + SECOND + 9 * SECOND / 8 * 7
    );
}

#[test]
fn time_until_a_priority_is_lost_follows_prices_and_capacity() {
    let per_second = |time, capacity| PriceFactors {
        time,
        capacity,
        request: 0,
    };
    let mut tracker = connected(Prices {
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
    tracker.set_prices(&id(1), Prices::default(), 0).unwrap();
    assert_eq!(until(&tracker, at(1)), None);
    assert_eq!(until(&tracker, owing(100)), None);
    assert_eq!(until(&tracker, at(1_001)), Some(0));
}

#[test]
fn what_happened_is_told_again_if_the_store_fails_before() {
    let store = Arc::new(Failing::default());
    let settings = BalanceSettings {
        prices: one_per_ns(),
        ..BalanceSettings::default()
    };
    let mut tracker = BalanceTracker::open(Arc::clone(&store), PREFIX, settings, 0).unwrap();
    tracker.connect(id(1), HOME, 0).unwrap();
    tracker.add_balance(&id(1), 300_000_000_000, 0).unwrap();
    tracker.poll(0).unwrap();
    store.fail(true);
    let now = 300 * SECOND;
    tracker.poll(now).unwrap_err();
    assert_eq!(tracker.next_event(), 0, "there is something to be told");
    assert_eq!(tracker.poll(now).unwrap(), [LostTokens(id(1))]);
    assert_eq!(tracker.next_event(), now + 10 * SECOND, "and to be stored");
}
