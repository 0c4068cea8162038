//! Requests, and the clients that yield.

use super::*;

#[test]
fn activates_clients_while_there_is_room() {
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
fn displaces_only_lower_priorities() {
    let mut f = Fixture::new(settings(10, 2, 2), 2, 1000);
    f.connect(1, 300);
    f.connect(2, 100);
    assert_eq!(f.connect(3, 100), [], "an equal priority is not higher");
    assert_eq!(f.connect(4, 101), [(2, 10, 0), (4, 0, 10)]);
    // Waiting clients return by priority when there is room.
    f.balances.0.insert(3, 102);
    assert_eq!(f.activate(), [(3, 0, 10), (4, 10, 0)]);
    let left = f.pool.disconnect(&1, &f.balances).unwrap();
    assert_eq!(listed(&left), [(4, 0, 10)]);
    assert_eq!(f.pool.capacity(&1), None);
    assert_eq!(f.capacity(2), 0);
}

#[test]
fn never_displaces_clients_of_equal_priority() {
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
fn takes_from_lowest_priority_at_lower_limits() {
    let mut f = Fixture::new(settings(10, 2, 2), 10, 1000);
    for (id, balance, capacity) in [(1, 1_000, 40), (2, 4_000, 40), (3, 9_000, 90)] {
        f.connect(id, balance);
        assert!(f.request(id, capacity));
    }
    let limits = |count, capacity| Limits { count, capacity };
    // From 40 to 20 is enough: client 1 has the lowest priority before and after.
    let changes = f.pool.set_limits(limits(10, 150), &f.balances);
    assert_eq!(listed(&changes), [(1, 40, 20)]);
    let changes = f.pool.set_limits(limits(10, 140), &f.balances);
    assert_eq!(listed(&changes), [(1, 20, 10)]);
    // At 100 per unit both 1 and 3 are lowest; at equal priority the smaller id yields.
    let changes = f.pool.set_limits(limits(10, 139), &f.balances);
    assert_eq!(listed(&changes), [(1, 10, 0)]);
    let changes = f.pool.set_limits(limits(1, 139), &f.balances);
    // Client 2 loses its slot, then 3 to 2 at the minimum, then 2 to 3 at the minimum.
    assert_eq!(listed(&changes), [(2, 40, 0), (3, 90, 10)]);
    let changes = f.pool.set_limits(limits(0, 0), &f.balances);
    assert_eq!(listed(&changes), [(3, 10, 0)]);
    assert_eq!((f.pool.total_capacity(), f.pool.active_count()), (0, 0));
    // Earlier capacities do not return: with room for all, every client has the minimum.
    let changes = f.pool.set_limits(limits(10, 1000), &f.balances);
    assert_eq!(listed(&changes), [(1, 0, 10), (2, 0, 10), (3, 0, 10)]);
}

#[test]
fn grants_request_within_its_bounds_or_changes_nothing() {
    let mut f = Fixture::new(settings(10, 2, 100), 10, 100);
    f.connect(1, 1_000);
    f.connect(2, 10_000);
    assert!(f.request(1, 50));
    // Client 1 has 20 per unit; client 2 has at least 100 even for the whole capacity.
    let request = |f: &mut Fixture, min, max| {
        let granted = f.pool.request(&2, min, max, 0, &f.balances).unwrap();
        (granted.capacity, listed(&granted.changes))
    };
    assert_eq!(request(&mut f, 200, 300), (10, vec![]));
    assert_eq!(
        request(&mut f, 50, 60),
        (60, vec![(1, 50, 25), (2, 10, 60)])
    );
    // A request above the limit counts as a request for the limit: client 1 yields.
    let (capacity, changes) = request(&mut f, 80, 1_000);
    assert_eq!(changes, [(1, 25, 0), (2, 60, capacity)]);
    assert!(
        (96..=100).contains(&capacity),
        "a step is a hundredth, the capacity {capacity}"
    );
    // Returned capacity goes to waiting clients.
    assert_eq!(
        request(&mut f, 0, 0),
        (10, vec![(1, 0, 10), (2, capacity, 10)])
    );
    assert_eq!(f.pool.request(&3, 0, 0, 0, &f.balances), Err(NotInPool));
    assert_eq!(f.pool.disconnect(&3, &f.balances), Err(NotInPool));
}

#[test]
fn handles_largest_request_without_overflow() {
    let mut f = Fixture::new(settings(10, 2, 2), u64::MAX, u64::MAX);
    f.connect(1, 1_000);
    f.connect(2, 1_000);
    assert!(!f.request(1, u64::MAX));
    assert!(f.request(1, u64::MAX - 10));
    assert_eq!(f.pool.total_capacity(), u64::MAX);
}

/// An increase needs a lead for the whole bias; a decrease needs no lead.
#[test]
fn needs_expected_priority_for_an_increase_only() {
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
    assert_eq!(request(20, 900), 20, "enough room is free");
    assert_eq!(request(24, 301), 20, "1199 / 24 is below 1000 / 20");
    assert_eq!(request(24, 300), 24);
    assert_eq!(request(12, 1_500), 12);
}

/// Priorities that do not tell their changes are compared in each call.
#[test]
fn ranks_again_where_changes_are_not_told() {
    struct Silent(Fixed);
    impl Priorities<u32> for Silent {
        fn priority(&self, id: &u32, capacity: u64) -> Priority {
            self.0.priority(id, capacity)
        }

        fn expected(&self, id: &u32, capacity: u64, bias_ns: u64) -> Priority {
            self.0.expected(id, capacity, bias_ns)
        }
    }
    let mut pool = PriorityPool::new(settings(10, 2, 2));
    let mut balances = Silent(Fixed((1..=6).map(|id| (id, 100)).collect()));
    let limits = Limits {
        count: 3,
        capacity: 1_000,
    };
    pool.set_limits(limits, &balances);
    for id in 1..=6 {
        pool.connect(id, &balances);
    }
    balances.0.0.insert(6, 103);
    balances.0.0.insert(2, 90);
    let changes = pool.activate(&balances);
    assert_eq!(listed(&changes), [(2, 10, 0), (6, 0, 10)]);
    balances.0.0.insert(1, 80);
    let changes = pool.activate(&balances);
    assert_eq!(listed(&changes), [(1, 10, 0), (4, 0, 10)]);
}

#[test]
fn prefers_the_request_at_equal_rank() {
    // The expected priority is below the present priority already; the order of ids does not matter.
    for (has, asks) in [(1, 2), (2, 1)] {
        let mut f = Fixture::new(settings(10, 2, 2), 2, 40);
        f.connect(has, 1_000);
        f.connect(asks, 1_000);
        assert!(f.request(has, 20));
        f.balances.0.insert(asks, 2_000);
        f.touch_all();
        let equal = Equal(f.balances.clone());
        let granted = f.pool.request(&asks, 24, 24, 0, &equal).unwrap();
        assert_eq!(granted.capacity, 24, "client {asks} requested");
    }

    /// Priorities under which the request ranks equal.
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

/// A yielding client loses a share of its capacity until its priority at the rest exceeds that of the others.
#[test]
fn keeps_capacities_proportional_to_balances() {
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
        panic!("client {id} was raised 10,000 times without an end");
    };
    let check = |f: &Fixture, id| {
        let sum: u64 = f.balances.0.values().sum();
        let expected =
            u64::try_from(u128::from(TOTAL) * u128::from(f.balances.0[&id]) / u128::from(sum))
                .unwrap();
        let found = f.capacity(id);
        assert!(
            found.abs_diff(expected) <= expected / 10,
            "client {id}: {found} instead of {expected}"
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

/// Gives a client tokens for one request: the capacity of the curve is granted, and slightly more is refused.
fn raised_as_the_curve_says(f: &mut Fixture, id: u32, add: u64, balance: u64) {
    f.balances.0.insert(id, balance + add);
    f.touch_all();
    let balances = f.balances.clone();
    let priority = |capacity| balances.priority(&id, capacity).lowered();
    let max = f.pool.curve(&balances, 0).max_capacity(Some(&id), priority);
    assert!(!f.request(id, max + 10), "10 above {max}");
    assert!(f.request(id, max), "{max}");
    f.balances.0.insert(id, balance);
    f.activate();
}
