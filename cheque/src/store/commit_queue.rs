//! Group commit: one commit serves all writes that have come together.
//!
//! Callers queue, and wait as threads or as tasks. A store has one thread for each commit that may be under way at once
//! (a lane), which takes what is in the queue, commits it, and tells the callers. So a lone caller pays for one commit,
//! and many callers share one.
//!
//! A lone caller is not kept waiting. Who has company may get more: threads that could run and do not get a core go first,
//! and a lane takes short naps, both for as long as each brings somebody. Where cores are short, the cost of a commit is
//! better shared; without it, a load of half of what a store can do would have all cores busy with commits of few swaps.

use crate::store::{Change, Swap, Table, check_changes, error::StoreError, pending::Pending};
use oneshot::{AsyncReceiver, Receiver, Sender};
use std::{
    collections::VecDeque,
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Bounds of one group, so that no commit takes too long or too much memory.
const GROUP_SWAPS: usize = 1024;
const GROUP_BYTES: usize = 16 << 20;

/// With so many swaps a commit costs each of them little, and all others had better work while it runs.
const COMPANY: usize = 64;

/// With fewer swaps than this a lane does not nap: they would lose more than they share.
const FEW: usize = 4;

/// About half of what a commit takes a fast disk, and at most so many of them for one commit.
const NAP: Duration = Duration::from_micros(200);
const NAPS: usize = 2;

/// After a nap that brought nobody, as none does where all who could queue are waiting already, so many commits go
/// without.
const AWAKE: u32 = 16;

/// Why a commit failed, shared by all who were in it.
pub(super) type Cause = Arc<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[error("the thread that was to commit this panicked")]
struct Abandoned;

/// The swaps of one commit, each with its changes.
pub(super) type Group<'a> = [&'a [Change<'a>]];

/// One result for each swap of a group, in order, once they are durable.
pub(super) type Results = Vec<Result<Swap, StoreError>>;

/// The queue in front of an engine, and the threads that work it off. It holds secrets, so neither it nor its parts can
/// be shown (`Debug`).
pub(super) struct Groups {
    shared: Arc<Shared>,
    lanes: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes a lane.
    more: Condvar,
    /// What errors call the store.
    path: Arc<Path>,
}

#[derive(Default)]
struct State {
    /// While it is not empty, a lane is at work or about to wake up.
    queue: VecDeque<Queued>,
    /// Lanes that sleep.
    idle: usize,
    /// Nothing more will come.
    closed: bool,
}

struct Queued {
    changes: Arc<[OwnedChange]>,
    caller: Sender<Result<Swap, StoreError>>,
}

/// A caller's side of a swap in the queue.
pub(super) struct Place {
    result: AsyncReceiver<Result<Swap, StoreError>>,
    _changes: Arc<[OwnedChange]>,
    path: Arc<Path>,
}

/// A change with its bytes in one piece.
struct OwnedChange {
    table: Table,
    bytes: Vec<u8>,
    key: Range<usize>,
    old: Option<Range<usize>>,
    new: Option<Range<usize>>,
}

impl Groups {
    /// Starts the lanes, each of which makes its groups durable by `commit`. Errors call the store `path`.
    pub(super) fn new(
        path: &Path,
        lanes: usize,
        commit: impl Fn(&Group<'_>) -> Results + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut groups = Self {
            shared: Arc::new(Shared::new(path)),
            lanes: Vec::new(),
        };
        let commit = Arc::new(commit);
        for _ in 0..lanes {
            let (shared, commit) = (groups.shared.clone(), commit.clone());
            let lane = thread::Builder::new().name("cheque-store".into());
            groups
                .lanes
                .push(lane.spawn(move || shared.work(&*commit))?);
        }
        Ok(groups)
    }

    /// Makes all of these changes or none.
    pub(super) fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        check_changes(changes)?;
        if changes.is_empty() {
            return Ok(Swap::Done);
        }
        let (result, _changes) = self.shared.queue(changes);
        let result = result.recv();
        result.unwrap_or_else(|_| Err(abandoned(&self.shared.path)))
    }

    /// Queues what [`Self::swap`] waits for.
    pub(super) fn begin(&self, changes: &[Change<'_>]) -> Pending {
        if let Err(error) = check_changes(changes) {
            return Pending::ready(Err(error));
        }
        if changes.is_empty() {
            return Pending::ready(Ok(Swap::Done));
        }
        let (result, changes) = self.shared.queue(changes);
        Pending::queued(Place {
            result: result.into_future(),
            _changes: changes,
            path: self.shared.path.clone(),
        })
    }
}

/// What is in the queue is done before this ends. Afterwards the lanes hold nothing.
impl Drop for Groups {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.more.notify_all();
        for lane in self.lanes.drain(..) {
            // A lane that wakes a task may find itself dropping the store.
            if lane.thread().id() != thread::current().id() {
                // It cannot panic: it catches.
                let _ = lane.join();
            }
        }
    }
}

type Queueing = (Receiver<Result<Swap, StoreError>>, Arc<[OwnedChange]>);

impl Shared {
    fn new(path: &Path) -> Self {
        Self {
            state: Mutex::default(),
            more: Condvar::new(),
            path: path.into(),
        }
    }

    /// Queues a copy of these changes. It is dropped best where it is returned, when there is a result: memory is
    /// cheapest to free where it was taken.
    fn queue(&self, changes: &[Change<'_>]) -> Queueing {
        let changes: Arc<[_]> = changes.iter().map(OwnedChange::of).collect();
        let (caller, result) = oneshot::channel();
        let queued = Queued {
            changes: changes.clone(),
            caller,
        };
        let mut state = self.state();
        state.queue.push_back(queued);
        let wake = state.idle > 0 && state.queue.len() == 1;
        drop(state);
        if wake {
            self.more.notify_one();
        }
        (result, changes)
    }

    /// The life of a lane.
    fn work(&self, commit: &impl Fn(&Group<'_>) -> Results) {
        let mut awake = 0;
        while self.wait() {
            awake = self.gather(awake);
            // Whatever panics, the commit or a task's way to be woken: who has no result then finds its sender dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| self.serve(commit)));
        }
    }

    fn serve(&self, commit: &impl Fn(&Group<'_>) -> Results) {
        let group = self.take();
        let results = commit_all(&group, commit);
        for (Queued { changes, caller }, result) in group.into_iter().zip(results) {
            drop(changes);
            // Nobody may be waiting any more.
            let _ = caller.send(result);
        }
    }

    /// Waits until there is something to do; `false`: there never will be.
    fn wait(&self) -> bool {
        let mut state = self.state();
        while state.queue.is_empty() {
            if state.closed {
                return false;
            }
            state.idle += 1;
            let woken = self.more.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        true
    }

    /// Lets others queue, by no nap if the lane is to stay `awake`. Returns for how many more commits it is.
    fn gather(&self, awake: u32) -> u32 {
        let mut queued = self.state().queue.len();
        while queued < COMPANY {
            thread::yield_now();
            let now = self.state().queue.len();
            if now <= queued {
                break;
            }
            queued = now;
        }
        if awake > 0 {
            return awake - 1;
        }
        for _ in 0..NAPS {
            if !(FEW..COMPANY).contains(&queued) {
                break;
            }
            let now = self.nap();
            if now <= queued {
                return AWAKE;
            }
            queued = now;
        }
        0
    }

    /// Returns how many swaps are in the queue afterwards. What wakes a lane that sleeps may end it early.
    fn nap(&self) -> usize {
        let nap = self.more.wait_timeout(self.state(), NAP);
        let (state, _) = nap.unwrap_or_else(PoisonError::into_inner);
        state.queue.len()
    }

    /// Takes the next group out of the queue. It is empty if another lane was faster.
    fn take(&self) -> Vec<Queued> {
        let mut state = self.state();
        let mut bytes = 0;
        let fits = |(index, queued): &(usize, &Queued)| {
            let sizes = queued.changes.iter().map(|change| change.bytes.len());
            bytes += sizes.sum::<usize>();
            *index == 0 || bytes <= GROUP_BYTES
        };
        let first = state.queue.iter().take(GROUP_SWAPS).enumerate();
        let count = first.take_while(fits).count();
        let group = state.queue.drain(..count).collect();
        let wake = state.idle > 0 && !state.queue.is_empty();
        drop(state);
        if wake {
            self.more.notify_one();
        }
        group
    }

    /// Nothing panics under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands the changes of a group to `commit`.
fn commit_all(group: &[Queued], commit: impl FnOnce(&Group<'_>) -> Results) -> Results {
    if group.is_empty() {
        return Vec::new();
    }
    let changes = group.iter().flat_map(|queued| &*queued.changes);
    let changes: Vec<_> = changes.map(OwnedChange::borrowed).collect();
    let mut rest = &changes[..];
    let swaps = group.iter().map(|queued| {
        let (swap, others) = rest.split_at(queued.changes.len());
        rest = others;
        swap
    });
    commit(&swaps.collect::<Vec<_>>())
}

impl Place {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Swap, StoreError>> {
        let result = Pin::new(&mut self.result).poll(context);
        result.map(|result| result.unwrap_or_else(|_| Err(abandoned(&self.path))))
    }
}

fn abandoned(path: &Path) -> StoreError {
    StoreError::Unknown {
        path: path.to_path_buf(),
        cause: Arc::new(Abandoned),
    }
}

impl OwnedChange {
    fn of(change: &Change<'_>) -> Self {
        let values = change.old.map_or(0, <[u8]>::len) + change.new.map_or(0, <[u8]>::len);
        let mut bytes = Vec::with_capacity(change.key.len() + values);
        let mut add = |part: &[u8]| {
            let start = bytes.len();
            bytes.extend_from_slice(part);
            start..bytes.len()
        };
        Self {
            table: change.table,
            key: add(change.key),
            old: change.old.map(&mut add),
            new: change.new.map(&mut add),
            bytes,
        }
    }

    fn borrowed(&self) -> Change<'_> {
        let part = |range: &Range<usize>| &self.bytes[range.clone()];
        Change {
            table: self.table,
            key: part(&self.key),
            old: self.old.as_ref().map(part),
            new: self.new.as_ref().map(part),
        }
    }
}

#[cfg(test)]
mod tests;
