//! Who gets what, and who gives way.

use super::*;

#[test]
fn there_is_room_until_there_is_none() {
    let mut f = Fixture::new(settings(10, 2, 2), 3, 25);
    assert_eq!(f.connect(1, 100), [(1, 0, 10)]);
    assert_eq!(f.connect(2, 100), [(2, 0, 10)]);
    assert_eq!(f.connect(3, 100), []);
    assert_eq!((f.pool.total_capacity(), f.pool.active_count()), (20, 2));
    let more = Limits {
        count: 2,
        capacity: 1000,
    };
    assert_eq!(listed(&f.pool.set_limits(more, &f.balances)), []);
    let more = Limits { count: 3, ..more };
    assert_eq!(listed(&f.pool.set_limits(more, &f.balances)), [(3, 0, 10)]);
    assert_eq!(f.pool.limits(), more);
}

#[test]
fn a_newcomer_displaces_only_who_is_below_it() {
    let mut f = Fixture::new(settings(10, 2, 2), 2, 1000);
    f.connect(1, 300);
    f.connect(2, 100);
    assert_eq!(f.connect(3, 100), [], "equal is not above");
    assert_eq!(f.connect(4, 101), [(2, 10, 0), (4, 0, 10)]);
    // Those who wait come back by their priority when there is room.
    f.balances.0.insert(3, 102);
    assert_eq!(f.activate(), [(3, 0, 10), (4, 10, 0)]);
    let left = f.pool.disconnect(&1, &f.balances).unwrap();
    assert_eq!(listed(&left), [(4, 0, 10)]);
    assert_eq!(f.pool.capacity(&1), None);
    assert_eq!(f.capacity(2), 0);
}

#[test]
fn equal_clients_never_displace_each_other() {
    let mut f = Fixture::new(settings(10, 2, 2), 1, 1000);
    f.connect(1, 100);
    for id in 2..5 {
        f.connect(id, 100);
        assert_eq!(f.activate(), []);
    }
    assert_eq!(f.capacity(1), 10);
    assert!(!f.request(3, 10));
}

#[test]
fn smaller_limits_take_from_the_lowest_priority() {
    let mut f = Fixture::new(settings(10, 2, 2), 10, 1000);
    for (id, balance, capacity) in [(1, 1_000, 40), (2, 4_000, 40), (3, 9_000, 90)] {
        f.connect(id, balance);
        assert!(f.request(id, capacity));
    }
    let limits = |count, capacity| Limits { count, capacity };
    // 40 to 20 is enough: client 1 has the lowest priority before and after.
    let changes = f.pool.set_limits(limits(10, 150), &f.balances);
    assert_eq!(listed(&changes), [(1, 40, 20)]);
    let changes = f.pool.set_limits(limits(10, 140), &f.balances);
    assert_eq!(listed(&changes), [(1, 20, 10)]);
    // At 100 per unit both 1 and 3 are lowest; at equal priority the smaller id gives way.
    let changes = f.pool.set_limits(limits(10, 139), &f.balances);
    assert_eq!(listed(&changes), [(1, 10, 0)]);
    let changes = f.pool.set_limits(limits(1, 139), &f.balances);
    // Client 2 goes, then 3 for the sake of 2 at the minimum, then 2 for the sake of 3 at the minimum.
    assert_eq!(listed(&changes), [(2, 40, 0), (3, 90, 10)]);
    let changes = f.pool.set_limits(limits(0, 0), &f.balances);
    assert_eq!(listed(&changes), [(3, 10, 0)]);
    assert_eq!((f.pool.total_capacity(), f.pool.active_count()), (0, 0));
    // What they had is forgotten: with room for all again, everybody has the minimum.
    let changes = f.pool.set_limits(limits(10, 1000), &f.balances);
    assert_eq!(listed(&changes), [(1, 0, 10), (2, 0, 10), (3, 0, 10)]);
}

#[test]
fn a_request_is_granted_within_its_bounds_or_changes_nothing() {
    let mut f = Fixture::new(settings(10, 2, 100), 10, 100);
    f.connect(1, 1_000);
    f.connect(2, 10_000);
    assert!(f.request(1, 50));
    // 1 has 20 per unit; 2 has at least 100 even for all of the capacity.
    let request = |f: &mut Fixture, least, most| {
        let granted = f.pool.request(&2, least, most, 0, &f.balances).unwrap();
        (granted.capacity, listed(&granted.changes))
    };
    assert_eq!(request(&mut f, 200, 300), (10, vec![]));
    assert_eq!(
        request(&mut f, 50, 60),
        (60, vec![(1, 50, 25), (2, 10, 60)])
    );
    // Asking for more than there is comes to asking for all: 1 gives way.
    let (capacity, changes) = request(&mut f, 80, 1_000);
    assert_eq!(changes, [(1, 25, 0), (2, 60, capacity)]);
    assert!(
        (96..=100).contains(&capacity),
        "a step is a hundredth: {capacity}"
    );
    // What is given back goes to who waits.
    assert_eq!(
        request(&mut f, 0, 0),
        (10, vec![(1, 0, 10), (2, capacity, 10)])
    );
    assert_eq!(f.pool.request(&3, 0, 0, 0, &f.balances), Err(NotInPool));
    assert_eq!(f.pool.disconnect(&3, &f.balances), Err(NotInPool));
}

#[test]
fn the_largest_request_is_no_overflow() {
    let mut f = Fixture::new(settings(10, 2, 2), u64::MAX, u64::MAX);
    f.connect(1, 1_000);
    f.connect(2, 1_000);
    assert!(!f.request(1, u64::MAX));
    assert!(f.request(1, u64::MAX - 10));
    assert_eq!(f.pool.total_capacity(), u64::MAX);
}

/// Whoever asks for more must keep its lead for the bias; whoever asks for less needs no lead.
#[test]
fn raising_counts_the_expected_priority_and_lowering_none() {
    struct Losing(Fixed);
    impl Priorities<u32> for Losing {
        fn priority(&self, id: &u32, capacity: u64) -> Priority {
            self.0.priority(id, capacity)
        }

        fn expected(&self, id: &u32, capacity: u64, bias_ns: u64) -> Priority {
            Priority::new(self.0.0[id].saturating_sub(bias_ns), 0, capacity)
        }
    }
    let mut f = Fixture::new(settings(10, 2, 2), 2, 40);
    f.connect(1, 1_000);
    f.connect(2, 1_500);
    assert!(f.request(1, 20));
    let losing = Losing(f.balances.clone());
    let mut request = |capacity, bias_ns| {
        let granted = f.pool.request(&2, capacity, capacity, bias_ns, &losing);
        granted.unwrap().capacity
    };
    assert_eq!(request(20, 900), 20, "there is room");
    assert_eq!(request(24, 301), 20, "1199 / 24 is below 1000 / 20");
    assert_eq!(request(24, 300), 24);
    assert_eq!(request(12, 1_500), 12);
}

#[test]
fn at_equal_rank_who_asks_prevails_over_who_has() {
    // The expected priority is below the present one already; which id is smaller does not matter.
    for (has, asks) in [(1, 2), (2, 1)] {
        let mut f = Fixture::new(settings(10, 2, 2), 2, 40);
        f.connect(has, 1_000);
        f.connect(asks, 1_000);
        assert!(f.request(has, 20));
        f.balances.0.insert(asks, 2_000);
        let equal = Equal(f.balances.clone());
        let granted = f.pool.request(&asks, 24, 24, 0, &equal).unwrap();
        assert_eq!(granted.capacity, 24, "{asks} asks");
    }

    /// Expects everybody to have what is just enough to be equal.
    struct Equal(Fixed);
    impl Priorities<u32> for Equal {
        fn priority(&self, id: &u32, capacity: u64) -> Priority {
            self.0.priority(id, capacity)
        }

        fn expected(&self, _: &u32, _: u64, _: u64) -> Priority {
            Priority::new(50, 0, 1)
        }
    }
}

/// A client that gives way does so by its share until its priority at what is left is higher than the others'.
#[test]
fn capacities_stay_proportional_to_balances() {
    const CLIENTS: u32 = 100;
    const TOTAL: u64 = 1_000_000;
    let mut f = Fixture::new(settings(100, 100, 100), CLIENTS.into(), TOTAL);
    let raise = |f: &mut Fixture, id| {
        for _ in 0..10_000 {
            let capacity = f.capacity(id);
            if !f.request(id, capacity + (capacity / 100).max(1)) {
                return;
            }
        }
        panic!("client {id} was raised 10,000 times");
    };
    let check = |f: &Fixture, id| {
        let sum: u64 = f.balances.0.values().sum();
        let expected =
            u64::try_from(u128::from(TOTAL) * u128::from(f.balances.0[&id]) / u128::from(sum))
                .unwrap();
        let found = f.capacity(id);
        assert!(
            found.abs_diff(expected) <= expected / 10,
            "{id}: {found}, not {expected}"
        );
    };
    // A fixed sequence (Knuth's MMIX generator), for balances from 1 to 2 times 10^11.
    let mut state = 1u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 20) % below
    };
    for id in 0..CLIENTS {
        f.connect(id, 100_000_000_000);
        raise(&mut f, id);
        check(&f, id);
    }
    for round in 0..12 {
        let id = u32::try_from(random(CLIENTS.into())).unwrap();
        let old = f.balances.0[&id];
        let new = 100_000_000_000 + random(100_000_000_000);
        f.balances.0.insert(id, new);
        f.activate();
        match new > old {
            true => raise(&mut f, id),
            false => (0..CLIENTS).for_each(|id| raise(&mut f, id)),
        }
        (0..CLIENTS).for_each(|id| check(&f, id));
        if round % 5 == 0 {
            raised_as_the_curve_says(&mut f, id, random(10_000_000_000_000), new);
            (0..CLIENTS).for_each(|id| raise(&mut f, id));
        }
    }
}

/// Gives a client tokens for one request: what the curve says is granted, and a little more is not.
fn raised_as_the_curve_says(f: &mut Fixture, id: u32, add: u64, balance: u64) {
    f.balances.0.insert(id, balance + add);
    let balances = f.balances.clone();
    let priority = |capacity| balances.priority(&id, capacity).lowered();
    let most = f.pool.curve(&balances, 0).max_capacity(Some(&id), priority);
    assert!(!f.request(id, most + 10), "{most} and 10 more");
    assert!(f.request(id, most), "{most}");
    f.balances.0.insert(id, balance);
    f.activate();
}
