//! The priority pool.

use super::{
    curve::{CapacityCurve, Step},
    state::PoolState,
    tentative::{Request, Tentative},
    types::{CapacityChange, Granted, Limits, NotInPool, PoolSettings, Priorities},
};
use std::{collections::BTreeMap, iter};

/// Maximum age of a curve, because priorities change by themselves.
const CURVE_NS: u64 = 10_000_000_000;
/// Clients of a curve for each changed capacity that it may be behind: a curve takes all clients' work, so that in a
/// large pool not every change is worth a new one.
const CLIENTS_PER_CHANGE: usize = 64;

/// Clients and their capacities.
#[derive(Clone, Debug)]
pub struct PriorityPool<Id> {
    state: PoolState<Id>,
    curve: Option<Cached<Id>>,
    /// Moment of the next try of a waiting client.
    retry_ns: u64,
    /// Minimum duration of a lead, in nanoseconds, unless that of the settings is longer.
    bias_ns: u64,
}

impl<Id: Ord + Clone> PriorityPool<Id> {
    /// Returns a pool without capacity and without clients.
    pub const fn new(settings: PoolSettings) -> Self {
        Self {
            state: PoolState::new(settings),
            curve: None,
            retry_ns: u64::MAX,
            bias_ns: 0,
        }
    }

    /// Sets the minimum duration of a newcomer's lead over active clients, and of the lead of a larger request. The
    /// active bias of the settings counts if longer.
    pub const fn set_bias(&mut self, bias_ns: u64) {
        self.bias_ns = bias_ns;
    }

    /// Returns the total capacity and the number of slots.
    pub const fn limits(&self) -> Limits {
        self.state.limits
    }

    /// Returns the settings.
    pub const fn settings(&self) -> PoolSettings {
        self.state.settings
    }

    /// Returns the sum of all capacities, never above its limit.
    pub const fn total_capacity(&self) -> u64 {
        self.state.total
    }

    /// Returns the number of active clients, never above the limit.
    pub const fn active_count(&self) -> u64 {
        self.state.count
    }

    /// Returns a client's capacity: 0 for an inactive client, `None` for a client outside the pool.
    pub fn capacity(&self, id: &Id) -> Option<u64> {
        self.state.capacity(id)
    }

    /// Iterates over all clients and their capacities in order of ids.
    pub fn capacities(&self) -> impl Iterator<Item = (&Id, u64)> {
        self.state
            .capacities
            .iter()
            .map(|(id, capacity)| (id, *capacity))
    }

    /// Sets the limits. With lower limits the lowest priorities yield; with higher limits inactive clients become
    /// active.
    pub fn set_limits(
        &mut self,
        limits: Limits,
        priorities: &impl Priorities<Id>,
    ) -> Vec<CapacityChange<Id>> {
        self.state.limits = limits;
        self.state.refresh(priorities);
        let mut changes = Changes::new();
        let mut tentative = Tentative::new(&self.state, priorities, None);
        tentative.enforce_limits();
        let reduced = tentative.into_changed();
        self.commit(reduced, priorities, &mut changes);
        self.curve = None;
        self.fill(priorities, &mut changes);
        changes.into_list()
    }

    /// Adds an inactive client and gives it the minimum capacity if that fits or the client outranks another. Does
    /// nothing for a client of the pool.
    pub fn connect(&mut self, id: Id, priorities: &impl Priorities<Id>) -> Vec<CapacityChange<Id>> {
        self.state.add(&id, priorities);
        self.activate(priorities)
    }

    /// Removes a client; others may get its capacity. The client itself is not among the changes.
    ///
    /// # Errors
    ///
    /// [`NotInPool`].
    pub fn disconnect(
        &mut self,
        id: &Id,
        priorities: &impl Priorities<Id>,
    ) -> Result<Vec<CapacityChange<Id>>, NotInPool> {
        if !self.state.capacities.contains_key(id) {
            return Err(NotInPool);
        }
        self.state.remove(id, priorities);
        self.count_change();
        Ok(self.activate(priorities))
    }

    /// Ranks a client again whose priority has changed in another way than by charges for time. Does nothing for a
    /// client outside the pool.
    pub fn touch(&mut self, id: &Id, priorities: &impl Priorities<Id>) {
        self.state.touch(id, priorities);
    }

    /// Returns the first active clients, lowest priority first.
    #[cfg(test)]
    pub(super) fn lowest(&self, max: usize, priorities: &impl Priorities<Id>) -> Vec<Id> {
        let rank = |id: &Id| self.state.rank(id, priorities);
        let mut walk = self.state.active.walk(rank);
        let next = iter::from_fn(|| walk.next(&self.state.active, rank));
        next.take(max).map(|(_, _, id)| id).collect()
    }

    /// Returns the moment from which [`activate`](Self::activate) may admit a waiting client although none was
    /// touched.
    pub const fn next_try_ns(&self) -> u64 {
        self.retry_ns
    }

    /// Gives inactive clients the minimum capacity, by priority, as far as it fits or they outrank active clients.
    /// Call this when priorities have changed.
    pub fn activate(&mut self, priorities: &impl Priorities<Id>) -> Vec<CapacityChange<Id>> {
        self.state.refresh(priorities);
        let mut changes = Changes::new();
        self.fill(priorities, &mut changes);
        changes.into_list()
    }

    /// Gives a client as much capacity from `min` to `max` as its priority allows, taken from lower priorities if
    /// necessary. Otherwise nothing changes.
    ///
    /// A bound below the minimum capacity counts as the minimum. An increase needs a sufficient priority expected
    /// after `bias_ns`, or after the pool's bias if longer. A decrease is always granted.
    ///
    /// # Errors
    ///
    /// [`NotInPool`].
    pub fn request(
        &mut self,
        id: &Id,
        min: u64,
        max: u64,
        bias_ns: u64,
        priorities: &impl Priorities<Id>,
    ) -> Result<Granted<Id>, NotInPool> {
        let before = self.capacity(id).ok_or(NotInPool)?;
        let min = min.max(self.state.settings.min_capacity.get());
        // No client can have more than the limit; trying more would only take longer.
        let max = max.min(self.state.limits.capacity).max(min);
        let request = Request {
            id: id.clone(),
            min,
            bias_ns: bias_ns.max(self.bias_ns()),
        };
        self.state.refresh(priorities);
        let mut tentative = Tentative::new(&self.state, priorities, Some(request));
        tentative.set(id, max);
        tentative.enforce_limits();
        let after = tentative.capacity(id);
        let changed = tentative.into_changed();
        let mut changes = Changes::new();
        if (min..=max).contains(&after) && after != before {
            self.commit(changed, priorities, &mut changes);
            self.fill(priorities, &mut changes);
        }
        let capacity = self.capacity(id).ok_or(NotInPool)?;
        Ok(Granted {
            capacity,
            changes: changes.into_list(),
        })
    }

    /// Returns the available capacity by priority, at most ten seconds old, and at most one changed capacity for every
    /// 64 clients.
    pub fn curve(&mut self, priorities: &impl Priorities<Id>, now_ns: u64) -> &CapacityCurve<Id> {
        let max_changes = self.state.capacities.len() / CLIENTS_PER_CHANGE;
        let fresh = self.curve.take().filter(|cached| {
            now_ns.saturating_sub(cached.at_ns) < CURVE_NS && cached.changes <= max_changes
        });
        let cached = fresh.unwrap_or_else(|| {
            self.state.refresh(priorities);
            Cached {
                curve: self.new_curve(priorities),
                at_ns: now_ns,
                changes: 0,
            }
        });
        &self.curve.insert(cached).curve
    }

    fn new_curve(&self, priorities: &impl Priorities<Id>) -> CapacityCurve<Id> {
        let mut tentative = Tentative::new(&self.state, priorities, None);
        let steps = iter::from_fn(|| {
            let total = tentative.total;
            let (id, priority) = tentative.take_from_lowest()?;
            Some(Step {
                total,
                id,
                priority,
            })
        });
        CapacityCurve::new(self.state.limits, self.state.count, steps)
    }

    /// Returns the minimum duration of a lead.
    pub(super) fn bias_ns(&self) -> u64 {
        let active = self.state.settings.active_bias_ns;
        self.bias_ns.max(active).max(1)
    }

    /// Tries waiting clients, highest priority first, until one fails. A displaced client waits, and may outrank, at the
    /// minimum, the client that took its slot, because it had more than the minimum before. The loop ends, because
    /// every newcomer ranks above all clients it takes from.
    fn fill(&mut self, priorities: &impl Priorities<Id>, changes: &mut Changes<Id>) {
        let min = self.state.settings.min_capacity.get();
        self.retry_ns = u64::MAX;
        while let Some(id) = self.state.waiting.leader().cloned() {
            let request = Request {
                id: id.clone(),
                min,
                bias_ns: self.bias_ns(),
            };
            let mut tentative = Tentative::new(&self.state, priorities, Some(request));
            tentative.set(&id, min);
            tentative.enforce_limits();
            if tentative.capacity(&id) == 0 {
                self.retry_ns = tentative.retry_ns(&id, min);
                return;
            }
            let changed = tentative.into_changed();
            self.commit(changed, priorities, changes);
        }
    }

    fn commit(
        &mut self,
        changed: BTreeMap<Id, u64>,
        priorities: &impl Priorities<Id>,
        changes: &mut Changes<Id>,
    ) {
        for (id, new) in changed {
            let old = self.state.set(&id, new, priorities);
            changes.add(id, old, new);
            self.count_change();
        }
    }

    const fn count_change(&mut self) {
        if let Some(cached) = &mut self.curve {
            cached.changes += 1;
        }
    }
}

/// A curve, its moment, and the number of changed capacities since.
#[derive(Clone, Debug)]
struct Cached<Id> {
    curve: CapacityCurve<Id>,
    at_ns: u64,
    changes: usize,
}

/// Changes of one call by client: capacity before the call, and present capacity.
struct Changes<Id>(BTreeMap<Id, (u64, u64)>);

impl<Id: Ord> Changes<Id> {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, id: Id, old: u64, new: u64) {
        self.0.entry(id).or_insert((old, new)).1 = new;
    }

    fn into_list(self) -> Vec<CapacityChange<Id>> {
        let changes = self.0.into_iter().filter(|(_, (old, new))| old != new);
        changes
            .map(|(id, (old, new))| CapacityChange { id, old, new })
            .collect()
    }
}
