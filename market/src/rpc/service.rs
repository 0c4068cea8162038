//! A market shared by the code that serves clients and the operator's server.

use super::{event::Event, operator::Operator};
use crate::{
    balance::error::LoadBalanceError, id::PeerId, pool::clients::PoolEvent, store::interface::Store,
};
use std::{
    fmt,
    sync::{Mutex, MutexGuard},
};
use tokio::sync::{Notify, broadcast};

/// Maximum number of events that a slow subscriber may be behind.
const EVENTS: usize = 1_024;

/// An [`Operator`] behind a lock, with the host's clock. Calls block while the store writes: use a blocking thread
/// from async code.
pub struct Service<Id, S> {
    operator: Mutex<Operator<Id, S>>,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    events: broadcast::Sender<Event>,
    changed: Notify,
}

impl<Id: PeerId, S: Store + Send + 'static> Service<Id, S> {
    /// Returns a service for an operator. `clock` returns nanoseconds and must not go back.
    pub fn new(operator: Operator<Id, S>, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            operator: Mutex::new(operator),
            clock: Box::new(clock),
            events: broadcast::Sender::new(EVENTS),
            changed: Notify::new(),
        }
    }

    /// Runs `f` with exclusive access, at a moment not before any earlier call, and then publishes events.
    ///
    /// # Panics
    ///
    /// If an earlier call has panicked: the state in memory may be half changed, and only the store is reliable.
    pub fn with<R>(&self, f: impl FnOnce(&mut Operator<Id, S>, u64) -> R) -> R {
        let result = self.alone(f);
        self.changed.notify_one();
        result
    }

    /// Calls [`Operator::poll`]. Returns events for the host, and the moment of the next poll unless something
    /// changes before.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails.
    ///
    /// # Panics
    ///
    /// Like [`with`](Self::with).
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
            // The event may have no subscriber.
            let _ = self.events.send(event);
        }
        result
    }

    /// Waits for a call of [`with`](Self::with) since the last wait; the host then calls [`poll`](Self::poll).
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Operator<Id, S>> {
        self.operator
            .lock()
            .expect("an earlier operation panicked; restart from the store")
    }
}

impl<Id, S> fmt::Debug for Service<Id, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
