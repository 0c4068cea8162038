//! The pool and the balances together.

use super::priority_pool::{CapacityChange, Limits, PoolSettings, Priorities, PriorityPool};
use crate::{
    balance::{
        BalanceEvent, BalanceTracker, ConnectError, DisconnectError, Estimate, LoadBalanceError,
        Priority,
    },
    id::NodeId,
    store::Store,
};
use std::{collections::BTreeMap, mem};

/// The rules of a client pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPoolSettings {
    /// The rules of the priority pool.
    pub pool: PoolSettings,
    /// How long a client without tokens and capacity may stay connected.
    pub allowance_ns: u64,
    /// How long the lead of a client that asks for more capacity must last; requests may set more.
    pub connected_bias_ns: u64,
}

/// Something the host has to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PoolEvent<Id> {
    /// Tell the client its new capacity.
    Capacity(CapacityChange<Id>),
    /// Disconnect the client, and then call [`ClientPool::disconnect`]: it has neither tokens nor capacity, and its
    /// allowance is used up.
    Disconnect(Id),
    /// What the client was charged has reached its [notice](BalanceTracker::set_notices).
    Noticed(Id),
}

/// Connected clients with their balances and capacities; see the [module](super).
///
/// Like the tracker it has no clock: the host calls [`ClientPool::poll`] at [`ClientPool::next_event`].
#[derive(Debug)]
pub struct ClientPool<Id, S> {
    pub(super) tracker: BalanceTracker<Id, S>,
    pub(super) pool: PriorityPool<Id>,
    pub(super) settings: ClientPoolSettings,
    /// Clients with neither tokens nor capacity, and until when they may stay.
    allowances: BTreeMap<Id, u64>,
    events: Vec<PoolEvent<Id>>,
}

/// The tracker's balances at a moment. Nobody who is not connected is ever asked about.
pub(super) struct AtMoment<'a, Id, S>(pub(super) &'a BalanceTracker<Id, S>, pub(super) u64);

impl<Id: NodeId, S: Store> Priorities<Id> for AtMoment<'_, Id, S> {
    fn priority(&self, id: &Id, capacity: u64) -> Priority {
        let found = self.0.priority(id, capacity, self.1);
        found.unwrap_or(Priority::MIN)
    }

    fn expected(&self, id: &Id, capacity: u64, bias_ns: u64) -> Priority {
        let estimate = Estimate {
            capacity,
            bias_ns,
            ..Estimate::default()
        };
        let found = self.0.estimate_priority(id, estimate, self.1);
        found.unwrap_or(Priority::MIN)
    }
}

impl<Id: NodeId, S: Store> ClientPool<Id, S> {
    /// A pool without clients, and with nothing to share until [`set_limits`](Self::set_limits). Nobody may be connected
    /// to `tracker` yet, nor be connected to it or disconnected from it later other than through the pool.
    pub const fn new(tracker: BalanceTracker<Id, S>, settings: ClientPoolSettings) -> Self {
        Self {
            tracker,
            pool: PriorityPool::new(settings.pool),
            settings,
            allowances: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// The balances.
    pub const fn tracker(&self) -> &BalanceTracker<Id, S> {
        &self.tracker
    }

    /// The balances, to charge requests and make operations. What follows from that happens in [`poll`](Self::poll),
    /// which is due if [`next_event`](Self::next_event) says so.
    pub const fn tracker_mut(&mut self) -> &mut BalanceTracker<Id, S> {
        &mut self.tracker
    }

    /// The capacities.
    pub const fn pool(&self) -> &PriorityPool<Id> {
        &self.pool
    }

    /// The rules, with the present bias.
    pub const fn settings(&self) -> ClientPoolSettings {
        self.settings
    }

    /// Sets how long the lead of a client that asks for more capacity must last.
    pub const fn set_connected_bias(&mut self, bias_ns: u64) {
        self.settings.connected_bias_ns = bias_ns;
    }

    /// Changes what there is to share.
    pub fn set_limits(&mut self, limits: Limits, now_ns: u64) {
        let changes = self
            .pool
            .set_limits(limits, &AtMoment(&self.tracker, now_ns));
        self.apply(changes, now_ns);
    }

    /// Takes a client in and returns its capacity: the minimum, or 0 while there is no room for its priority.
    pub fn connect(&mut self, id: Id, address: &[u8], now_ns: u64) -> Result<u64, ConnectError> {
        self.tracker.connect(id.clone(), address, now_ns)?;
        let changes = self
            .pool
            .connect(id.clone(), &AtMoment(&self.tracker, now_ns));
        let capacity = self.pool.capacity(&id).unwrap_or(0);
        if capacity == 0 {
            self.allow(&id, now_ns);
        }
        self.apply(changes, now_ns);
        Ok(capacity)
    }

    /// Stores a client's balances and lets it go. If that fails, it is still connected.
    pub fn disconnect(&mut self, id: &Id, now_ns: u64) -> Result<(), DisconnectError> {
        self.tracker.disconnect(id, now_ns)?;
        self.allowances.remove(id);
        let left = self.pool.disconnect(id, &AtMoment(&self.tracker, now_ns));
        self.apply(left.unwrap_or_default(), now_ns);
        Ok(())
    }

    /// When [`poll`](Self::poll) next has something to do; that may be now.
    pub fn next_event(&self) -> u64 {
        if !self.events.is_empty() {
            return 0;
        }
        let allowance = self.allowances.values().min();
        allowance
            .map_or(u64::MAX, |at| *at)
            .min(self.tracker.next_event())
    }

    /// Acts on what happened to balances since the last call, and returns what the host has to act on.
    ///
    /// # Errors
    ///
    /// If the store fails; then nothing is lost, and the next call goes on.
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<PoolEvent<Id>>, LoadBalanceError> {
        let happened = self.tracker.poll(now_ns)?;
        for event in &happened {
            match event {
                BalanceEvent::LostTokens(id) => self.lost_tokens(id, now_ns),
                BalanceEvent::GainedTokens(id) => {
                    self.allowances.remove(id);
                }
                BalanceEvent::Noticed(id) => self.events.push(PoolEvent::Noticed(id.clone())),
                BalanceEvent::FellBelow(_) | BalanceEvent::Changed(_) => {}
            }
        }
        if !happened.is_empty() {
            let changes = self.pool.activate(&AtMoment(&self.tracker, now_ns));
            self.apply(changes, now_ns);
        }
        let used_up = self.allowances.extract_if(.., |_, until| *until <= now_ns);
        let leaving = used_up.map(|(id, _)| PoolEvent::Disconnect(id));
        self.events.extend(leaving);
        Ok(mem::take(&mut self.events))
    }

    /// Keeps a client that has no tokens any more to the minimum.
    fn lost_tokens(&mut self, id: &Id, now_ns: u64) {
        if self.tracker.has_tokens(id) {
            return;
        }
        match self.pool.capacity(id) {
            None => {}
            Some(0) => self.allow(id, now_ns),
            Some(_) => {
                let least = self.settings.pool.min_capacity.get();
                let priorities = AtMoment(&self.tracker, now_ns);
                // It is in the pool.
                if let Ok(granted) = self.pool.request(id, least, least, 0, &priorities) {
                    self.apply(granted.changes, now_ns);
                }
            }
        }
    }

    /// Lets an inactive client stay, for a while if it has no tokens.
    fn allow(&mut self, id: &Id, now_ns: u64) {
        if !self.tracker.has_tokens(id) {
            let until = now_ns.saturating_add(self.settings.allowance_ns);
            self.allowances.entry(id.clone()).or_insert(until);
        }
    }

    pub(super) fn apply(&mut self, changes: Vec<CapacityChange<Id>>, now_ns: u64) {
        for change in changes {
            // Whoever is in the pool is connected.
            let _ = self.tracker.set_capacity(&change.id, change.new, now_ns);
            match change.new {
                0 => self.allow(&change.id, now_ns),
                _ => {
                    self.allowances.remove(&change.id);
                }
            }
            self.events.push(PoolEvent::Capacity(change));
        }
        self.watch(now_ns);
    }

    /// Sees to it that the pool is asked again when an active client falls behind the first of those who wait.
    fn watch(&mut self, now_ns: u64) {
        let least = self.settings.pool.min_capacity.get();
        let priorities = AtMoment(&self.tracker, now_ns);
        let waiting = self
            .pool
            .capacities()
            .filter(|(_, capacity)| *capacity == 0);
        let expected = waiting.map(|(id, _)| priorities.expected(id, least, self.pool.bias_ns()));
        let Some(first) = expected.max() else {
            return;
        };
        let active = self.pool.capacities().filter(|(_, capacity)| *capacity > 0);
        let watched: Vec<_> = active
            .map(|(id, capacity)| {
                let priority = priorities.priority(id, capacity);
                (id.clone(), watched(priority, capacity, first, least))
            })
            .collect();
        for (id, below) in watched {
            // Whoever is in the pool is connected.
            let _ = self.tracker.watch(&id, below, now_ns);
        }
    }
}

/// Below which priority of an active client at its capacity another attempt of the first who waits is worthwhile.
fn watched(priority: Priority, capacity: u64, first: Priority, least: u64) -> Priority {
    if priority >= first {
        return first;
    }
    // It is behind already, and giving up what it can at its rank is not enough. It will be when it has fallen behind
    // at the minimum, too, or perhaps before.
    let at_least = first.moved(least, capacity);
    match at_least <= priority {
        true => at_least.max(priority.reduced()),
        false => priority.reduced(),
    }
}
