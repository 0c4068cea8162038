//! Capacities and balances together.

use super::{
    grace::GracePeriods,
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
use std::{iter, mem};

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
    /// Clients with neither tokens nor capacity.
    grace: GracePeriods<Id>,
    events: Vec<PoolEvent<Id>>,
    /// True if waiting clients are to be tried again.
    retries: bool,
}

/// Priorities from the tracker's balances at a moment, of connected clients only.
pub(super) struct PrioritiesAt<'a, Id, S>(pub(super) &'a BalanceTracker<Id, S>, pub(super) u64);

#[cfg(test)]
thread_local! {
    /// Number of looks at a client or at a pair, for tests of the work per event.
    pub(super) static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn count_look() {
    LOOKS.set(LOOKS.get() + 1);
}

#[cfg(not(test))]
const fn count_look() {}

impl<Id: PeerId, S: Store> Priorities<Id> for PrioritiesAt<'_, Id, S> {
    fn priority(&self, id: &Id, capacity: u64) -> Priority {
        count_look();
        let found = self.0.priority(id, capacity, self.1);
        found.unwrap_or(Priority::MIN)
    }

    fn expected(&self, id: &Id, capacity: u64, bias_ns: u64) -> Priority {
        count_look();
        let forecast = Forecast {
            capacity,
            bias_ns,
            ..Forecast::default()
        };
        let found = self.0.forecast_priority(id, forecast, self.1);
        found.unwrap_or(Priority::MIN)
    }

    fn now_ns(&self) -> u64 {
        self.1
    }

    fn tells_changes(&self) -> bool {
        true
    }

    fn stays_until(&self, low: (&Id, u64), high: (&Id, u64)) -> u64 {
        count_look();
        self.0.stays_until(low, high, self.1)
    }

    fn below_from(&self, id: &Id, capacity: u64, priority: Priority) -> u64 {
        count_look();
        self.0.below_from(id, capacity, priority, self.1)
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
            grace: GracePeriods::new(),
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
        self.rank_changed(now_ns);
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
        self.rank_changed(now_ns);
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
        self.grace.remove(id);
        self.rank_changed(now_ns);
        let left = self
            .pool
            .disconnect(id, &PrioritiesAt(&self.tracker, now_ns));
        self.apply(left.unwrap_or_default(), now_ns);
        Ok(())
    }

    /// Returns the moment of the next work for [`poll`](Self::poll), possibly now.
    pub fn next_event(&self) -> u64 {
        if !self.events.is_empty() || self.retries || self.tracker.has_changed() {
            return 0;
        }
        let waiting = self.grace.next_end().min(self.pool.next_try_ns());
        waiting.min(self.tracker.next_event())
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
                    self.grace.remove(id);
                }
                BalanceEvent::Noticed(id) => self.events.push(PoolEvent::Noticed(id.clone())),
                BalanceEvent::FellBelow(_) | BalanceEvent::Changed(_) => {}
            }
        }
        let due = mem::take(&mut self.retries) || self.pool.next_try_ns() <= now_ns;
        if self.rank_changed(now_ns) || due || !happened.is_empty() {
            let changes = self.pool.activate(&PrioritiesAt(&self.tracker, now_ns));
            self.apply(changes, now_ns);
        }
        let over = iter::from_fn(|| self.grace.take_over(now_ns));
        self.events.extend(over.map(PoolEvent::Disconnect));
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
            self.grace.start(id, until);
        }
    }

    pub(super) fn apply(&mut self, changes: Vec<CapacityChange<Id>>, now_ns: u64) {
        for change in changes {
            // Every client of the pool is connected.
            let _ = self.tracker.set_capacity(&change.id, change.new, now_ns);
            match change.new {
                0 => self.start_grace_period(&change.id, now_ns),
                _ => {
                    self.grace.remove(&change.id);
                }
            }
            self.events.push(PoolEvent::Capacity(change));
            // Clients are charged for their new capacities from now on, which changes the moment of the next try.
            self.retries = true;
        }
    }

    /// Ranks the clients again whose priority has changed. Returns true if there were any.
    pub(super) fn rank_changed(&mut self, now_ns: u64) -> bool {
        let changed = self.tracker.take_changed();
        let priorities = PrioritiesAt(&self.tracker, now_ns);
        for id in &changed {
            self.pool.touch(id, &priorities);
        }
        !changed.is_empty()
    }
}
