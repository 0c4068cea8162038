//! Rules for all histories.

use super::*;
use proptest::prelude::*;

const MIN: u64 = 10;

#[derive(Clone, Debug)]
enum Step {
    Connect(u32, u64),
    Disconnect(u32),
    Request(u32, u64, u64),
    Balance(u32, u64),
    Limits(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (id, balance) = (0u32..8, 0u64..2_000);
    let step = prop_oneof![
        4 => (id.clone(), balance.clone()).prop_map(|(id, balance)| Step::Connect(id, balance)),
        1 => id.clone().prop_map(Step::Disconnect),
        5 => (id.clone(), 0u64..150, 0u64..150).prop_map(|(id, a, b)| Step::Request(id, a, b)),
        3 => (id, balance).prop_map(|(id, balance)| Step::Balance(id, balance)),
        2 => (0u64..8, 0u64..200).prop_map(|(count, capacity)| Step::Limits(count, capacity)),
    ];
    proptest::collection::vec(step, 1..60)
}

fn do_step(f: &mut Fixture, step: &Step) -> Vec<(u32, u64, u64)> {
    match *step {
        Step::Connect(id, balance) => f.connect(id, balance),
        Step::Disconnect(id) => {
            let left = f.pool.disconnect(&id, &f.balances);
            listed(&left.unwrap_or_default())
        }
        Step::Request(id, min, max) => {
            let granted = f.pool.request(&id, min, max, 0, &f.balances);
            granted.map_or_else(|_| Vec::new(), |granted| listed(&granted.changes))
        }
        Step::Balance(id, balance) => {
            f.balances.0.insert(id, balance);
            f.activate()
        }
        Step::Limits(count, capacity) => {
            listed(&f.pool.set_limits(Limits { count, capacity }, &f.balances))
        }
    }
}

proptest! {
    #[test]
    fn keeps_limits_and_the_highest_priorities(
        steps in steps(),
        step_divisor in 1u64..6,
        fine in 1u64..20,
    ) {
        let mut f = Fixture::new(settings(MIN, step_divisor, fine), 3, 100);
        for step in steps {
            let before: BTreeMap<u32, u64> = f.pool.capacities().map(|(id, c)| (*id, c)).collect();
            let changes = do_step(&mut f, &step);
            let after: BTreeMap<u32, u64> = f.pool.capacities().map(|(id, c)| (*id, c)).collect();

            let Limits { count, capacity } = f.pool.limits();
            let active: Vec<_> = after.iter().filter(|(_, c)| **c > 0).collect();
            prop_assert_eq!(f.pool.total_capacity(), after.values().sum::<u64>());
            prop_assert_eq!(f.pool.active_count(), active.len() as u64);
            prop_assert!(f.pool.total_capacity() <= capacity && f.pool.active_count() <= count);
            prop_assert!(active.iter().all(|(_, c)| **c >= MIN));

            let reported: BTreeMap<u32, (u64, u64)> =
                changes.iter().map(|(id, old, new)| (*id, (*old, *new))).collect();
            for (id, new) in &after {
                let old = before.get(id).copied().unwrap_or(0);
                let change = (old != *new).then_some((old, *new));
                prop_assert_eq!(reported.get(id).copied(), change, "{} after {:?}", id, step);
            }

            let rank = |id: &u32, capacity| f.balances.priority(id, capacity);
            let waiting = || after.iter().filter(|(_, c)| **c == 0).map(|(id, _)| id);
            // A waiting client has no room, and no client at the minimum ranks below it.
            let room = f.pool.active_count() < count && f.pool.total_capacity() + MIN <= capacity;
            prop_assert!(!room || waiting().next().is_none(), "{:?}", step);
            let places_only = f.pool.total_capacity() + MIN <= capacity;
            for id in waiting() {
                for (other, c) in &active {
                    let displaces = places_only || **c == MIN;
                    prop_assert!(
                        !displaces || count == 0 || rank(other, **c) >= rank(id, MIN),
                        "{} waits for {} after {:?}", id, other, step
                    );
                }
            }
        }
    }

    /// A request leaves the capacity of others unchanged, except of lower priorities.
    #[test]
    fn takes_capacity_from_lower_priorities_only(
        balances in proptest::collection::vec(0u64..2_000, 2..8),
        requests in proptest::collection::vec((0usize..8, 10u64..150), 1..20),
    ) {
        let mut f = Fixture::new(settings(MIN, 2, 10), 8, 200);
        for (id, balance) in (0..).zip(&balances) {
            f.connect(id, *balance);
        }
        for (id, capacity) in requests {
            let id = u32::try_from(id % balances.len()).unwrap();
            let had = f.capacity(id);
            let granted = f.pool.request(&id, capacity, capacity, 0, &f.balances).unwrap();
            for change in granted.changes {
                if change.id == id || change.new > change.old {
                    continue;
                }
                prop_assert!(capacity > had);
                let taken_from = f.balances.priority(&change.id, change.old);
                prop_assert!(taken_from < f.balances.priority(&id, capacity));
            }
        }
    }

    #[test]
    fn raises_curve_with_priority_up_to_the_limit(
        balances in proptest::collection::vec(0u64..2_000, 1..8),
        requests in proptest::collection::vec((0usize..8, 10u64..150), 0..20),
        count in 1u64..9,
        own in 0u64..4_000,
        exclude in proptest::option::of(0u32..9),
    ) {
        let mut f = Fixture::new(settings(MIN, 2, 10), count, 200);
        for (id, balance) in (0..).zip(&balances) {
            f.connect(id, *balance);
        }
        for (id, capacity) in requests {
            f.request(u32::try_from(id % balances.len()).unwrap(), capacity);
        }
        let curve = f.pool.curve(&f.balances, 0).clone();
        let max = |balance| {
            curve.max_capacity(exclude.as_ref(), |capacity| Priority::new(balance, 0, capacity))
        };
        prop_assert!(max(own) <= max(own + 1));
        prop_assert!(max(u64::MAX) == 200);
        let had = exclude.and_then(|id| f.pool.capacity(&id)).unwrap_or(0);
        prop_assert!(max(0) >= had);
    }
}
