//! A market shared by the code that serves clients and the operator's server.

use super::{event::Event, operator::Operator};
use crate::{
    balance::error::LoadBalanceError,
    hall::{CommitError, Hall},
    id::PeerId,
    pool::clients::PoolEvent,
    store::interface::Store,
};
use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::{Notify, broadcast, oneshot};

/// Maximum number of events that a slow subscriber may be behind.
const EVENTS: usize = 1_024;
/// Maximum number of operations that share a write.
const MAX_BATCH: usize = 1_024;

/// A market with a task of its own and the host's clock.
///
/// Payments and trades are [submitted](Self::submit): a thread carries out all that wait, writes them as one batch
/// without holding a lock, and then answers. Everything else runs [with](Self::with) the operator between two batches.
///
/// Dropping the service carries out what was submitted and releases the store.
pub struct Service<Id, S> {
    shared: Arc<Shared<Id, S>>,
    /// Present until the service is dropped.
    jobs: Option<Sender<Job<Id, S>>>,
    task: Option<JoinHandle<()>>,
}

impl<Id, S> Drop for Service<Id, S> {
    fn drop(&mut self) {
        self.jobs = None;
        // An operation may have been the last owner.
        let task = self.task.take();
        if let Some(task) = task.filter(|task| task.thread().id() != thread::current().id()) {
            // A panic of an operation was reported to its caller.
            let _ = task.join();
        }
    }
}

struct Shared<Id, S> {
    state: Mutex<State<Id, S>>,
    /// Wakes those that wait for the end of a commit.
    committed: Condvar,
    store: S,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    events: broadcast::Sender<Event>,
    changed: Notify,
}

struct State<Id, S> {
    operator: Operator<Id, S>,
    /// True while a batch is being written: nothing may happen meanwhile.
    is_committing: bool,
}

/// Carries out an operation, or learns that none is possible, and returns how to answer after the commit.
type Job<Id, S> = Box<dyn FnOnce(Option<&mut Hall<Id, S>>, u64) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), Arc<CommitError>>) + Send>;

/// An error of a submitted operation.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The batch was not written, or may have been.
    #[error(transparent)]
    Commit(Arc<CommitError>),
    /// An earlier write has no known outcome. Nothing has changed.
    #[error("an earlier write has no known outcome; retry once the store can be read")]
    Unsettled,
    /// The market has stopped. The operation may have been carried out.
    #[error("the market has stopped; read the balance after its restart")]
    Stopped,
}

impl<Id: PeerId, S: Store + Clone + Send + Sync + 'static> Service<Id, S> {
    /// Returns a service for an operator. `clock` returns nanoseconds and must not go back.
    pub fn new(operator: Operator<Id, S>, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let (jobs, queue) = mpsc::channel();
        let shared = Arc::new(Shared {
            store: operator.store().clone(),
            state: Mutex::new(State {
                operator,
                is_committing: false,
            }),
            committed: Condvar::new(),
            clock: Box::new(clock),
            events: broadcast::Sender::new(EVENTS),
            changed: Notify::new(),
        });
        let task = Arc::clone(&shared);
        // Ends with the service, which has the only sender.
        let task = thread::spawn(move || task.run(&queue));
        Self {
            shared,
            jobs: Some(jobs),
            task: Some(task),
        }
    }

    /// Carries out `f`, which may credit and charge clients, together with other submitted operations. The future is
    /// ready once their records are durable. `f` runs even if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`SubmitError`].
    pub fn submit<R: Send + 'static, F>(
        &self,
        f: F,
    ) -> impl Future<Output = Result<R, SubmitError>> + Send + use<R, F, Id, S>
    where
        F: FnOnce(&mut Hall<Id, S>, u64) -> R + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let job: Job<Id, S> = Box::new(move |hall, now_ns| {
            let result = hall.map(|hall| f(hall, now_ns));
            Box::new(move |committed| {
                let result = result.ok_or(SubmitError::Unsettled);
                let answer = match committed {
                    Ok(()) => result,
                    Err(error) => result.and(Err(SubmitError::Commit(error))),
                };
                // The caller may have stopped waiting.
                let _ = sender.send(answer);
            })
        });
        // Without a task the answer's sender is dropped, which is an answer.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
        async move { answer.await.unwrap_or(Err(SubmitError::Stopped)) }
    }

    /// Runs `f` with exclusive access, at a moment not before any earlier call, and then publishes events. Blocks while
    /// a batch is written and while `f` writes: use a blocking thread from async code.
    ///
    /// # Panics
    ///
    /// If an earlier call has panicked: the state in memory may be half changed, and only the store is reliable.
    pub fn with<R>(&self, f: impl FnOnce(&mut Operator<Id, S>, u64) -> R) -> R {
        let result = self.shared.alone(f);
        self.shared.changed.notify_one();
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
        self.shared.alone(|operator, now_ns| {
            let happened = operator.poll(now_ns)?;
            Ok((happened, operator.next_event()))
        })
    }

    /// Waits for a call of [`with`](Self::with), or a submitted operation, since the last wait; the host then calls
    /// [`poll`](Self::poll).
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }
}

impl<Id: PeerId, S: Store> Shared<Id, S> {
    fn alone<R>(&self, f: impl FnOnce(&mut Operator<Id, S>, u64) -> R) -> R {
        let state = self.lock();
        let mut state = self
            .committed
            .wait_while(state, |state| state.is_committing)
            .expect(PANICKED);
        let result = f(&mut state.operator, (self.clock)());
        for event in state.operator.take_events() {
            // The event may have no subscriber.
            let _ = self.events.send(event);
        }
        result
    }

    fn run(&self, queue: &Receiver<Job<Id, S>>) {
        while let Ok(first) = queue.recv() {
            let waiting = queue.try_iter().take(MAX_BATCH - 1);
            let jobs = std::iter::once(first).chain(waiting).collect();
            self.carry_out(jobs);
        }
    }

    /// Carries out jobs, writes their records as one batch, and answers.
    fn carry_out(&self, jobs: Vec<Job<Id, S>>) {
        let mut state = self.lock();
        let now_ns = (self.clock)();
        let hall = state.operator.hall_mut();
        let mut hall = hall.begin(now_ns).is_ok().then_some(hall);
        let jobs = jobs.into_iter();
        let replies: Vec<_> = jobs.map(|job| job(hall.as_deref_mut(), now_ns)).collect();
        let batch = hall.map(Hall::take_batch).unwrap_or_default();
        state.is_committing = true;
        drop(state);
        let written = match batch.is_empty() {
            true => Ok(()),
            false => self.store.write(&batch),
        };
        let mut state = self.lock();
        let committed = state.operator.hall_mut().finish(batch, written, now_ns);
        state.is_committing = false;
        drop(state);
        self.committed.notify_all();
        let committed = committed.map_err(Arc::new);
        for reply in replies {
            reply(committed.clone());
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<Id, S>> {
        self.state.lock().expect(PANICKED)
    }
}

const PANICKED: &str = "an earlier operation panicked; restart from the store";

impl<Id, S> fmt::Debug for Service<Id, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
