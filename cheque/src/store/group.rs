//! Group commit: one commit serves all writes that have come together.
//!
//! Callers queue, and wait as threads or as tasks. A store has one thread for each commit that may be under way at once
//! (a lane), which takes what is in the queue, commits it, and tells the callers. So a lone caller pays for one commit,
//! and many callers share one.
//!
//! A lane waits for nobody, but threads that could run and do not get a core go first, as long as each turn of theirs
//! brings company: where cores are short, the cost of a commit is better shared.

use super::{Change, Pending, StoreError, Swap, Table, check_changes};
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
};

/// Bounds of one group, so that no commit takes too long or too much memory.
const GROUP_SWAPS: usize = 1024;
const GROUP_BYTES: usize = 16 << 20;

/// With so many swaps a commit costs each of them little, and all others had better work while it runs.
const COMPANY: usize = 64;

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
        while self.wait() {
            self.gather();
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

    /// Lets others run who are about to queue.
    fn gather(&self) {
        let mut queued = self.state().queue.len();
        while queued < COMPANY {
            thread::yield_now();
            let now = self.state().queue.len();
            if now <= queued {
                return;
            }
            queued = now;
        }
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
mod tests {
    use super::*;
    use std::{
        sync::{Barrier, mpsc},
        task::{Wake, Waker},
    };

    fn change(key: &[u8]) -> Change<'_> {
        Change {
            table: Table::Received,
            key,
            old: None,
            new: Some(b"new"),
        }
    }

    fn done(group: &Group<'_>) -> Results {
        group.iter().map(|_| Ok(Swap::Done)).collect()
    }

    fn groups(commit: impl Fn(&Group<'_>) -> Results + Send + Sync + 'static) -> Groups {
        Groups::new(Path::new("store"), 1, commit).unwrap()
    }

    /// What becomes of one swap that is committed as `first` says, and of others that queue meanwhile, as `later` says.
    fn queue_behind(
        others: usize,
        first: impl Fn(&Group<'_>) -> Results + Send + Sync + 'static,
        later: impl Fn(&Group<'_>) -> Results + Send + Sync + 'static,
    ) -> (Result<Swap, StoreError>, Results) {
        let begun = Arc::new(Barrier::new(2));
        let (all_are_queued, wait) = mpsc::channel();
        let (wait, lane) = (Mutex::new(wait), begun.clone());
        let groups = groups(move |group| {
            if group[0][0].key != b"first" {
                return later(group);
            }
            lane.wait();
            wait.lock().unwrap().recv().unwrap();
            first(group)
        });
        let one = groups.begin(&[change(b"first")]);
        begun.wait();
        let keys = (0..others).map(usize::to_be_bytes);
        let others: Vec<_> = keys.map(|key| groups.begin(&[change(&key)])).collect();
        all_are_queued.send(()).unwrap();
        let one = pollster::block_on(one);
        let others = others.into_iter().map(pollster::block_on);
        (one, others.collect())
    }

    #[test]
    fn all_who_queued_during_a_commit_share_the_next_one() {
        let (commits, count) = mpsc::channel();
        let (first, others) = queue_behind(20, done, move |group| {
            commits.send(group.len()).unwrap();
            done(group)
        });
        for result in others.into_iter().chain([first]) {
            assert_eq!(result.unwrap(), Swap::Done);
        }
        assert_eq!(count.iter().collect::<Vec<_>>(), [20]);
    }

    #[test]
    fn everybody_gets_its_own_result() {
        let own = |group: &Group<'_>| {
            let own = |swap: &&[Change<'_>]| {
                let found = Some(swap[0].key.to_vec());
                Ok(Swap::Conflict { index: 0, found })
            };
            group.iter().map(own).collect()
        };
        let (_, others) = queue_behind(9, done, own);
        for (number, result) in others.into_iter().enumerate() {
            let found = Some(number.to_be_bytes().to_vec());
            assert_eq!(result.unwrap(), Swap::Conflict { index: 0, found });
        }
    }

    #[test]
    fn a_panic_in_a_commit_is_an_unknown_result_and_the_next_commit_goes_on() {
        let (first, others) = queue_behind(5, |_| panic!("on purpose"), done);
        assert!(
            matches!(first, Err(StoreError::Unknown { .. })),
            "{first:?}"
        );
        for result in others {
            assert_eq!(result.unwrap(), Swap::Done);
        }
    }

    #[test]
    fn whoever_is_left_without_a_result_gets_an_error() {
        let (_, others) = queue_behind(5, done, |group| {
            let all = done(group);
            all.into_iter().take(2).collect()
        });
        let failed = others.iter().filter(|result| result.is_err()).count();
        assert_eq!(failed, 3);
    }

    #[test]
    fn what_has_begun_is_done_though_nobody_waits_and_before_the_store_is_gone() {
        let (commits, keys) = mpsc::channel();
        let groups = groups(move |group| {
            for swap in group {
                commits.send(swap[0].key.to_vec()).unwrap();
            }
            done(group)
        });
        for key in [b"one", b"two"] {
            drop(groups.begin(&[change(key)]));
        }
        drop(groups);
        assert_eq!(keys.try_iter().collect::<Vec<_>>(), [b"one", b"two"]);
    }

    #[test]
    fn a_task_whose_wake_panics_does_not_stop_those_after_it() {
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("on purpose");
            }
        }
        let (begun, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (begins, goes_on) = (begun.clone(), go_on.clone());
        let groups = groups(move |group| {
            if group[0][0].key == b"panics" {
                begins.wait();
                goes_on.wait();
            }
            done(group)
        });
        let mut one = groups.begin(&[change(b"panics")]);
        begun.wait();
        let waker = Waker::from(Arc::new(Panics));
        let poll = Pin::new(&mut one).poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        go_on.wait();
        let next = groups.begin(&[change(b"next")]);
        assert_eq!(pollster::block_on(next).unwrap(), Swap::Done);
    }

    #[test]
    fn groups_have_bounds() {
        let zeros = vec![0; 2 * GROUP_BYTES];
        let first_of = |sizes: &[usize]| {
            let shared = Shared::new(Path::new("store"));
            for size in sizes {
                let new = Some(&zeros[..*size]);
                let _ = shared.queue(&[Change { new, ..change(b"") }]);
            }
            shared.take().len()
        };
        let half = GROUP_BYTES / 2;
        assert_eq!(first_of(&[1, half, half, half]), 2);
        assert_eq!(first_of(&[half, half, 1]), 2);
        assert_eq!(first_of(&[1; GROUP_SWAPS + 1]), GROUP_SWAPS);
        // However big, the first one goes.
        assert_eq!(first_of(&[2 * GROUP_BYTES, 1]), 1);
    }
}
