//! Capacity by priority.

use super::{
    curve::CapacityCurve,
    tentative::{Request, Tentative},
};
use crate::balance::Priority;
use std::{cmp::Reverse, collections::BTreeMap, num::NonZeroU64};

/// How long a curve is used if nothing else makes a new one: priorities change by themselves.
const CURVE_NS: u64 = 10_000_000_000;

/// The priorities of clients at a moment. A client's priority must not rise with its capacity.
pub trait Priorities<Id> {
    /// A client's priority at a capacity.
    fn priority(&self, id: &Id, capacity: u64) -> Priority;

    /// What it is expected to be after `bias_ns`, and what counts when the client wants more than it has: a lead over
    /// others must last so long. The pool takes it as below the present priority in any case, because otherwise two
    /// clients of equal priority would displace each other for ever.
    fn expected(&self, id: &Id, capacity: u64, bias_ns: u64) -> Priority;
}

/// What there is to share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Places for active clients.
    pub count: u64,
    /// The sum of their capacities.
    pub capacity: u64,
}

/// The rules of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The least capacity of an active client.
    pub min_capacity: NonZeroU64,
    /// How long a newcomer's lead must last for it to displace others; at least a nanosecond.
    pub active_bias_ns: u64,
    /// A client that gives way loses one part in so many of its capacity at a time.
    pub step_divisor: NonZeroU64,
    /// The same for a client that asks for more than it has: finer steps find more exactly what it can get.
    pub fine_step_divisor: NonZeroU64,
}

/// A client has another capacity now. 0 is inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CapacityChange<Id> {
    /// The client.
    pub id: Id,
    /// What it had.
    pub old: u64,
    /// What it has.
    pub new: u64,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted<Id> {
    /// What the client has now: within the bounds of the request, or what it had before.
    pub capacity: u64,
    /// Everybody whose capacity has changed.
    pub changes: Vec<CapacityChange<Id>>,
}

/// The client is not in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is not in the pool: connect it first")]
pub struct NotInPool;

/// Clients, and who of them has which capacity.
#[derive(Clone, Debug)]
pub struct PriorityPool<Id> {
    pub(super) settings: PoolSettings,
    pub(super) limits: Limits,
    /// By client; 0 is inactive.
    pub(super) capacities: BTreeMap<Id, u64>,
    pub(super) count: u64,
    pub(super) total: u64,
    curve: Option<(CapacityCurve<Id>, u64)>,
}

impl<Id: Ord + Clone> PriorityPool<Id> {
    /// A pool with nothing to share and nobody in it.
    pub const fn new(settings: PoolSettings) -> Self {
        Self {
            settings,
            limits: Limits {
                count: 0,
                capacity: 0,
            },
            capacities: BTreeMap::new(),
            count: 0,
            total: 0,
            curve: None,
        }
    }

    /// What there is to share.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The rules.
    pub const fn settings(&self) -> PoolSettings {
        self.settings
    }

    /// The sum of all capacities, never above its limit.
    pub const fn total_capacity(&self) -> u64 {
        self.total
    }

    /// How many clients are active, never above the limit.
    pub const fn active_count(&self) -> u64 {
        self.count
    }

    /// A client's capacity: 0 if it is inactive, `None` if it is not in the pool.
    pub fn capacity(&self, id: &Id) -> Option<u64> {
        self.capacities.get(id).copied()
    }

    /// All clients and their capacities in order of ids.
    pub fn capacities(&self) -> impl Iterator<Item = (&Id, u64)> {
        self.capacities.iter().map(|(id, capacity)| (id, *capacity))
    }

    /// Changes what there is to share. Where there is less, the lowest priorities give way; where there is more,
    /// inactive clients become active.
    pub fn set_limits(
        &mut self,
        limits: Limits,
        priorities: &impl Priorities<Id>,
    ) -> Vec<CapacityChange<Id>> {
        self.limits = limits;
        let mut changes = Changes::new();
        let mut tentative = Tentative::new(self, priorities, None);
        tentative.enforce_limits();
        let reduced = tentative.into_changed();
        self.commit(reduced, &mut changes);
        self.fill(priorities, &mut changes);
        changes.into_list()
    }

    /// Takes a client in, inactive, and gives it the minimum capacity if that fits or it outranks somebody. Does nothing
    /// for one that is in.
    pub fn connect(&mut self, id: Id, priorities: &impl Priorities<Id>) -> Vec<CapacityChange<Id>> {
        self.capacities.entry(id).or_insert(0);
        self.activate(priorities)
    }

    /// Lets a client go; others may get its capacity. The client itself is not among the changes.
    pub fn disconnect(
        &mut self,
        id: &Id,
        priorities: &impl Priorities<Id>,
    ) -> Result<Vec<CapacityChange<Id>>, NotInPool> {
        if !self.capacities.contains_key(id) {
            return Err(NotInPool);
        }
        self.set(id, 0);
        self.capacities.remove(id);
        self.curve = None;
        Ok(self.activate(priorities))
    }

    /// Gives inactive clients the minimum capacity, by priority, as far as it fits or they outrank active ones. To be
    /// called when priorities have changed.
    pub fn activate(&mut self, priorities: &impl Priorities<Id>) -> Vec<CapacityChange<Id>> {
        let mut changes = Changes::new();
        self.fill(priorities, &mut changes);
        changes.into_list()
    }

    /// Gives a client the most capacity from `least` to `most` that its priority allows, taking it from lower
    /// priorities if need be, or changes nothing.
    ///
    /// Bounds below the minimum capacity count as that. For more than the client has, what counts is its priority expected
    /// after `bias_ns`, or the pool's bias if that is longer. Less is always granted.
    pub fn request(
        &mut self,
        id: &Id,
        least: u64,
        most: u64,
        bias_ns: u64,
        priorities: &impl Priorities<Id>,
    ) -> Result<Granted<Id>, NotInPool> {
        let before = self.capacity(id).ok_or(NotInPool)?;
        let least = least.max(self.settings.min_capacity.get());
        // Nobody can have more than there is; to ask for it would only take longer.
        let most = most.min(self.limits.capacity).max(least);
        let request = Request {
            id: id.clone(),
            least,
            bias_ns: bias_ns.max(self.bias_ns()),
        };
        let mut tentative = Tentative::new(self, priorities, Some(request));
        tentative.set(id, most);
        tentative.enforce_limits();
        let after = tentative.capacity(id);
        let changed = tentative.into_changed();
        let mut changes = Changes::new();
        if (least..=most).contains(&after) && after != before {
            self.commit(changed, &mut changes);
            self.fill(priorities, &mut changes);
        }
        let capacity = self.capacity(id).ok_or(NotInPool)?;
        Ok(Granted {
            capacity,
            changes: changes.into_list(),
        })
    }

    /// How much capacity is to be had at which priority, as of at most ten seconds ago.
    pub fn curve(&mut self, priorities: &impl Priorities<Id>, now_ns: u64) -> &CapacityCurve<Id> {
        let kept = self.curve.take();
        let fresh = kept.filter(|(_, at)| now_ns.saturating_sub(*at) < CURVE_NS);
        let curve = fresh.unwrap_or_else(|| (CapacityCurve::new(self, priorities), now_ns));
        &self.curve.insert(curve).0
    }

    /// The bias of a newcomer.
    pub(super) fn bias_ns(&self) -> u64 {
        self.settings.active_bias_ns.max(1)
    }

    /// Whoever has to go may outrank, at the minimum, who took its place, because it had more than that. So this goes on
    /// until nobody has to go any more; it ends, because every newcomer ranks above all that it takes from.
    fn fill(&mut self, priorities: &impl Priorities<Id>, changes: &mut Changes<Id>) {
        while self.fill_once(priorities, changes) {}
    }

    /// Returns whether anybody had to go.
    fn fill_once(&mut self, priorities: &impl Priorities<Id>, changes: &mut Changes<Id>) -> bool {
        let least = self.settings.min_capacity.get();
        let inactive = self
            .capacities
            .iter()
            .filter(|(_, capacity)| **capacity == 0);
        let mut waiting: Vec<_> = inactive
            .map(|(id, _)| (Reverse(priorities.priority(id, least)), id.clone()))
            .collect();
        waiting.sort();
        let mut displaced = false;
        for (_, id) in waiting {
            let request = Request {
                id: id.clone(),
                least,
                bias_ns: self.bias_ns(),
            };
            let mut tentative = Tentative::new(self, priorities, Some(request));
            tentative.set(&id, least);
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
            let old = self.set(&id, new);
            changes.add(id, old, new);
        }
        self.curve = None;
    }

    /// Returns what the client had.
    fn set(&mut self, id: &Id, new: u64) -> u64 {
        let Some(capacity) = self.capacities.get_mut(id) else {
            return 0;
        };
        let old = std::mem::replace(capacity, new);
        // The sum is within its limit before and after all changes of a commit, but not between them.
        self.total = self.total.wrapping_add(new).wrapping_sub(old);
        self.count = self
            .count
            .wrapping_add((new > 0).into())
            .wrapping_sub((old > 0).into());
        old
    }
}

/// Changes of one call, by client: what it had before the call, and what it has now.
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
