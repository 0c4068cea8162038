//! A market shared by the code that serves clients and the operator's server.

use super::{event::Event, operator::Operator};
use crate::{
    balance::error::LoadBalanceError,
    hall::{CommitError, Hall},
    id::PeerId,
    pool::clients::PoolEvent,
    store::interface::{Batch, Store, StoreError},
};
use std::{
    fmt, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
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
/// Payments and trades are [submitted](Self::submit), and so is every other [change](Self::change): a thread carries out
/// all that wait, writes them as one batch without holding a lock, and then answers. [Reads](Self::read) run between two
/// batches.
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
    /// Events for the host that no poll has returned.
    untold: Mutex<Vec<PoolEvent<Id>>>,
}

struct State<Id, S> {
    operator: Operator<Id, S>,
    /// True while a batch is being written: nothing may happen meanwhile.
    is_committing: bool,
}

/// An operation.
struct Job<Id, S> {
    run: Run<Id, S>,
    /// True if the host is to poll afterwards.
    wakes: bool,
}

/// Carries out an operation, or learns that none is possible, and returns how to answer after the commit.
type Run<Id, S> = Box<dyn FnOnce(Option<&mut Operator<Id, S>>, u64) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), Arc<CommitError>>) + Send>;

/// An error of a submitted operation.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The batch was not written, or may have been.
    #[error(transparent)]
    Commit(Arc<CommitError>),
    /// An earlier write has no known outcome, or is owed. Nothing has changed.
    #[error("an earlier write is not made or has no known outcome; retry once the store works")]
    Unsettled,
    /// A balance cannot be read.
    #[error(transparent)]
    Load(Arc<LoadBalanceError>),
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
            untold: Mutex::default(),
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
        self.send(true, move |operator, now_ns| f(operator.hall_mut(), now_ns))
    }

    /// Carries out `f`, which may change anything, together with other submitted operations. The future is ready once
    /// the change is durable. `f` runs even if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]. After [`CommitError::Owed`] the change counts, and is stored before any other one.
    pub fn change<R: Send + 'static, F>(
        &self,
        f: F,
    ) -> impl Future<Output = Result<R, SubmitError>> + Send + use<R, F, Id, S>
    where
        F: FnOnce(&mut Operator<Id, S>, u64) -> R + Send + 'static,
    {
        self.send(true, move |operator, now_ns| {
            operator.hall_mut().stay();
            f(operator, now_ns)
        })
    }

    fn send<R: Send + 'static, F>(
        &self,
        wakes: bool,
        f: F,
    ) -> impl Future<Output = Result<R, SubmitError>> + Send + use<R, F, Id, S>
    where
        F: FnOnce(&mut Operator<Id, S>, u64) -> R + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let run: Run<Id, S> = Box::new(move |operator, now_ns| {
            let result = operator.map(|operator| f(operator, now_ns));
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
        let jobs = self.jobs.as_ref();
        let _ = jobs.map(|jobs| jobs.send(Job { run, wakes }));
        async move { answer.await.unwrap_or(Err(SubmitError::Stopped)) }
    }

    /// Runs `f` at a moment not before any earlier operation, on stored state only: waits while a batch is written. In
    /// async code, use a blocking thread.
    ///
    /// # Panics
    ///
    /// If an earlier operation has panicked: the state in memory may be half changed, and only the store is reliable.
    pub fn read<R>(&self, f: impl FnOnce(&Operator<Id, S>, u64) -> R) -> R {
        let state = self.shared.lock();
        let committed = &self.shared.committed;
        let state = committed.wait_while(state, |state| state.is_committing);
        let state = state.expect(PANICKED);
        f(&state.operator, (self.shared.clock)())
    }

    /// Calls [`Operator::poll`]. Returns events for the host, and the moment of the next poll unless something
    /// changes before.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; the next poll returns the events.
    pub async fn poll(&self) -> Result<(Vec<PoolEvent<Id>>, u64), SubmitError> {
        let shared = Arc::clone(&self.shared);
        let polling = self.send(false, move |operator, now_ns| {
            operator.hall_mut().stay();
            let happened = operator.poll(now_ns)?;
            shared.untold().extend(happened);
            Ok(operator.next_event())
        });
        let next: Result<u64, LoadBalanceError> = polling.await?;
        let next = next.map_err(|error| SubmitError::Load(Arc::new(error)))?;
        Ok((mem::take(&mut self.shared.untold()), next))
    }

    /// Waits for a submitted operation since the last wait; the host then calls [`poll`](Self::poll).
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }
}

impl<Id: PeerId, S: Store> Shared<Id, S> {
    fn run(&self, queue: &Receiver<Job<Id, S>>) {
        while let Ok(first) = queue.recv() {
            let waiting = queue.try_iter().take(MAX_BATCH - 1);
            let jobs = std::iter::once(first).chain(waiting).collect();
            self.carry_out(jobs);
        }
    }

    /// Carries out jobs, writes their records as one batch, and answers.
    fn carry_out(&self, jobs: Vec<Job<Id, S>>) {
        self.write_owed();
        let wakes = jobs.iter().any(|job| job.wakes);
        let mut state = self.lock();
        let now_ns = (self.clock)();
        let operator = &mut state.operator;
        let begun = operator.hall_mut().begin(now_ns).is_ok();
        let mut operator = begun.then_some(operator);
        let jobs = jobs.into_iter();
        let run = |job: Job<Id, S>| (job.run)(operator.as_deref_mut(), now_ns);
        let replies: Vec<_> = jobs.map(run).collect();
        let batch = operator.map(|operator| operator.hall_mut().take_batch());
        let batch = batch.unwrap_or_default();
        let written = self.write_unlocked(state, &batch);
        let mut state = self.lock();
        let committed = state.operator.hall_mut().finish(batch, written, now_ns);
        for event in state.operator.take_events() {
            // The event may have no subscriber.
            let _ = self.events.send(event);
        }
        state.is_committing = false;
        drop(state);
        self.committed.notify_all();
        let committed = committed.map_err(Arc::new);
        for reply in replies {
            reply(committed.clone());
        }
        if wakes {
            self.changed.notify_one();
        }
    }

    /// Tries to write what is owed from an earlier failure.
    fn write_owed(&self) {
        let state = self.lock();
        let Some(owed) = state.operator.hall().owed().cloned() else {
            return;
        };
        let written = self.write_unlocked(state, &owed);
        let mut state = self.lock();
        if written.is_ok() {
            state.operator.hall_mut().paid_off();
        }
        state.is_committing = false;
        drop(state);
        self.committed.notify_all();
    }

    /// Writes a batch without the lock. Nothing else happens until the caller ends the commit.
    fn write_unlocked(
        &self,
        mut state: MutexGuard<'_, State<Id, S>>,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        state.is_committing = true;
        drop(state);
        match batch.is_empty() {
            true => Ok(()),
            false => self.store.write(batch),
        }
    }

    fn untold(&self) -> MutexGuard<'_, Vec<PoolEvent<Id>>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
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
