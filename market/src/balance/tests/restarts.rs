//! State after the end of the process.

use super::*;

const START: u64 = 16_000_000_000;

#[test]
fn continues_expiration_after_a_restart() {
    let store = Arc::default();
    let settings = half_lives(2 * HOUR, HOUR);
    let mut tracker = open(&store, settings, 0);
    set(&mut tracker, 1, START, START, 0);
    assert_eq!(stored_balances(&mut tracker, 1, 0), (START, START));
    let at = 2 * HOUR;
    assert_eq!(stored_balances(&mut tracker, 1, at), (START / 2, START / 4));
    tracker.save(at).unwrap();
    drop(tracker);

    // Another process has another clock, and the time in between does not count.
    let (start, hours) = (1_000 * HOUR, 2 * HOUR);
    let mut tracker = open(&store, settings, start);
    assert_eq!(
        stored_balances(&mut tracker, 1, start),
        (START / 2, START / 4)
    );
    let at = start + hours;
    assert_eq!(
        stored_balances(&mut tracker, 1, at),
        (START / 4, START / 16)
    );
}

/// The offsets of the last write count, so a stored balance is never worth more than when it was written.
#[test]
fn stores_balances_with_the_offsets_of_their_moment() {
    let store = Arc::default();
    let settings = half_lives(2 * HOUR, HOUR);
    let mut tracker = open(&store, settings, 0);
    set(&mut tracker, 1, START, START, 4 * HOUR);
    drop(tracker);
    let mut tracker = open(&store, settings, 0);
    assert_eq!(stored_balances(&mut tracker, 1, 0), (START, START));
    assert_eq!(tracker.total_tokens(0), START);
}

#[test]
fn loses_charges_of_five_minutes_and_no_payment_in_a_kill() {
    let store = Arc::default();
    let settings = BalanceSettings {
        prices: one_per_ns(),
        ..BalanceSettings::default()
    };
    let mut tracker = open(&store, settings, 0);
    connect(&mut tracker, 1, HOME, 0);
    tracker.add_balance(&id(1), 1_000_000_000_000, 0).unwrap();
    while tracker.next_event() <= 599 * SECOND {
        let at = tracker.next_event();
        tracker.poll(at).unwrap();
    }
    drop(tracker);
    let mut tracker = open(&store, settings, 0);
    assert_eq!(stored_balances(&mut tracker, 1, 0), (700 * SECOND, 0));
}

#[test]
fn restores_debt_by_address() {
    let store = Arc::default();
    let mut tracker = open(&store, BalanceSettings::default(), 0);
    tracker.set_default_prices(one_per_ns());
    connect(&mut tracker, 1, HOME, 0);
    tracker.save(7 * SECOND).unwrap();
    drop(tracker);
    let mut tracker = open(&store, BalanceSettings::default(), 0);
    connect(&mut tracker, 2, HOME, 0);
    assert_eq!(balances(&tracker, 2, 0), (0, 7 * SECOND));
}

#[test]
fn keeps_earlier_expiration_when_the_rate_changes() {
    let mut tracker = open(&Arc::default(), half_lives(2 * HOUR, HOUR), 0);
    set(&mut tracker, 1, START, START, 0);
    tracker.set_expiration_time_constants(0, 0, 2 * HOUR);
    let at = 9 * HOUR;
    assert_eq!(stored_balances(&mut tracker, 1, at), (START / 2, START / 4));
    tracker.set_expiration_time_constants(3_600, 1_800, at);
    let (positive, negative) = stored_balances(&mut tracker, 1, at + HOUR);
    // 8·10^9 / e and 4·10^9 / e^2, within a millionth.
    assert!(positive.abs_diff(2_943_035_529) < 2_943, "{positive}");
    assert!(negative.abs_diff(541_341_133) < 541, "{negative}");
}

#[test]
fn rejects_damaged_and_newer_records() {
    let key = |rest: &[u8]| [PREFIX, rest].concat();
    let balance = key(&[b"pb:", &id(1)[..]].concat());
    for (key, value) in [
        (balance.clone(), vec![]),
        (balance.clone(), vec![1; 16]),
        (balance.clone(), vec![1; 18]),
        (balance, vec![2; 17]),
        (key(b"expiration:"), vec![1; 9]),
        (key(b"expiration:"), [&[1][..], &[0xff; 16]].concat()),
    ] {
        let store: Arc<Memory> = Arc::default();
        let mut batch = Batch::new();
        batch.put(key, value.clone());
        store.write(&batch).unwrap();
        let opened = BalanceTracker::<Id, _>::open(store, PREFIX, BalanceSettings::default(), 0);
        match opened {
            Err(LoadBalanceError::Damaged { length }) => assert_eq!(length, value.len()),
            Err(LoadBalanceError::Version { found }) => assert_eq!(found, 2),
            other => panic!("{value:?} gave {other:?}"),
        }
    }
}
