//! One market, shared by those who serve and those who operate.

use super::{event::Event, operator::Operator};
use crate::{balance::LoadBalanceError, id::NodeId, pool::PoolEvent, store::Store};
use std::{
    fmt,
    sync::{Mutex, MutexGuard},
};
use tokio::sync::{Notify, broadcast};

/// Events that a slow subscriber may be behind by.
const EVENTS: usize = 1_024;

/// An [`Operator`] behind a lock, with the host's clock. Calls block while the store writes: from async code, make them
/// where blocking is allowed.
pub struct Service<Id, S> {
    operator: Mutex<Operator<Id, S>>,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    events: broadcast::Sender<Event>,
    changed: Notify,
}

impl<Id: NodeId, S: Store + Send + 'static> Service<Id, S> {
    /// Shares an operator. `clock` returns nanoseconds and must not go back.
    pub fn new(operator: Operator<Id, S>, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            operator: Mutex::new(operator),
            clock: Box::new(clock),
            events: broadcast::Sender::new(EVENTS),
            changed: Notify::new(),
        }
    }

    /// Does something alone, at a moment that is not before that of anything done earlier; then tells subscribers what
    /// happened.
    ///
    /// # Panics
    ///
    /// If an earlier call has panicked: what is in memory may be half changed then, and the store is what counts.
    pub fn with<R>(&self, f: impl FnOnce(&mut Operator<Id, S>, u64) -> R) -> R {
        let result = self.alone(f);
        self.changed.notify_one();
        result
    }

    /// [`Operator::poll`]: what the host has to act on, and when to poll again if nothing changes before that.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    pub fn poll(&self) -> Result<(Vec<PoolEvent<Id>>, u64), LoadBalanceError> {
        self.alone(|operator, now_ns| {
            let happened = operator.poll(now_ns)?;
            Ok((happened, operator.next_event()))
        })
    }

    fn alone<R>(&self, f: impl FnOnce(&mut Operator<Id, S>, u64) -> R) -> R {
        let mut operator = self.lock();
        let result = f(&mut operator, (self.clock)());
        for event in operator.take_events() {
            // Nobody may be listening.
            let _ = self.events.send(event);
        }
        result
    }

    /// Waits until something was done since the last wait: the host calls [`poll`](Self::poll) then.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Operator<Id, S>> {
        self.operator
            .lock()
            .expect("an earlier operation panicked: restart from the store")
    }
}

impl<Id, S> fmt::Debug for Service<Id, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
