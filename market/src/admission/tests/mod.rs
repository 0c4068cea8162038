//! Capacity, fairness, bounds.

mod fairness;
mod free;
mod properties;

use super::*;

use std::num::NonZeroU64;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
/// Ten thousand units a second.
const RATE: u64 = 10_000;

fn tier(rate: u64, burst: u64) -> Tier {
    Tier {
        rate: NonZeroU64::new(rate).unwrap(),
        burst,
    }
}

/// Accounts that the capacity limits, not their own rate.
fn rich() -> Tier {
    tier(1_000_000, 1_000_000)
}

fn settings() -> AdmissionSettings {
    AdmissionSettings {
        capacity: tier(RATE, 1_000),
        queue: QueueSettings::default(),
        free: FreeSettings {
            min_percent: 1,
            max_percent: 10,
            prefix: tier(1_000_000, 100),
            max_prefixes: 8,
        },
    }
}

fn admission() -> Admission<u8> {
    Admission::new(settings(), 0).unwrap()
}

fn prefix(n: u16) -> Prefix {
    let [a, b] = n.to_be_bytes();
    std::net::IpAddr::from([10, a, b, 7]).into()
}

/// A request without a price.
fn demand(cost: u64, bytes: u64) -> Demand {
    Demand {
        cost,
        bytes,
        price: 0,
    }
}

fn is_served(asked: &Result<Decision, Refusal>) -> bool {
    matches!(asked, Ok(Decision::Serve(_)))
}

/// Serves `account` until requests of 100 units wait.
fn fill(admission: &mut Admission<u8>, account: u8, waiting: usize, now: u64) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    while tickets.len() < waiting {
        match admission
            .request(&account, rich(), demand(100, 1), now)
            .unwrap()
        {
            Decision::Serve(_) => {}
            Decision::Wait(ticket) => tickets.push(ticket),
        }
    }
    tickets
}

fn served(outcomes: &[Outcome]) -> Vec<Ticket> {
    let served = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Serve(ticket, _) => Some(*ticket),
        Outcome::Refuse(..) => None,
    });
    served.collect()
}

#[test]
fn limits_an_account_to_its_rate_and_burst() {
    let mut admission = admission();
    let slow = tier(100, 300);
    let ask = |admission: &mut Admission<u8>, cost, now| {
        admission.request(&1, slow, demand(cost, 0), now)
    };
    assert!(is_served(&ask(&mut admission, 300, 0)));
    let retry_ns = 500 * MS;
    let refused = Refusal::Rate { retry_ns };
    assert_eq!(ask(&mut admission, 50, 0), Err(refused));
    assert_eq!(refused.retry_seconds(), Some(1));
    assert!(ask(&mut admission, 50, retry_ns - 1).is_err());
    let Ok(Decision::Serve(grant)) = ask(&mut admission, 50, retry_ns) else {
        panic!("not served");
    };
    let large = ask(&mut admission, 301, 9 * SECOND).unwrap_err();
    assert_eq!(
        large,
        Refusal::TooLarge {
            cost: 301,
            max: 300
        }
    );
    assert_eq!(large.retry_seconds(), None);
    // Another account has its own bucket.
    let other = admission.request(&2, slow, demand(300, 0), retry_ns);
    assert!(is_served(&other));
    // Unused units of a served request come back.
    assert!(ask(&mut admission, 40, retry_ns).is_err());
    admission.settle(&1, grant, 10, retry_ns);
    assert!(ask(&mut admission, 41, retry_ns).is_err());
    assert!(is_served(&ask(&mut admission, 40, retry_ns)));
}

#[test]
fn refuses_and_charges_nothing_after_two_seconds() {
    let mut admission = admission();
    // A request of 900 units takes 90 ms of capacity; the account may have three at once.
    let tier = tier(1, 2_700);
    let first = admission.request(&1, tier, demand(900, 5), 0);
    assert!(is_served(&first));
    let Ok(Decision::Wait(ticket)) = admission.request(&1, tier, demand(900, 5), 0) else {
        panic!("no room is left");
    };
    assert_eq!(admission.waiting(), (1, 5));
    assert_eq!(served(&admission.poll(SECOND)), [ticket]);
    assert!(!admission.cancel(ticket, SECOND));

    let mut slower = settings();
    slower.capacity.rate = NonZeroU64::new(100).unwrap();
    admission.set_settings(slower, SECOND).unwrap();
    let Ok(Decision::Wait(ticket)) = admission.request(&1, tier, demand(900, 5), SECOND) else {
        panic!("no room is left");
    };
    assert_eq!(admission.next_event(SECOND), 3 * SECOND);
    assert!(admission.poll(3 * SECOND - 1).is_empty());
    let outcomes = admission.poll(3 * SECOND);
    let [Outcome::Refuse(refused, Refusal::Waited { retry_ns })] = outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert!(refused == ticket && retry_ns >= SECOND);
    assert_eq!(admission.waiting(), (0, 0));
    // The bucket of the account has its last 900 units again, and one per second.
    let Ok(Decision::Wait(again)) = admission.request(&1, tier, demand(900, 5), 3 * SECOND) else {
        panic!("the account was charged for a refused request");
    };
    assert!(admission.cancel(again, 3 * SECOND));
    assert!(!admission.cancel(again, 3 * SECOND));
}

#[test]
fn bounds_the_queue_by_requests_and_bytes() {
    let mut bounded = settings();
    bounded.queue = QueueSettings {
        max_requests: 3,
        max_bytes: 100,
        max_account_requests: 2,
        max_account_bytes: 60,
        ..QueueSettings::default()
    };
    let mut admission = Admission::new(bounded, 0).unwrap();
    let mut ask = |account, bytes| admission.request(&account, rich(), demand(990, bytes), 0);
    assert!(is_served(&ask(1, 0)));
    assert!(matches!(ask(1, 61), Err(Refusal::AccountQueueFull { .. })));
    assert!(matches!(ask(1, 30), Ok(Decision::Wait(_))));
    assert!(matches!(ask(1, 30), Ok(Decision::Wait(_))));
    assert!(matches!(ask(1, 0), Err(Refusal::AccountQueueFull { .. })));
    assert!(matches!(ask(2, 41), Err(Refusal::QueueFull { .. })));
    assert!(matches!(ask(2, 40), Ok(Decision::Wait(_))));
    let full = ask(3, 0).unwrap_err();
    assert!(matches!(full, Refusal::QueueFull { .. }));
    assert_eq!(full.retry_seconds(), Some(1));
}

/// Priority by balance would be a parking lot: idle money in front for ever.
#[test]
fn gives_no_share_for_payments_of_eleven_minutes_ago() {
    let mut admission = admission();
    admission.paid(&1, rich(), 1 << 100, 0);
    let now = 660 * SECOND;
    admission.paid(&2, rich(), 1_000, now);
    let idle = fill(&mut admission, 1, 10, now);
    let paying = fill(&mut admission, 2, 10, now);
    let mut order = Vec::new();
    for step in 1..=200 {
        order.extend(served(&admission.poll(now + step * 10 * MS)));
    }
    assert_eq!(order.len(), 20);
    // The idle account came first, and its requests are behind those of the account that pays.
    assert_eq!(order[..10], paying[..]);
    assert_eq!(order[10..], idle[..]);
}

#[test]
fn forgets_accounts_without_payments_and_requests() {
    let mut admission = admission();
    for account in 0..100 {
        let slow = tier(10, 100);
        admission.request(&account, slow, demand(5, 0), 0).unwrap();
    }
    admission.paid(&7, rich(), 1, 0);
    assert_eq!(admission.known().0, 100);
    assert_eq!(admission.next_event(0), SECOND / 2);
    admission.poll(SECOND / 2);
    assert_eq!(admission.known().0, 1);
    admission.poll(599 * SECOND);
    assert_eq!(admission.known().0, 1);
    admission.poll(600 * SECOND);
    assert_eq!(admission.known().0, 0);
}

#[test]
fn rejects_settings_out_of_bounds() {
    let refused = |change: fn(&mut AdmissionSettings)| {
        let mut changed = settings();
        change(&mut changed);
        Admission::<u8>::new(changed, 0).unwrap_err()
    };
    for change in [
        (|s| s.free.min_percent = 0) as fn(&mut AdmissionSettings),
        |s| s.free.max_percent = 11,
        |s| s.free.min_percent = 11,
    ] {
        assert!(matches!(refused(change), SettingsError::FreeShare { .. }));
    }
    let small = refused(|s| s.capacity.rate = NonZeroU64::new(99).unwrap());
    assert_eq!(small, SettingsError::Capacity(99));
    assert_eq!(
        refused(|s| s.free.max_prefixes = 0),
        SettingsError::Prefixes(0)
    );
    let many = refused(|s| s.free.max_prefixes = 65_537);
    assert_eq!(many, SettingsError::Prefixes(65_537));
}
