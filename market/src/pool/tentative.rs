//! Trial of changes before they are made.

use super::{
    ranking::{Rank, Walk},
    state::PoolState,
    types::Priorities,
};
use crate::balance::priority::Priority;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// A client's request for capacity.
#[derive(Debug)]
pub(super) struct Request<Id> {
    pub(super) id: Id,
    /// Minimum acceptable capacity.
    pub(super) min: u64,
    /// Minimum duration of the client's lead. (For a decrease no client has to yield, and ranks do not matter.)
    pub(super) bias_ns: u64,
}

/// A pool after tentative changes.
pub(super) struct Tentative<'a, Id, P> {
    pool: &'a PoolState<Id>,
    priorities: &'a P,
    request: Option<Request<Id>>,
    changed: BTreeMap<Id, u64>,
    pub(super) count: u64,
    /// Sum of all capacities; may exceed its limit by any request.
    pub(super) total: u128,
    /// Active clients whose capacity has changed, lowest first.
    changed_ranks: BinaryHeap<Reverse<Rank<Id>>>,
    /// The other active clients, lowest first, once a client has to yield.
    others: Option<Others<Id>>,
}

struct Others<Id> {
    next: Option<Rank<Id>>,
    walk: Walk<Id>,
}

impl<'a, Id: Ord + Clone, P: Priorities<Id>> Tentative<'a, Id, P> {
    /// Starts a trial in a pool whose ranks are [fresh](PoolState::refresh).
    pub(super) fn new(
        pool: &'a PoolState<Id>,
        priorities: &'a P,
        request: Option<Request<Id>>,
    ) -> Self {
        Self {
            pool,
            priorities,
            request,
            changed: BTreeMap::new(),
            count: pool.count,
            total: pool.total.into(),
            changed_ranks: BinaryHeap::new(),
            others: None,
        }
    }

    pub(super) fn capacity(&self, id: &Id) -> u64 {
        let changed = self.changed.get(id).copied();
        changed.or_else(|| self.pool.capacity(id)).unwrap_or(0)
    }

    /// Sets the capacity of the client of the request, once, before any client yields.
    pub(super) fn set(&mut self, id: &Id, capacity: u64) {
        let old = self.capacity(id);
        self.total = self.total - u128::from(old) + u128::from(capacity);
        self.count = self.count + u64::from(capacity > 0) - u64::from(old > 0);
        self.changed.insert(id.clone(), capacity);
        if capacity > 0 {
            let rank = self.rank(id, capacity);
            self.changed_ranks.push(Reverse(rank));
        }
    }

    /// Takes capacity from the lowest priority until both limits hold.
    pub(super) fn enforce_limits(&mut self) {
        while self.count > self.pool.limits.count || self.total > self.pool.limits.capacity.into() {
            if self.take_from_lowest().is_none() {
                return;
            }
        }
    }

    /// Takes a step of capacity from the client of the lowest priority, or all of it if the client is at its minimum
    /// or there are too many clients. Returns the client and its priority; `None` if no client is active.
    pub(super) fn take_from_lowest(&mut self) -> Option<(Id, Priority)> {
        let (priority, _, id) = self.pop_lowest()?;
        let capacity = self.capacity(&id);
        let left = self.reduced(&id, capacity);
        self.set(&id, left);
        Some((id, priority))
    }

    /// Returns the moment from which a request that has failed for its priority is worth another try: once a client
    /// above it falls below it, or perhaps before.
    pub(super) fn retry_ns(&mut self, requested: &Id, capacity: u64) -> u64 {
        let rank = self.rank(requested, capacity).0;
        let below = |id: &Id, at| self.priorities.below_from(id, at, rank);
        let changed = self.changed.iter();
        let changed = changed.filter(|(id, capacity)| **capacity > 0 && *id != requested);
        let changed = changed.map(|(id, capacity)| below(id, *capacity)).min();
        let next = self.others.as_ref().and_then(|others| {
            let (_, _, id) = others.next.as_ref()?;
            Some(below(id, self.pool.capacity(id)?))
        });
        // Another client may be the next one from then on.
        let reordered = self.pool.active.until_ns();
        changed
            .into_iter()
            .chain(next)
            .fold(reordered, u64::min)
            .max(self.priorities.now_ns().saturating_add(1))
    }

    pub(super) fn into_changed(self) -> BTreeMap<Id, u64> {
        self.changed
    }

    fn pop_lowest(&mut self) -> Option<Rank<Id>> {
        let (pool, priorities) = (self.pool, self.priorities);
        let rank = |id: &Id| pool.rank(id, priorities);
        let others = self.others.get_or_insert_with(|| {
            let mut walk = pool.active.walk(rank);
            let next = walk.next(&pool.active, rank);
            Others { next, walk }
        });
        // Changed clients have another rank now.
        while let Some((_, _, id)) = &others.next
            && self.changed.contains_key(id)
        {
            others.next = others.walk.next(&pool.active, rank);
        }
        let changed = self.changed_ranks.peek().map(|Reverse(rank)| rank);
        let other_first = match (&others.next, changed) {
            (Some(other), Some(changed)) => other < changed,
            (other, _) => other.is_some(),
        };
        if !other_first {
            return self.changed_ranks.pop().map(|Reverse(rank)| rank);
        }
        let next = others.walk.next(&pool.active, rank);
        std::mem::replace(&mut others.next, next)
    }

    fn reduced(&self, id: &Id, capacity: u64) -> u64 {
        let settings = &self.pool.settings;
        let (min, divisor) = match self.requested(id) {
            Some(request) => (request.min, settings.fine_step_divisor),
            None => (settings.min_capacity.get(), settings.step_divisor),
        };
        if capacity <= min || self.count > self.pool.limits.count {
            return 0;
        }
        min.max(capacity - (capacity / divisor).max(1))
    }

    fn rank(&self, id: &Id, capacity: u64) -> Rank<Id> {
        let present = self.priorities.priority(id, capacity);
        let request = self.requested(id);
        let priority = request.map_or(present, |request| {
            let expected = self.priorities.expected(id, capacity, request.bias_ns);
            expected.min(present.lowered())
        });
        (priority, request.is_some(), id.clone())
    }

    fn requested(&self, id: &Id) -> Option<&Request<Id>> {
        self.request.as_ref().filter(|request| request.id == *id)
    }
}
