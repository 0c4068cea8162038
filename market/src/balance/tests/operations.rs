//! Changes of balances.

use super::*;

fn add(tracker: &mut Tracker, amount: i64) -> Option<(u64, u64)> {
    let added = tracker.add_balance(&id(1), amount, 0).ok()?;
    Some((added.old, added.new))
}

#[test]
fn returns_balance_before_and_after_within_bounds() {
    let mut tracker = connected(ServicePrices::default());
    assert_eq!(add(&mut tracker, 100), Some((0, 100)));
    assert_eq!(add(&mut tracker, -100), Some((100, 0)));
    assert_eq!(add(&mut tracker, -100), Some((0, 0)));
    assert_eq!(add(&mut tracker, 1), Some((0, 1)));
    assert_eq!(add(&mut tracker, i64::MAX), None);
    assert_eq!(balances(&tracker, 1, 0), (1, 0));
    assert_eq!(add(&mut tracker, i64::MAX - 1), Some((1, i64::MAX as u64)));
    assert_eq!(add(&mut tracker, 1), None);
    assert_eq!(add(&mut tracker, i64::MIN), Some((i64::MAX as u64, 0)));
    add(&mut tracker, 7);
    assert_eq!(
        tracker
            .add_balance(&id(1), i64::MAX, 0)
            .unwrap_err()
            .to_string(),
        "a balance of 7 and 9223372036854775807 more exceed the limit of 9223372036854775807 tokens; add less"
    );
}

#[test]
fn changes_balances_of_client_not_connected() {
    let mut tracker = open(&Arc::default(), BalanceSettings::default(), 0);
    set(&mut tracker, 1, 5_000_000, 7_000_000, 0);
    assert_eq!(stored_balances(&mut tracker, 1, 0), (5_000_000, 7_000_000));
    connect(&mut tracker, 1, HOME, 0);
    assert_eq!(balances(&tracker, 1, 0), (5_000_000, 7_000_000));
    tracker.add_balance(&id(1), 1, 0).unwrap();
    tracker.disconnect(&id(1), 0).unwrap();
    assert_eq!(stored_balances(&mut tracker, 1, 0), (5_000_001, 7_000_000));
    // Without an address the debt is 0, and the debt of the address does not change.
    let none = tracker.operation(&id(1), None, 0, |balance| {
        assert_eq!(balance.balances().negative, 0);
        balance.add(1)
    });
    none.unwrap();
    assert_eq!(stored_balances(&mut tracker, 1, 0), (5_000_002, 7_000_000));
}

/// The older default of 1,000,000 swallowed payments of clients that are away: the answer said 1,000,000, and the next
/// read said 0.
#[test]
fn keeps_the_smallest_payment_of_a_client_that_is_away() {
    let mut tracker = open(&Arc::default(), BalanceSettings::default(), 0);
    for (amount, sum) in [(1, 1), (999_999, 1_000_000)] {
        let added = tracker.add_balance(&id(1), amount, 0).unwrap();
        assert_eq!(added.new, sum);
        assert_eq!(stored_balances(&mut tracker, 1, 0).0, sum);
    }
}

#[test]
fn answers_with_the_balance_that_is_kept() {
    let settings = BalanceSettings {
        positive_drop: 1_000_000,
        ..BalanceSettings::default()
    };
    let mut tracker = open(&Arc::default(), settings, 0);
    let mut add = |n, amount| {
        let added = tracker.add_balance(&id(n), amount, 0).unwrap();
        (added.old, added.new)
    };
    assert_eq!(add(1, 1_000_000), (0, 0));
    assert_eq!(add(1, 1_000_001), (0, 1_000_001));
    assert_eq!(add(1, -1), (1_000_001, 0));
    connect(&mut tracker, 1, HOME, 0);
    let added = tracker.add_balance(&id(1), 5, 0).unwrap();
    assert_eq!(added, Added { old: 0, new: 5 });
}

#[test]
fn drops_small_balances() {
    let settings = BalanceSettings {
        positive_drop: 1_000_000,
        ..BalanceSettings::default()
    };
    let mut tracker = open(&Arc::default(), settings, 0);
    for (n, amount, kept) in [(1, 1_000_000, 0), (2, 1_000_001, 1_000_001)] {
        tracker.add_balance(&id(n), amount, 0).unwrap();
        assert_eq!(stored_balances(&mut tracker, n, 0).0, kept);
        connect(&mut tracker, n + 10, &[n], 0);
        let owing = Balances {
            positive: 0,
            negative: amount as u64,
        };
        let set = tracker.operation(&id(n + 10), None, 0, |balance| balance.set(owing));
        set.unwrap();
        assert_eq!(balances(&tracker, n + 10, 0).1, amount as u64);
        tracker.disconnect(&id(n + 10), 0).unwrap();
        connect(&mut tracker, n + 10, &[n], 0);
        assert_eq!(balances(&tracker, n + 10, 0).1, kept);
    }
}

#[test]
fn shares_debt_of_clients_at_one_address() {
    let mut tracker = connected(one_per_ns());
    tracker.request_served(&id(1), 0, 2 * SECOND).unwrap();
    connect(&mut tracker, 2, HOME, 2 * SECOND);
    connect(&mut tracker, 3, b"elsewhere", 2 * SECOND);
    assert_eq!(balances(&tracker, 2, 2 * SECOND), (0, 2 * SECOND));
    // Each client is charged, and both owe the sum.
    tracker.poll(3 * SECOND).unwrap();
    tracker.request_served(&id(1), 0, 3 * SECOND).unwrap();
    tracker.request_served(&id(2), 0, 3 * SECOND).unwrap();
    assert_eq!(balances(&tracker, 1, 3 * SECOND), (0, 4 * SECOND));
    assert_eq!(balances(&tracker, 2, 3 * SECOND), (0, 4 * SECOND));
    assert_eq!(balances(&tracker, 3, 3 * SECOND), (0, SECOND));
    tracker.disconnect(&id(1), 3 * SECOND).unwrap();
    tracker.disconnect(&id(2), 3 * SECOND).unwrap();
    connect(&mut tracker, 4, HOME, 9 * SECOND);
    assert_eq!(balances(&tracker, 4, 9 * SECOND), (0, 4 * SECOND));
    // An operation on a client that is not connected reaches the connected clients of its address.
    set(&mut tracker, 5, 0, 0, 9 * SECOND);
    assert_eq!(balances(&tracker, 4, 9 * SECOND), (0, 0));
}

/// A client that is alone at its address has a debt of its own, which is the address's again as soon as it is not alone.
#[test]
fn keeps_debt_of_an_address_while_clients_come_and_go() {
    let mut tracker = connected(ServicePrices::default());
    let debts = |tracker: &Tracker, clients: &[u8]| {
        let debt = |n: &u8| balances(tracker, *n, 0).1;
        clients.iter().map(debt).collect::<Vec<_>>()
    };
    // An operation on an absent client reaches the one that is there.
    set(&mut tracker, 9, 0, 50, 0);
    assert_eq!(debts(&tracker, &[1]), [50]);
    for n in [2, 3, 4] {
        connect(&mut tracker, n, HOME, 0);
    }
    assert_eq!(debts(&tracker, &[1, 2, 3, 4]), [50; 4]);
    set(&mut tracker, 2, 0, 70, 0);
    assert_eq!(debts(&tracker, &[1, 2, 3, 4]), [70; 4]);
    for n in [1, 2, 3] {
        tracker.disconnect(&id(n), 0).unwrap();
    }
    assert_eq!(debts(&tracker, &[4]), [70]);
    set(&mut tracker, 9, 0, 90, 0);
    assert_eq!(debts(&tracker, &[4]), [90]);
    connect(&mut tracker, 5, HOME, 0);
    assert_eq!(debts(&tracker, &[4, 5]), [90; 2]);
}

#[test]
fn changes_nothing_on_failed_operation() {
    let store = Arc::new(Failing::default());
    let settings = BalanceSettings::default();
    let mut tracker = BalanceTracker::open(Arc::clone(&store), PREFIX, settings, 0).unwrap();
    connect(&mut tracker, 1, HOME, 0);
    for n in [1, 2] {
        tracker.add_balance(&id(n), 5_000_000, 0).unwrap();
        let refused = tracker.operation(&id(n), None, 0, |balance| {
            balance.add(1_000_000)?;
            balance.add(i64::MAX)
        });
        assert!(matches!(refused, Err(ChangeBalanceError::Overflow { .. })));
        store.fail(true);
        let failed = tracker.add_balance(&id(n), 1_000_000, 0).unwrap_err();
        assert_eq!(failed.to_string(), "the store failed: disk full");
        store.fail(false);
        assert_eq!(tracker.add_balance(&id(n), -1, 0).unwrap().old, 5_000_000);
    }
    store.fail(true);
    let failed = tracker.disconnect(&id(1), 0);
    assert!(matches!(failed, Err(DisconnectError::Store(_))));
    assert_eq!(tracker.balances(&id(1), 0).unwrap().positive, 4_999_999);
}

#[test]
fn stores_payment_with_its_balance() {
    let store: Arc<Memory> = Arc::default();
    let mut tracker = open(&store, BalanceSettings::default(), 0);
    let pay = |tracker: &mut Tracker, amount| {
        tracker.operation(&id(1), None, 0, |balance| {
            balance.extra_writes().put("payment", [1]);
            balance.add(amount)
        })
    };
    pay(&mut tracker, i64::MIN).unwrap();
    let mut undo = Batch::new();
    undo.delete("payment");
    store.write(&undo).unwrap();
    tracker.add_balance(&id(1), 1_000_001, 0).unwrap();
    pay(&mut tracker, i64::MAX).unwrap_err();
    assert_eq!(store.get(b"payment").unwrap(), None);
    pay(&mut tracker, 1).unwrap();
    assert_eq!(store.get(b"payment").unwrap(), Some(vec![1]));
    assert_eq!(stored_balances(&mut tracker, 1, 0).0, 1_000_002);
}

#[test]
fn rejects_second_connection_and_unknown_client() {
    let mut tracker = connected(ServicePrices::default());
    let again = tracker.connect(id(1), b"elsewhere", 0);
    assert!(matches!(again, Err(ConnectError::Connected)));
    let nobody = &id(2);
    assert_eq!(tracker.balances(nobody, 0), Err(NotConnected));
    assert_eq!(tracker.priority(nobody, 1, 0), Err(NotConnected));
    let forecast = Forecast::default();
    assert_eq!(
        tracker.forecast_priority(nobody, forecast, 0),
        Err(NotConnected)
    );
    assert_eq!(
        tracker.time_until_below(nobody, Priority::MAX, 0),
        Err(NotConnected)
    );
    assert_eq!(tracker.request_served(nobody, 1, 0), Err(NotConnected));
    assert_eq!(tracker.set_capacity(nobody, 1, 0), Err(NotConnected));
    assert_eq!(
        tracker.set_prices(nobody, ServicePrices::default(), 0),
        Err(NotConnected)
    );
    assert_eq!(tracker.watch(nobody, Priority::MAX, 0), Err(NotConnected));
    let gone = tracker.disconnect(nobody, 0);
    assert!(matches!(gone, Err(DisconnectError::NotConnected(_))));
    assert!(!tracker.has_tokens(nobody));
}
