//! Totals charged to clients, and notices about them.

use super::*;
use BalanceEvent::{LostTokens, Noticed};

fn above(tokens: u64) -> Option<Notice> {
    NonZeroU64::new(tokens).map(Notice::Above)
}

fn every(tokens: u64) -> Option<Notice> {
    NonZeroU64::new(tokens).map(Notice::Every)
}

fn notice(tracker: &mut Tracker, n: u8, notice: Option<Notice>, now: u64) {
    let set = tracker.set_notices([&id(n)], notice, Batch::new(), now);
    set.unwrap();
}

fn total(tracker: &Tracker, n: u8, now: u64) -> u64 {
    tracker.charged(&id(n), now).unwrap().total
}

/// Polls the tracker at its events and returns the moments of client 1's notices.
fn moments(tracker: &mut Tracker, until: u64) -> Vec<u64> {
    let mut moments = Vec::new();
    while tracker.next_event() <= until {
        let at = tracker.next_event();
        let events = tracker.poll(at).unwrap();
        moments.extend(events.contains(&Noticed(id(1))).then_some(at));
    }
    moments
}

fn stored(store: &Memory) -> usize {
    let mut count = 0;
    let each = &mut |_: &[u8], _: &[u8]| {
        count += 1;
        std::ops::ControlFlow::Continue(())
    };
    let prefix = [PREFIX, b"charged:"].concat();
    store.scan(&prefix, &[], each).unwrap();
    count
}

#[test]
fn counts_taken_and_owed_tokens_in_the_total() {
    let store = Arc::default();
    let mut prices = one_per_ns();
    prices.negative.time = (2 * SECOND).into();
    prices.positive.request = (3 * SECOND).into();
    let settings = BalanceSettings {
        prices,
        ..half_lives(0, HOUR)
    };
    let mut tracker = open(&store, settings, 0);
    connect(&mut tracker, 1, HOME, 0);
    tracker.add_balance(&id(1), 60_000_000_000, 0).unwrap();
    tracker.request_served(&id(1), 10 * SECOND, 0).unwrap();
    assert_eq!(total(&tracker, 1, 10 * SECOND), 40 * SECOND);
    tracker
        .add_balance(&id(1), -5_000_000_000, 10 * SECOND)
        .unwrap();
    assert_eq!(total(&tracker, 1, 30 * SECOND), (40 + 15 + 10) * SECOND);
    tracker.disconnect(&id(1), 30 * SECOND).unwrap();
    assert_eq!(total(&tracker, 1, 9 * HOUR), 65 * SECOND);
    drop(tracker);

    let mut tracker = open(&store, settings, 0);
    assert_eq!(total(&tracker, 1, 0), 65 * SECOND);
    connect(&mut tracker, 1, HOME, 0);
    assert_eq!(total(&tracker, 1, SECOND), 67 * SECOND);
}

#[test]
fn reports_alert_once_when_total_exceeds_it() {
    let mut tracker = connected(one_per_ns());
    tracker.add_balance(&id(1), 1_000_000_000_000, 0).unwrap();
    notice(&mut tracker, 1, above(70 * SECOND), 0);
    assert_eq!(moments(&mut tracker, 600 * SECOND), [70 * SECOND + 1]);
    // The total is above the new limit already.
    notice(&mut tracker, 1, above(600 * SECOND - 1), 600 * SECOND);
    let reported = tracker.poll(600 * SECOND).unwrap();
    assert_eq!(reported, [Noticed(id(1))]);
    assert!(tracker.poll(700 * SECOND).unwrap().is_empty());
    let charged = tracker.charged(&id(1), 700 * SECOND).unwrap();
    assert_eq!(charged.notice, above(600 * SECOND - 1));
}

#[test]
fn reports_periodic_notice_each_time() {
    let mut tracker = connected(one_per_ns());
    tracker.add_balance(&id(1), 1_000_000_000_000, 0).unwrap();
    tracker.poll(0).unwrap();
    notice(&mut tracker, 1, every(10 * SECOND), 7 * SECOND);
    let expected = [17, 27, 37, 47].map(|second| second * SECOND);
    assert_eq!(moments(&mut tracker, 50 * SECOND), expected);
    // A late poll returns one notice; the next notice keeps its distance.
    let reported = tracker.poll(90 * SECOND).unwrap();
    assert_eq!(reported, [Noticed(id(1))]);
    assert_eq!(moments(&mut tracker, 100 * SECOND), [97 * SECOND]);
    notice(&mut tracker, 1, None, 100 * SECOND);
    assert_eq!(moments(&mut tracker, 200 * SECOND), [0; 0]);
}

#[test]
fn reports_notice_reached_by_a_request() {
    let mut prices = ServicePrices::default();
    prices.positive.request = SECOND.into();
    prices.negative.request = SECOND.into();
    let mut tracker = connected(prices);
    tracker.add_balance(&id(1), 5, 0).unwrap();
    notice(&mut tracker, 1, every(10), 0);
    tracker.poll(0).unwrap();
    tracker.request_served(&id(1), 9, 0).unwrap();
    assert!(!tracker.poll(0).unwrap().contains(&Noticed(id(1))));
    tracker.request_served(&id(1), 1, 0).unwrap();
    assert_eq!(tracker.poll(0).unwrap(), [Noticed(id(1))]);
    assert_eq!(total(&tracker, 1, 0), 10);
}

#[test]
fn includes_debt_in_the_moment_of_a_notice() {
    let mut prices = one_per_ns();
    prices.negative.time = (4 * SECOND).into();
    let mut tracker = connected(prices);
    tracker.add_balance(&id(1), 20_000_000_000, 0).unwrap();
    notice(&mut tracker, 1, every(60 * SECOND), 0);
    let mut reported = Vec::new();
    while tracker.next_event() <= 40 * SECOND {
        let at = tracker.next_event();
        reported.extend(
            tracker
                .poll(at)
                .unwrap()
                .into_iter()
                .map(|event| (at, event)),
        );
    }
    let lost = (20 * SECOND, LostTokens(id(1)));
    assert_eq!(reported[2..], [lost, (30 * SECOND, Noticed(id(1)))]);
}

#[test]
fn stores_notices_without_a_connection() {
    let store = Arc::default();
    let settings = BalanceSettings {
        prices: one_per_ns(),
        ..BalanceSettings::default()
    };
    let mut tracker = open(&store, settings, 0);
    let mut extra = Batch::new();
    extra.put("extra", [7]);
    let ids = [id(1), id(2)];
    connect(&mut tracker, 1, HOME, 0);
    let set = tracker.set_notices(&ids, every(10 * SECOND), extra, 4 * SECOND);
    set.unwrap();
    drop(tracker);
    assert_eq!(store.get(b"extra").unwrap().unwrap(), [7]);
    let mut tracker = open(&store, settings, 0);
    for n in [1, 2] {
        let charged = tracker.charged(&id(n), 0).unwrap();
        assert_eq!(charged.notice, every(10 * SECOND));
    }
    // The charges until the notice was set are stored with it.
    assert_eq!(total(&tracker, 1, 0), 4 * SECOND);
    connect(&mut tracker, 1, HOME, 0);
    assert_eq!(moments(&mut tracker, 15 * SECOND), [10 * SECOND]);
    assert_eq!(tracker.clients_charged().unwrap(), ids);
}

#[test]
fn stores_whole_debt_with_notices_at_one_address() {
    let store = Arc::default();
    let settings = BalanceSettings {
        prices: one_per_ns(),
        ..half_lives(0, 0)
    };
    let mut tracker = open(&store, settings, 0);
    for n in [1, 2, 3] {
        connect(&mut tracker, n, HOME, 0);
    }
    let ids = [id(1), id(2), id(3)];
    let set = tracker.set_notices(&ids, every(10 * SECOND), Batch::new(), 4 * SECOND);
    set.unwrap();
    drop(tracker);
    let mut tracker = open(&store, settings, 0);
    let totals: u64 = [1, 2, 3].map(|n| total(&tracker, n, 0)).iter().sum();
    assert_eq!(totals, 3 * 4 * SECOND);
    assert_eq!(stored_balances(&mut tracker, 1, 0), (0, totals));
}

#[test]
fn stores_no_total_of_client_without_tokens() {
    let store = Arc::default();
    let mut tracker = open(&store, BalanceSettings::default(), 0);
    tracker.set_default_prices(one_per_ns());
    connect(&mut tracker, 1, HOME, 0);
    connect(&mut tracker, 2, b"away", 0);
    tracker.add_balance(&id(2), 1, 0).unwrap();
    tracker.save(SECOND).unwrap();
    tracker.disconnect(&id(1), SECOND).unwrap();
    tracker.disconnect(&id(2), SECOND).unwrap();
    assert_eq!(stored(&store), 1);
    assert_eq!(total(&tracker, 1, SECOND), 0);
    assert_eq!(total(&tracker, 2, SECOND), SECOND);
    assert_eq!(tracker.clients_charged().unwrap(), [id(2)]);
}

#[test]
fn stores_no_total_of_zero() {
    let store = Arc::default();
    let mut tracker = open(&store, BalanceSettings::default(), 0);
    tracker.add_balance(&id(1), 5_000_000, 0).unwrap();
    notice(&mut tracker, 2, every(5), 0);
    assert_eq!(stored(&store), 1);
    notice(&mut tracker, 2, None, 0);
    assert_eq!(stored(&store), 0);
}

#[test]
fn keeps_notices_on_store_failure() {
    let store = Arc::new(Failing::default());
    let mut tracker =
        BalanceTracker::open(Arc::clone(&store), PREFIX, BalanceSettings::default(), 0).unwrap();
    connect(&mut tracker, 1, HOME, 0);
    let set = tracker.set_notices([&id(1)], above(5), Batch::new(), 0);
    set.unwrap();
    store.fail(true);
    let set = tracker.set_notices([&id(1), &id(2)], every(9), Batch::new(), 0);
    set.unwrap_err();
    assert_eq!(tracker.charged(&id(1), 0).unwrap().notice, above(5));
    assert_eq!(tracker.charged(&id(2), 0).unwrap().notice, None);
}

#[test]
fn caps_total_and_its_notices_at_the_largest_number() {
    let mut prices = ServicePrices::default();
    prices.negative.request = u64::MAX.into();
    let mut tracker = connected(prices);
    notice(&mut tracker, 1, above(u64::MAX), 0);
    for _ in 0..3 {
        tracker.request_served(&id(1), u64::MAX, 0).unwrap();
    }
    assert_eq!(total(&tracker, 1, 0), u64::MAX);
    notice(&mut tracker, 1, every(1), 0);
    tracker.request_served(&id(1), u64::MAX, 0).unwrap();
    assert!(!tracker.poll(0).unwrap().contains(&Noticed(id(1))));
}

#[test]
fn rejects_damaged_total() {
    let key = [PREFIX, b"charged:", &id(1)[..]].concat();
    let none = [&[1][..], &[0; 25]].concat();
    let with = |at: usize, byte: u8| {
        let mut bytes = none.clone();
        bytes[at] = byte;
        bytes
    };
    let loads = |bytes: Vec<u8>| {
        let store: Arc<Memory> = Arc::default();
        let mut batch = Batch::new();
        batch.put(key.clone(), bytes);
        store.write(&batch).unwrap();
        let mut tracker = open(&store, BalanceSettings::default(), 0);
        tracker.charged(&id(1), 0)?;
        match tracker.connect(id(1), HOME, 0) {
            Err(ConnectError::Load(error)) => Err(error),
            connected => {
                connected.unwrap();
                Ok(())
            }
        }
    };
    loads(none.clone()).unwrap();
    for bad in [
        vec![],
        none[..25].to_vec(),
        with(9, 1),
        with(9, 3),
        with(17, 1),
    ] {
        let length = bad.len();
        let refused = loads(bad).unwrap_err();
        assert!(matches!(refused, LoadBalanceError::Damaged { length: found } if found == length));
    }
    let later = loads(with(0, 2)).unwrap_err();
    assert!(matches!(later, LoadBalanceError::Version { found: 2 }));
}
