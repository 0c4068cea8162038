//! Trial of changes before they are made.

use super::{state::PoolState, types::Priorities};
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

/// An active client: its priority; true for the client of the request, which yields last at equal priority because
/// the bias is already against it; its id.
type Rank<Id> = (Priority, bool, Id);

/// A pool after tentative changes.
pub(super) struct Tentative<'a, Id, P> {
    pool: &'a PoolState<Id>,
    priorities: &'a P,
    request: Option<Request<Id>>,
    changed: BTreeMap<Id, u64>,
    pub(super) count: u64,
    /// Sum of all capacities; may exceed its limit by any request.
    pub(super) total: u128,
    /// Active clients, lowest first, once a client has to yield.
    queue: Option<BinaryHeap<Reverse<Rank<Id>>>>,
}

impl<'a, Id: Ord + Clone, P: Priorities<Id>> Tentative<'a, Id, P> {
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
            queue: None,
        }
    }

    pub(super) fn capacity(&self, id: &Id) -> u64 {
        let changed = self.changed.get(id).copied();
        changed.or_else(|| self.pool.capacity(id)).unwrap_or(0)
    }

    pub(super) fn set(&mut self, id: &Id, capacity: u64) {
        let old = self.capacity(id);
        self.total = self.total - u128::from(old) + u128::from(capacity);
        self.count = self.count + u64::from(capacity > 0) - u64::from(old > 0);
        self.changed.insert(id.clone(), capacity);
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
        let mut queue = self.queue.take().unwrap_or_else(|| self.ranked());
        let lowest = queue.pop();
        self.queue = Some(queue);
        let Reverse((priority, _, id)) = lowest?;
        let capacity = self.capacity(&id);
        let left = self.reduced(&id, capacity);
        self.set(&id, left);
        if left > 0 {
            let rank = self.rank(&id, left);
            self.queue.get_or_insert_default().push(Reverse(rank));
        }
        Some((id, priority))
    }

    pub(super) fn into_changed(self) -> BTreeMap<Id, u64> {
        self.changed
    }

    fn ranked(&self) -> BinaryHeap<Reverse<Rank<Id>>> {
        let clients = self.pool.capacities.keys();
        let with_capacity = clients.map(|id| (id, self.capacity(id)));
        let active = with_capacity.filter(|(_, capacity)| *capacity > 0);
        active
            .map(|(id, capacity)| Reverse(self.rank(id, capacity)))
            .collect()
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
