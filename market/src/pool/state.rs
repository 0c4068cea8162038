//! Capacities of a pool's clients.

use super::types::{Limits, PoolSettings};
use std::collections::BTreeMap;

/// Capacities of a pool's clients, their sum and number, and the limits.
#[derive(Clone, Debug)]
pub(super) struct PoolState<Id> {
    pub(super) settings: PoolSettings,
    pub(super) limits: Limits,
    /// Capacity by client; 0 for an inactive client.
    pub(super) capacities: BTreeMap<Id, u64>,
    /// Number of active clients.
    pub(super) count: u64,
    /// Sum of all capacities.
    pub(super) total: u64,
}

impl<Id: Ord + Clone> PoolState<Id> {
    pub(super) const fn new(settings: PoolSettings) -> Self {
        Self {
            settings,
            limits: Limits {
                count: 0,
                capacity: 0,
            },
            capacities: BTreeMap::new(),
            count: 0,
            total: 0,
        }
    }

    pub(super) fn capacity(&self, id: &Id) -> Option<u64> {
        self.capacities.get(id).copied()
    }

    /// Sets a client's capacity and returns the earlier capacity.
    pub(super) fn set(&mut self, id: &Id, new: u64) -> u64 {
        let Some(capacity) = self.capacities.get_mut(id) else {
            return 0;
        };
        let old = std::mem::replace(capacity, new);
        // The sum is within its limit before and after a commit, but not between the changes of one commit.
        self.total = self.total.wrapping_add(new).wrapping_sub(old);
        self.count = self
            .count
            .wrapping_add((new > 0).into())
            .wrapping_sub((old > 0).into());
        old
    }
}
