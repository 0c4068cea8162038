//! Queries about all clients.

use super::*;

fn with_tokens(tracker: &Tracker, start: u8, stop: Option<u8>, max: usize, now: u64) -> Vec<u8> {
    let stop = stop.map(id);
    let stop = stop.as_ref().map(|stop| &stop[..]);
    let found = tracker.clients_with_tokens(&id(start), stop, max, now);
    found.unwrap().iter().map(|id| id[0]).collect()
}

#[test]
fn lists_clients_with_tokens_in_pages() {
    let mut tracker = open(&Arc::default(), half_lives(HOUR, 0), 0);
    for n in [1, 3, 5, 7, 9] {
        tracker.add_balance(&id(n), 1 << 40, 0).unwrap();
    }
    connect(&mut tracker, 3, HOME, 0);
    connect(&mut tracker, 4, HOME, 0);
    connect(&mut tracker, 7, HOME, 0);
    // Too few tokens to be stored, but present in memory.
    tracker.add_balance(&id(4), 100, 0).unwrap();
    tracker.add_balance(&id(7), i64::MIN, 0).unwrap();
    assert_eq!(with_tokens(&tracker, 0, None, 99, 0), [1, 3, 4, 5, 9]);
    assert_eq!(with_tokens(&tracker, 3, Some(9), 99, 0), [3, 4, 5]);
    assert_eq!(with_tokens(&tracker, 0, None, 2, 0), [1, 3]);
    assert_eq!(with_tokens(&tracker, 5, None, 1, 0), [5]);
    assert_eq!(with_tokens(&tracker, 0, None, 0, 0), [0u8; 0]);
    assert_eq!(with_tokens(&tracker, 0, None, 99, 10 * HOUR), [1, 3, 5, 9]);
    assert_eq!(with_tokens(&tracker, 0, None, 99, 41 * HOUR), [0u8; 0]);
}

#[test]
fn sums_tokens_of_connected_and_other_clients() {
    let store = Arc::default();
    let mut tracker = open(&store, half_lives(2 * HOUR, 0), 0);
    tracker.set_default_prices(one_per_ns());
    let add = |tracker: &mut Tracker, n, seconds: i64, now| {
        tracker
            .add_balance(&id(n), seconds * 1_000_000_000, now)
            .unwrap();
    };
    add(&mut tracker, 1, 100, 0);
    add(&mut tracker, 2, 200, 0);
    assert_eq!(tracker.total_tokens(0), 300 * SECOND);
    connect(&mut tracker, 1, HOME, 0);
    assert_eq!(tracker.total_tokens(0), 300 * SECOND);
    add(&mut tracker, 1, 50, 0);
    add(&mut tracker, 2, -150, 0);
    assert_eq!(tracker.total_tokens(0), 200 * SECOND);
    tracker
        .set_prices(&id(1), ServicePrices::default(), 0)
        .unwrap();
    assert_eq!(tracker.total_tokens(2 * HOUR), 100 * SECOND);
    tracker.disconnect(&id(1), 2 * HOUR).unwrap();
    assert_eq!(tracker.total_tokens(2 * HOUR), 100 * SECOND);
    drop(tracker);
    let mut tracker = open(&store, half_lives(2 * HOUR, 0), 0);
    assert_eq!(tracker.total_tokens(0), 100 * SECOND);
}

#[test]
fn refreshes_sum_of_connected_clients_after_ten_seconds() {
    let mut tracker = connected(one_per_ns());
    tracker.add_balance(&id(1), 100_000_000_000, 0).unwrap();
    assert_eq!(tracker.total_tokens(0), 100 * SECOND);
    assert_eq!(tracker.total_tokens(10 * SECOND - 1), 100 * SECOND);
    assert_eq!(tracker.total_tokens(10 * SECOND), 90 * SECOND);
}

/// Returns settings of a market that stores no balance of a million tokens or less.
fn dropping(settings: BalanceSettings) -> BalanceSettings {
    BalanceSettings {
        positive_drop: 1_000_000,
        ..settings
    }
}

#[test]
fn deletes_expired_balances_within_hours() {
    let store: Arc<Memory> = Arc::default();
    let mut tracker = open(&store, dropping(half_lives(HOUR, HOUR)), 0);
    // More balances than one tidying handles.
    for n in 0..5_000u16 {
        let mut id = id(7);
        id[..2].copy_from_slice(&n.to_be_bytes());
        let kept = u64::from(n % 5 == 0) * 1_000_000_000;
        let set = tracker.operation(&id, Some(&n.to_be_bytes()), 0, |balance| {
            balance.set(Balances {
                positive: 1_000_001 + kept,
                negative: 1_000_001 + kept,
            })
        });
        set.unwrap();
    }
    connect(&mut tracker, 3, &[0, 1], 0);
    let rows = || {
        let mut count = 0;
        let mut each = |_: &[u8], _: &[u8]| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        };
        store.scan(PREFIX, &[], &mut each).unwrap();
        count
    };
    assert_eq!(rows(), 10_001);
    let before = tracker.total_tokens(HOUR);
    while tracker.next_event() <= HOUR {
        tracker.poll(HOUR).unwrap();
    }
    // Two rows for each client, and the offsets.
    assert_eq!(rows(), 2_001);
    let removed = 4_000 * 500_000;
    assert!(tracker.total_tokens(HOUR).abs_diff(before - removed) <= 4_000 + 5_000);
}

#[test]
fn keeps_sum_when_record_of_connected_client_is_deleted() {
    let mut tracker = open(&Arc::default(), dropping(half_lives(HOUR, 0)), 0);
    tracker.add_balance(&id(1), 1_000_000_000, 0).unwrap();
    tracker.add_balance(&id(2), 1_999_900, 0).unwrap();
    connect(&mut tracker, 2, HOME, 0);
    // Stored a second before the balance becomes too small to be stored.
    tracker.save(HOUR - SECOND).unwrap();
    tracker.poll(HOUR).unwrap();
    let expected = 500_000_000 + 999_950;
    assert!(tracker.total_tokens(HOUR).abs_diff(expected) <= 4);
}
