mod clients;
mod curves;
mod properties;
mod requests;
mod work;

use super::*;
use crate::balance::Priority;
use std::{collections::BTreeMap, num::NonZeroU64};

/// Clients of constant balance, whose priority is the balance by the capacity.
#[derive(Clone, Debug, Default)]
pub(super) struct Fixed(pub(super) BTreeMap<u32, u64>);

impl Priorities<u32> for Fixed {
    fn priority(&self, id: &u32, capacity: u64) -> Priority {
        Priority::new(self.0[id], 0, capacity)
    }

    fn expected(&self, id: &u32, capacity: u64, _: u64) -> Priority {
        self.priority(id, capacity)
    }

    fn tells_changes(&self) -> bool {
        true
    }

    fn stays_until(&self, _: (&u32, u64), _: (&u32, u64)) -> u64 {
        u64::MAX
    }
}

pub(super) fn settings(min_capacity: u64, step_divisor: u64, fine: u64) -> PoolSettings {
    let positive = |n| NonZeroU64::new(n).unwrap();
    PoolSettings {
        min_capacity: positive(min_capacity),
        active_bias_ns: 1,
        step_divisor: positive(step_divisor),
        fine_step_divisor: positive(fine),
    }
}

/// A pool and the balances of its clients.
pub(super) struct Fixture {
    pub(super) pool: PriorityPool<u32>,
    pub(super) balances: Fixed,
}

impl Fixture {
    pub(super) fn new(settings: PoolSettings, count: u64, capacity: u64) -> Self {
        let mut pool = PriorityPool::new(settings);
        let balances = Fixed::default();
        pool.set_limits(Limits { count, capacity }, &balances);
        Self { pool, balances }
    }

    pub(super) fn connect(&mut self, id: u32, balance: u64) -> Vec<(u32, u64, u64)> {
        self.balances.0.insert(id, balance);
        self.pool.touch(&id, &self.balances);
        listed(&self.pool.connect(id, &self.balances))
    }

    /// Requests exactly `capacity`; returns true if granted.
    pub(super) fn request(&mut self, id: u32, capacity: u64) -> bool {
        let granted = self
            .pool
            .request(&id, capacity, capacity, 0, &self.balances);
        granted.unwrap().capacity == capacity
    }

    /// Ranks all clients by their present balances.
    pub(super) fn touch_all(&mut self) {
        for id in self.balances.0.keys() {
            self.pool.touch(id, &self.balances);
        }
    }

    pub(super) fn activate(&mut self) -> Vec<(u32, u64, u64)> {
        self.touch_all();
        listed(&self.pool.activate(&self.balances))
    }

    pub(super) fn capacity(&self, id: u32) -> u64 {
        self.pool.capacity(&id).unwrap()
    }
}

pub(super) fn listed(changes: &[CapacityChange<u32>]) -> Vec<(u32, u64, u64)> {
    changes.iter().map(|c| (c.id, c.old, c.new)).collect()
}
