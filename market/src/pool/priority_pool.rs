//! The priority pool.

use super::{
    curve::{CapacityCurve, Step},
    state::PoolState,
    tentative::{Request, Tentative},
    types::{CapacityChange, Granted, Limits, NotInPool, PoolSettings, Priorities},
};
use std::{cmp::Reverse, collections::BTreeMap, iter};

/// Maximum age of a curve, because priorities change by themselves.
const CURVE_NS: u64 = 10_000_000_000;

/// Clients and their capacities.
#[derive(Clone, Debug)]
pub struct PriorityPool<Id> {
    state: PoolState<Id>,
    curve: Option<(CapacityCurve<Id>, u64)>,
    /// Minimum duration of a lead, in nanoseconds, unless that of the settings is longer.
    bias_ns: u64,
}

impl<Id: Ord + Clone> PriorityPool<Id> {
    /// Returns a pool without capacity and without clients.
    pub const fn new(settings: PoolSettings) -> Self {
        Self {
            state: PoolState::new(settings),
            curve: None,
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
        let mut changes = Changes::new();
        let mut tentative = Tentative::new(&self.state, priorities, None);
        tentative.enforce_limits();
        let reduced = tentative.into_changed();
        self.commit(reduced, &mut changes);
        self.fill(priorities, &mut changes);
        changes.into_list()
    }

    /// Adds an inactive client and gives it the minimum capacity if that fits or the client outranks another. Does
    /// nothing for a client of the pool.
    pub fn connect(&mut self, id: Id, priorities: &impl Priorities<Id>) -> Vec<CapacityChange<Id>> {
        self.state.capacities.entry(id).or_insert(0);
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
        self.state.set(id, 0);
        self.state.capacities.remove(id);
        self.curve = None;
        Ok(self.activate(priorities))
    }

    /// Gives inactive clients the minimum capacity, by priority, as far as it fits or they outrank active clients.
    /// Call this when priorities have changed.
    pub fn activate(&mut self, priorities: &impl Priorities<Id>) -> Vec<CapacityChange<Id>> {
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
        let mut tentative = Tentative::new(&self.state, priorities, Some(request));
        tentative.set(id, max);
        tentative.enforce_limits();
        let after = tentative.capacity(id);
        let changed = tentative.into_changed();
        let mut changes = Changes::new();
        if (min..=max).contains(&after) && after != before {
            self.commit(changed, &mut changes);
            self.fill(priorities, &mut changes);
        }
        let capacity = self.capacity(id).ok_or(NotInPool)?;
        Ok(Granted {
            capacity,
            changes: changes.into_list(),
        })
    }

    /// Returns the available capacity by priority, at most ten seconds old.
    pub fn curve(&mut self, priorities: &impl Priorities<Id>, now_ns: u64) -> &CapacityCurve<Id> {
        let kept = self.curve.take();
        let fresh = kept.filter(|(_, at)| now_ns.saturating_sub(*at) < CURVE_NS);
        let curve = fresh.unwrap_or_else(|| (self.new_curve(priorities), now_ns));
        &self.curve.insert(curve).0
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

    /// A displaced client may outrank, at the minimum, the client that took its slot, because it had more than the
    /// minimum before. So this repeats until no client is displaced. The loop ends, because every newcomer ranks
    /// above all clients it takes from.
    fn fill(&mut self, priorities: &impl Priorities<Id>, changes: &mut Changes<Id>) {
        while self.fill_once(priorities, changes) {}
    }

    /// Returns true if a client was displaced.
    fn fill_once(&mut self, priorities: &impl Priorities<Id>, changes: &mut Changes<Id>) -> bool {
        let min = self.state.settings.min_capacity.get();
        let inactive = self
            .state
            .capacities
            .iter()
            .filter(|(_, capacity)| **capacity == 0);
        let mut waiting: Vec<_> = inactive
            .map(|(id, _)| (Reverse(priorities.priority(id, min)), id.clone()))
            .collect();
        waiting.sort();
        let mut displaced = false;
        for (_, id) in waiting {
            let request = Request {
                id: id.clone(),
                min,
                bias_ns: self.bias_ns(),
            };
            let mut tentative = Tentative::new(&self.state, priorities, Some(request));
            tentative.set(&id, min);
            tentative.enforce_limits();
            if tentative.capacity(&id) == 0 {
                break;
            }
            let changed = tentative.into_changed();
            displaced |= changed.values().any(|capacity| *capacity == 0);
            self.commit(changed, changes);
        }
        displaced
    }

    fn commit(&mut self, changed: BTreeMap<Id, u64>, changes: &mut Changes<Id>) {
        for (id, new) in changed {
            let old = self.state.set(&id, new);
            changes.add(id, old, new);
        }
        self.curve = None;
    }
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
