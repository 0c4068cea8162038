//! Capacities of a pool's clients.

use super::{
    ranking::{HighestWaiting, LowestActive, Rank, Ranking},
    types::{Limits, PoolSettings, Priorities},
};
use std::collections::BTreeMap;

/// Capacities of a pool's clients, their sum, number and ranks, and the limits.
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
    /// Active clients, lowest priority first.
    pub(super) active: Ranking<Id>,
    /// Inactive clients, highest priority first.
    pub(super) waiting: Ranking<Id>,
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
            active: Ranking::new(),
            waiting: Ranking::new(),
        }
    }

    pub(super) fn capacity(&self, id: &Id) -> Option<u64> {
        self.capacities.get(id).copied()
    }

    /// Returns the rank of an active client at its present capacity.
    pub(super) fn rank(&self, id: &Id, priorities: &impl Priorities<Id>) -> Rank<Id> {
        let capacity = self.capacity(id).unwrap_or(0);
        (priorities.priority(id, capacity), false, id.clone())
    }

    /// Adds an inactive client, unless it is there.
    pub(super) fn add(&mut self, id: &Id, priorities: &impl Priorities<Id>) {
        if !self.capacities.contains_key(id) {
            self.capacities.insert(id.clone(), 0);
            self.waiting.insert(id, &self.highest(priorities));
        }
    }

    pub(super) fn remove(&mut self, id: &Id, priorities: &impl Priorities<Id>) {
        self.set(id, 0, priorities);
        self.waiting.remove(id, &self.highest(priorities));
        self.capacities.remove(id);
    }

    /// Sets a client's capacity and returns the earlier capacity.
    pub(super) fn set(&mut self, id: &Id, new: u64, priorities: &impl Priorities<Id>) -> u64 {
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
        let lowest = LowestActive {
            capacities: &self.capacities,
            priorities,
        };
        match (old, new) {
            (0, 0) => {}
            (0, _) => {
                self.active.insert(id, &lowest);
                self.waiting.remove(id, &self.highest(priorities));
            }
            (_, 0) => {
                self.active.remove(id, &lowest);
                self.waiting.insert(id, &self.highest(priorities));
            }
            _ => self.active.touch(id, &lowest),
        }
        old
    }

    /// Ranks a client again whose priority has changed.
    pub(super) fn touch(&mut self, id: &Id, priorities: &impl Priorities<Id>) {
        let lowest = LowestActive {
            capacities: &self.capacities,
            priorities,
        };
        self.active.touch(id, &lowest);
        self.waiting.touch(id, &self.highest(priorities));
    }

    /// Ranks all clients again whose order may have changed with time.
    pub(super) fn refresh(&mut self, priorities: &impl Priorities<Id>) {
        let lowest = LowestActive {
            capacities: &self.capacities,
            priorities,
        };
        self.active.refresh(&lowest);
        self.waiting.refresh(&self.highest(priorities));
    }

    const fn highest<'a, P>(&self, priorities: &'a P) -> HighestWaiting<'a, P> {
        HighestWaiting {
            min_capacity: self.settings.min_capacity.get(),
            priorities,
        }
    }
}
