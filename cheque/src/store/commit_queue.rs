//! Group commit: concurrent writes share the cost of a disk sync.
//!
//! Callers put swaps into a queue and wait, as threads or as tasks. A store has one committer thread for each commit
//! that may run at the same time. A committer takes a batch from the queue, commits it, and hands every caller its
//! result.
//!
//! A single writer commits at once. Under load a committer waits briefly before a commit, as long as waiting keeps
//! adding swaps to the batch: it first yields to runnable threads, then sleeps. With scarce cores, larger batches
//! save work: otherwise half of a store's full load would keep all cores busy with commits of few swaps.

pub(super) mod waiter;

use crate::store::{
    change::{Change, Swap, check_changes},
    commit_queue::waiter::{PackedChange, Waiter, committer_panicked},
    error::StoreError,
    pending::Pending,
};
use oneshot::{Receiver, Sender};
use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Bounds of a batch, so that no commit takes too long or too much memory.
const MAX_BATCH_SWAPS: usize = 1024;
const MAX_BATCH_BYTES: usize = 16 << 20;

/// The size from which a batch is not worth waiting for more swaps: each swap already bears little of the commit's
/// cost.
const FULL_SHARE_SWAPS: usize = 64;

/// The size below which a committer does not sleep: so few writers would lose more time than they share.
const MIN_SWAPS_TO_SLEEP: usize = 4;

/// The length of a sleep, about half of a commit on a fast disk, and the bound on sleeps before a commit.
const SLEEP: Duration = Duration::from_micros(200);
const MAX_SLEEPS: usize = 2;

/// The number of commits without a sleep after a sleep that added no swap. Such sleeps are in vain whenever all writers
/// wait for a result already.
const COMMITS_WITHOUT_SLEEP: u32 = 16;

/// The reason why a commit failed, shared by all of its callers.
pub(super) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The swaps of a commit, each with its changes.
pub(super) type Batch<'a> = [&'a [Change<'a>]];

/// The results of a batch after its commit, in the order of its swaps.
pub(super) type Results = Vec<Result<Swap, StoreError>>;

/// The queue in front of an engine, with its committer threads. Queued changes are secret, so none of the types here
/// implements `Debug`.
pub(super) struct CommitQueue {
    shared: Arc<Shared>,
    committers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes a committer.
    work_added: Condvar,
    /// The store's name in errors.
    path: Arc<Path>,
}

#[derive(Default)]
struct State {
    /// While not empty, a committer works or is about to wake up.
    queue: VecDeque<QueuedSwap>,
    /// The number of committers that wait for work.
    idle_committers: usize,
    /// True once no more swaps will come.
    closed: bool,
}

struct QueuedSwap {
    changes: Arc<[PackedChange]>,
    caller: Sender<Result<Swap, StoreError>>,
}

impl CommitQueue {
    /// Starts the committers; each makes its batches durable by `commit`. `path` names the store in errors.
    pub(super) fn new(
        path: &Path,
        committers: usize,
        commit: impl Fn(&Batch<'_>) -> Results + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut queue = Self {
            shared: Arc::new(Shared::new(path)),
            committers: Vec::new(),
        };
        let commit = Arc::new(commit);
        for _ in 0..committers {
            let (shared, commit) = (queue.shared.clone(), commit.clone());
            let thread = thread::Builder::new().name("cheque-store".into());
            queue
                .committers
                .push(thread.spawn(move || shared.run(&*commit))?);
        }
        Ok(queue)
    }

    /// Makes all of these changes or none, and waits for the commit.
    pub(super) fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        check_changes(changes)?;
        if changes.is_empty() {
            return Ok(Swap::Done);
        }
        let (result, _changes) = self.shared.enqueue(changes);
        let result = result.recv();
        result.unwrap_or_else(|_| Err(committer_panicked(&self.shared.path)))
    }

    /// Queues the changes of a [`Self::swap`] without waiting for the commit.
    pub(super) fn begin(&self, changes: &[Change<'_>]) -> Pending {
        if let Err(error) = check_changes(changes) {
            return Pending::ready(Err(error));
        }
        if changes.is_empty() {
            return Pending::ready(Ok(Swap::Done));
        }
        let (result, changes) = self.shared.enqueue(changes);
        Pending::queued(Waiter {
            result: result.into_future(),
            _changes: changes,
            path: self.shared.path.clone(),
        })
    }
}

/// Waits until all queued swaps are committed. Afterwards the committers hold nothing.
impl Drop for CommitQueue {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.work_added.notify_all();
        for committer in self.committers.drain(..) {
            // A committer that wakes a task may itself drop the store.
            if committer.thread().id() != thread::current().id() {
                // Never an error: a committer catches panics.
                let _ = committer.join();
            }
        }
    }
}

type Enqueued = (Receiver<Result<Swap, StoreError>>, Arc<[PackedChange]>);

impl Shared {
    fn new(path: &Path) -> Self {
        Self {
            state: Mutex::default(),
            work_added: Condvar::new(),
            path: path.into(),
        }
    }

    /// Queues a copy of these changes. The caller should drop the returned copy after it has the result: memory is
    /// cheapest to free on the thread that allocated it.
    fn enqueue(&self, changes: &[Change<'_>]) -> Enqueued {
        let changes: Arc<[_]> = changes.iter().map(PackedChange::of).collect();
        let (caller, result) = oneshot::channel();
        let queued = QueuedSwap {
            changes: changes.clone(),
            caller,
        };
        let mut state = self.state();
        state.queue.push_back(queued);
        let wake = state.idle_committers > 0 && state.queue.len() == 1;
        drop(state);
        if wake {
            self.work_added.notify_one();
        }
        (result, changes)
    }

    /// The main loop of a committer.
    fn run(&self, commit: &impl Fn(&Batch<'_>) -> Results) {
        let mut skip_sleeps = 0;
        while self.wait_for_work() {
            skip_sleeps = self.gather(skip_sleeps);
            // After a panic in the commit or in a task's waker, callers without a result find their sender dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| self.commit_next(commit)));
        }
    }

    fn commit_next(&self, commit: &impl Fn(&Batch<'_>) -> Results) {
        let batch = self.take_batch();
        let results = commit_all(&batch, commit);
        for (QueuedSwap { changes, caller }, result) in batch.into_iter().zip(results) {
            drop(changes);
            // The caller may have stopped waiting.
            let _ = caller.send(result);
        }
    }

    /// Waits for a swap in the queue. Returns false if the queue is empty and closed.
    fn wait_for_work(&self) -> bool {
        let mut state = self.state();
        while state.queue.is_empty() {
            if state.closed {
                return false;
            }
            state.idle_committers += 1;
            let woken = self.work_added.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.idle_committers -= 1;
        }
        true
    }

    /// Gives other writers time to queue swaps, without a sleep while `skip_sleeps` is positive. Returns the value for
    /// the next commit.
    fn gather(&self, skip_sleeps: u32) -> u32 {
        let mut queued = self.state().queue.len();
        while queued < FULL_SHARE_SWAPS {
            thread::yield_now();
            let now = self.state().queue.len();
            if now <= queued {
                break;
            }
            queued = now;
        }
        if skip_sleeps > 0 {
            return skip_sleeps - 1;
        }
        for _ in 0..MAX_SLEEPS {
            if !(MIN_SWAPS_TO_SLEEP..FULL_SHARE_SWAPS).contains(&queued) {
                break;
            }
            let now = self.sleep();
            if now <= queued {
                return COMMITS_WITHOUT_SLEEP;
            }
            queued = now;
        }
        0
    }

    /// Sleeps, and returns the number of swaps in the queue afterwards. A wake-up meant for an idle committer may end
    /// the sleep early.
    fn sleep(&self) -> usize {
        let slept = self.work_added.wait_timeout(self.state(), SLEEP);
        let (state, _) = slept.unwrap_or_else(PoisonError::into_inner);
        state.queue.len()
    }

    /// Takes the next batch out of the queue; an empty one if another committer was faster.
    fn take_batch(&self) -> Vec<QueuedSwap> {
        let mut state = self.state();
        let mut bytes = 0;
        let fits = |(index, queued): &(usize, &QueuedSwap)| {
            bytes += queued.changes.iter().map(PackedChange::len).sum::<usize>();
            *index == 0 || bytes <= MAX_BATCH_BYTES
        };
        let first = state.queue.iter().take(MAX_BATCH_SWAPS).enumerate();
        let count = first.take_while(fits).count();
        let batch = state.queue.drain(..count).collect();
        let wake = state.idle_committers > 0 && !state.queue.is_empty();
        drop(state);
        if wake {
            self.work_added.notify_one();
        }
        batch
    }

    /// Locks the state. No code panics while holding the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands the changes of a batch to `commit`.
fn commit_all(batch: &[QueuedSwap], commit: impl FnOnce(&Batch<'_>) -> Results) -> Results {
    if batch.is_empty() {
        return Vec::new();
    }
    let changes = batch.iter().flat_map(|queued| &*queued.changes);
    let changes: Vec<_> = changes.map(PackedChange::borrowed).collect();
    let mut rest = &changes[..];
    let swaps = batch.iter().map(|queued| {
        let (swap, others) = rest.split_at(queued.changes.len());
        rest = others;
        swap
    });
    commit(&swaps.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
