//! Capacities and balances together.

use super::{
    priority_pool::PriorityPool,
    types::{CapacityChange, Limits, PoolSettings, Priorities},
};
use crate::{
    balance::{
        error::{ConnectError, DisconnectError, LoadBalanceError},
        priority::Priority,
        tracker::BalanceTracker,
        types::{BalanceEvent, Forecast},
    },
    id::PeerId,
    store::interface::Store,
};
use std::{collections::BTreeMap, mem};

/// Settings of a client pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPoolSettings {
    /// Settings of the priority pool.
    pub pool: PoolSettings,
    /// Maximum time that a client without tokens and capacity may stay connected, in nanoseconds.
    pub grace_period_ns: u64,
    /// Minimum duration of the lead over connected clients, in nanoseconds, of a newcomer and of a client that
    /// requests more capacity; a request may set a longer one.
    pub connected_bias_ns: u64,
}

/// An event for the host to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PoolEvent<Id> {
    /// The client has a new capacity; tell the client.
    Capacity(CapacityChange<Id>),
    /// The client has neither tokens nor capacity, and its grace period is over. Disconnect it, and then call
    /// [`ClientPool::disconnect`].
    Disconnect(Id),
    /// The charged total has reached its [notice](BalanceTracker::set_notices).
    Noticed(Id),
}

/// Connected clients with their balances and capacities; see the [module](super).
///
/// The pool has no clock: the host calls [`ClientPool::poll`] at [`ClientPool::next_event`].
#[derive(Debug)]
pub struct ClientPool<Id, S> {
    pub(super) tracker: BalanceTracker<Id, S>,
    pub(super) pool: PriorityPool<Id>,
    pub(super) settings: ClientPoolSettings,
    /// Clients with neither tokens nor capacity, and the ends of their grace periods.
    grace_ends: BTreeMap<Id, u64>,
    events: Vec<PoolEvent<Id>>,
    /// True if waiting clients are to be tried again.
    retries: bool,
}

/// Priorities from the tracker's balances at a moment, of connected clients only.
pub(super) struct PrioritiesAt<'a, Id, S>(pub(super) &'a BalanceTracker<Id, S>, pub(super) u64);

impl<Id: PeerId, S: Store> Priorities<Id> for PrioritiesAt<'_, Id, S> {
    fn priority(&self, id: &Id, capacity: u64) -> Priority {
        let found = self.0.priority(id, capacity, self.1);
        found.unwrap_or(Priority::MIN)
    }

    fn expected(&self, id: &Id, capacity: u64, bias_ns: u64) -> Priority {
        let forecast = Forecast {
            capacity,
            bias_ns,
            ..Forecast::default()
        };
        let found = self.0.forecast_priority(id, forecast, self.1);
        found.unwrap_or(Priority::MIN)
    }
}

impl<Id: PeerId, S: Store> ClientPool<Id, S> {
    /// Returns a pool without clients and, until [`set_limits`](Self::set_limits), without capacity. No client may be
    /// connected to `tracker` yet; later connect and disconnect only through the pool.
    pub const fn new(tracker: BalanceTracker<Id, S>, settings: ClientPoolSettings) -> Self {
        let mut pool = PriorityPool::new(settings.pool);
        pool.set_bias(settings.connected_bias_ns);
        Self {
            tracker,
            pool,
            settings,
            grace_ends: BTreeMap::new(),
            events: Vec::new(),
            retries: false,
        }
    }

    /// Returns the balances.
    pub const fn tracker(&self) -> &BalanceTracker<Id, S> {
        &self.tracker
    }

    /// Returns the balances, for charging requests and for operations. Their consequences follow in
    /// [`poll`](Self::poll), at the moment of [`next_event`](Self::next_event).
    pub const fn tracker_mut(&mut self) -> &mut BalanceTracker<Id, S> {
        &mut self.tracker
    }

    /// Returns the capacities.
    pub const fn pool(&self) -> &PriorityPool<Id> {
        &self.pool
    }

    /// Returns the settings, with the present bias.
    pub const fn settings(&self) -> ClientPoolSettings {
        self.settings
    }

    /// Sets the minimum duration of the lead of newcomers and of clients that request more capacity. With a shorter
    /// one, the next [`poll`](Self::poll) may admit waiting clients.
    pub const fn set_connected_bias(&mut self, bias_ns: u64) {
        self.retries |= bias_ns < self.settings.connected_bias_ns;
        self.settings.connected_bias_ns = bias_ns;
        self.pool.set_bias(bias_ns);
    }

    /// Sets the total capacity and the number of slots.
    pub fn set_limits(&mut self, limits: Limits, now_ns: u64) {
        let changes = self
            .pool
            .set_limits(limits, &PrioritiesAt(&self.tracker, now_ns));
        self.apply(changes, now_ns);
    }

    /// Connects a client and returns its capacity: the minimum, or 0 while its priority gets no room.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the client is connected already or its balances cannot be read.
    pub fn connect(&mut self, id: Id, address: &[u8], now_ns: u64) -> Result<u64, ConnectError> {
        self.tracker.connect(id.clone(), address, now_ns)?;
        let changes = self
            .pool
            .connect(id.clone(), &PrioritiesAt(&self.tracker, now_ns));
        let capacity = self.pool.capacity(&id).unwrap_or(0);
        if capacity == 0 {
            self.start_grace_period(&id, now_ns);
        }
        self.apply(changes, now_ns);
        Ok(capacity)
    }

    /// Stores a client's balances and disconnects it.
    ///
    /// # Errors
    ///
    /// [`DisconnectError`]; the client stays connected.
    pub fn disconnect(&mut self, id: &Id, now_ns: u64) -> Result<(), DisconnectError> {
        self.tracker.disconnect(id, now_ns)?;
        self.grace_ends.remove(id);
        let left = self
            .pool
            .disconnect(id, &PrioritiesAt(&self.tracker, now_ns));
        self.apply(left.unwrap_or_default(), now_ns);
        Ok(())
    }

    /// Returns the moment of the next work for [`poll`](Self::poll), possibly now.
    pub fn next_event(&self) -> u64 {
        if !self.events.is_empty() || self.retries {
            return 0;
        }
        let grace_end = self.grace_ends.values().min();
        grace_end
            .map_or(u64::MAX, |at| *at)
            .min(self.tracker.next_event())
    }

    /// Processes events of balances since the last call, and returns the events for the host.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails; nothing is lost, and the next call continues.
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<PoolEvent<Id>>, LoadBalanceError> {
        let happened = self.tracker.poll(now_ns)?;
        for event in &happened {
            match event {
                BalanceEvent::LostTokens(id) => self.lost_tokens(id, now_ns),
                BalanceEvent::GainedTokens(id) => {
                    self.grace_ends.remove(id);
                }
                BalanceEvent::Noticed(id) => self.events.push(PoolEvent::Noticed(id.clone())),
                BalanceEvent::FellBelow(_) | BalanceEvent::Changed(_) => {}
            }
        }
        if mem::take(&mut self.retries) || !happened.is_empty() {
            let changes = self.pool.activate(&PrioritiesAt(&self.tracker, now_ns));
            self.apply(changes, now_ns);
        }
        let used_up = self.grace_ends.extract_if(.., |_, until| *until <= now_ns);
        let leaving = used_up.map(|(id, _)| PoolEvent::Disconnect(id));
        self.events.extend(leaving);
        Ok(mem::take(&mut self.events))
    }

    /// Limits a client without tokens to the minimum capacity.
    fn lost_tokens(&mut self, id: &Id, now_ns: u64) {
        if self.tracker.has_tokens(id) {
            return;
        }
        match self.pool.capacity(id) {
            None => {}
            Some(0) => self.start_grace_period(id, now_ns),
            Some(_) => {
                let min = self.settings.pool.min_capacity.get();
                let priorities = PrioritiesAt(&self.tracker, now_ns);
                // The client is in the pool.
                if let Ok(granted) = self.pool.request(id, min, min, 0, &priorities) {
                    self.apply(granted.changes, now_ns);
                }
            }
        }
    }

    /// Lets an inactive client stay; without tokens only for the grace period.
    fn start_grace_period(&mut self, id: &Id, now_ns: u64) {
        if !self.tracker.has_tokens(id) {
            let until = now_ns.saturating_add(self.settings.grace_period_ns);
            self.grace_ends.entry(id.clone()).or_insert(until);
        }
    }

    pub(super) fn apply(&mut self, changes: Vec<CapacityChange<Id>>, now_ns: u64) {
        for change in changes {
            // Every client of the pool is connected.
            let _ = self.tracker.set_capacity(&change.id, change.new, now_ns);
            match change.new {
                0 => self.start_grace_period(&change.id, now_ns),
                _ => {
                    self.grace_ends.remove(&change.id);
                }
            }
            self.events.push(PoolEvent::Capacity(change));
        }
        self.watch(now_ns);
    }

    /// Watches active clients, so that the pool is updated once one of them falls behind the first waiting client.
    fn watch(&mut self, now_ns: u64) {
        let min = self.settings.pool.min_capacity.get();
        let priorities = PrioritiesAt(&self.tracker, now_ns);
        let waiting = self
            .pool
            .capacities()
            .filter(|(_, capacity)| *capacity == 0);
        let expected = waiting.map(|(id, _)| priorities.expected(id, min, self.pool.bias_ns()));
        let Some(first) = expected.max() else {
            return;
        };
        let active = self.pool.capacities().filter(|(_, capacity)| *capacity > 0);
        let watched: Vec<_> = active
            .map(|(id, capacity)| {
                let priority = priorities.priority(id, capacity);
                (id.clone(), watched(priority, capacity, first, min))
            })
            .collect();
        for (id, below) in watched {
            // Every client of the pool is connected.
            let _ = self.tracker.watch(&id, below, now_ns);
        }
    }
}

/// Returns the priority of an active client below which the first waiting client should try again.
fn watched(priority: Priority, capacity: u64, first: Priority, min: u64) -> Priority {
    if priority >= first {
        return first;
    }
    // The active client is behind already, but the capacity that it would yield at its rank is not enough. A new try
    // is worthwhile once it is behind at the minimum capacity, too, or perhaps before.
    let at_least = first.moved(min, capacity);
    match at_least <= priority {
        true => at_least.max(priority.reduced()),
        false => priority.reduced(),
    }
}
