//! Group commit: one commit serves all writes that have come together.
//!
//! Whoever finds the engine free commits, for itself and all who queue (the leader); whoever finds it busy queues. A
//! leader that is done hands the engine to the first in the queue, and then tells its followers. So a lone caller pays
//! for one commit, and many callers share one.
//!
//! A leader waits for nobody, but threads that could run and do not get a core go first, as long as each turn of theirs
//! brings company: where cores are short, the cost of a commit is better shared.

use super::{Change, StoreError, Swap, Table, check_changes};
use oneshot::{Receiver, Sender};
use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Bounds of one group beyond the leader's own changes, so that no commit takes too long or too much memory.
const GROUP_SWAPS: usize = 1024;
const GROUP_BYTES: usize = 16 << 20;

/// With so many followers a commit costs each of them little, and all others had better work while it runs.
const COMPANY: usize = 64;

/// Why a commit failed, shared by all who were in it.
pub(super) type Cause = Arc<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[error("the thread that was to commit this panicked")]
struct Abandoned;

/// The swaps of one commit, each with its changes.
pub(super) type Group<'a> = [&'a [Change<'a>]];

/// The queue in front of an engine. It holds secrets, so neither it nor its parts can be shown (`Debug`).
pub(super) struct Groups {
    /// How many groups may be under way at once.
    lanes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Groups under way. While there are fewer than lanes, the queue is empty.
    leading: usize,
    queue: VecDeque<Queued>,
}

struct Queued {
    /// Its caller has them too, and drops them last: memory is cheapest to free where it was taken.
    changes: Arc<[OwnedChange]>,
    turn: Sender<Turn>,
}

/// What a caller in the queue waits for.
enum Turn {
    /// It is the leader of the next group.
    Lead,
    /// Another one has committed for it.
    Done(Result<Swap, StoreError>),
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
    pub(super) const fn new(lanes: usize) -> Self {
        Self {
            lanes,
            state: Mutex::new(State {
                leading: 0,
                queue: VecDeque::new(),
            }),
        }
    }

    /// Makes all of these changes or none. `commit` returns one result for each swap of its group, in order, once they
    /// are durable; it may or may not be called by this caller. `unknown` makes the error of a caller whose leader
    /// panicked.
    pub(super) fn swap(
        &self,
        changes: &[Change<'_>],
        commit: impl FnOnce(&Group<'_>) -> Vec<Result<Swap, StoreError>>,
        unknown: impl Fn(Cause) -> StoreError,
    ) -> Result<Swap, StoreError> {
        check_changes(changes)?;
        if changes.is_empty() {
            return Ok(Swap::Done);
        }
        let abandoned = || unknown(Arc::new(Abandoned));
        if let Some((_copy, turn)) = self.queue(changes) {
            match turn.recv() {
                Ok(Turn::Lead) => {}
                Ok(Turn::Done(result)) => return result,
                Err(_) => return Err(abandoned()),
            }
        }
        let lane = Lane(self);
        self.gather();
        let followers = self.followers(changes);
        let mut results = commit_all(changes, &followers, commit).into_iter();
        let own = results.next();
        // The next group starts before this one's callers wake up.
        drop(lane);
        for (Queued { changes, turn }, result) in followers.into_iter().zip(results) {
            drop(changes);
            // Its receiver is there: it waits for nothing else.
            let _ = turn.send(Turn::Done(result));
        }
        own.unwrap_or_else(|| Err(abandoned()))
    }

    /// Takes a free lane, or a place in the queue.
    fn queue(&self, changes: &[Change<'_>]) -> Option<Place> {
        let free = |state: &mut State| {
            let free = state.leading < self.lanes;
            state.leading += usize::from(free);
            free
        };
        if free(&mut self.state()) {
            return None;
        }
        // Copied outside the lock, so the lane may have become free.
        let owned: Arc<[_]> = changes.iter().map(OwnedChange::of).collect();
        let (sender, turn) = oneshot::channel();
        let mut state = self.state();
        if free(&mut state) {
            return None;
        }
        state.queue.push_back(Queued {
            changes: owned.clone(),
            turn: sender,
        });
        Some((owned, turn))
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

    /// Takes those who go with a leader out of the queue.
    fn followers(&self, own: &[Change<'_>]) -> Vec<Queued> {
        let mut bytes: usize = own.iter().map(size).sum();
        let mut state = self.state();
        let fits = |queued: &&Queued| {
            let sizes = queued.changes.iter().map(|change| change.bytes.len());
            bytes += sizes.sum::<usize>();
            bytes <= GROUP_BYTES
        };
        let count = state
            .queue
            .iter()
            .take(GROUP_SWAPS)
            .take_while(fits)
            .count();
        state.queue.drain(..count).collect()
    }

    /// Nothing panics under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a leader's changes and those of its followers to `commit`.
fn commit_all<T>(
    own: &[Change<'_>],
    followers: &[Queued],
    commit: impl FnOnce(&Group<'_>) -> T,
) -> T {
    let theirs = followers.iter().flat_map(|queued| &*queued.changes);
    let theirs: Vec<_> = theirs.map(OwnedChange::borrowed).collect();
    let mut rest = &theirs[..];
    let mut group = vec![own];
    group.extend(followers.iter().map(|queued| {
        let (changes, others) = rest.split_at(queued.changes.len());
        rest = others;
        changes
    }));
    commit(&group)
}

impl OwnedChange {
    fn of(change: &Change<'_>) -> Self {
        let mut bytes = Vec::with_capacity(size(change));
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

fn size(change: &Change<'_>) -> usize {
    change.key.len() + change.old.map_or(0, <[u8]>::len) + change.new.map_or(0, <[u8]>::len)
}

/// The place of a caller in the queue: its changes, and where it is told its turn.
type Place = (Arc<[OwnedChange]>, Receiver<Turn>);

/// A right to commit, which is handed on even if the commit panics.
struct Lane<'a>(&'a Groups);

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        while let Some(next) = state.queue.pop_front() {
            if next.turn.send(Turn::Lead).is_ok() {
                return;
            }
        }
        state.leading -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        path::PathBuf,
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    fn change(key: &[u8]) -> Change<'_> {
        Change {
            table: Table::Received,
            key,
            old: None,
            new: Some(b"new"),
        }
    }

    fn abandoned(cause: Cause) -> StoreError {
        let path = PathBuf::from("store");
        StoreError::Unknown { path, cause }
    }

    fn done(group: &Group<'_>) -> Vec<Result<Swap, StoreError>> {
        group.iter().map(|_| Ok(Swap::Done)).collect()
    }

    /// Has one caller commit while `others` queue, then lets it end as `first` says.
    fn queue_behind(
        groups: &Groups,
        others: usize,
        first: impl FnOnce(&Group<'_>) -> Vec<Result<Swap, StoreError>> + Send,
        later: impl Fn(&Group<'_>) -> Vec<Result<Swap, StoreError>> + Sync,
    ) -> Vec<Result<Swap, StoreError>> {
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            let leader = scope.spawn(|| {
                let commit = |group: &Group<'_>| {
                    begun.wait();
                    while groups.state().queue.len() < others {
                        thread::yield_now();
                    }
                    first(group)
                };
                let swap = || groups.swap(&[change(b"leader")], commit, abandoned);
                // A panic is what one of the tests is about.
                let _ = catch_unwind(AssertUnwindSafe(swap));
            });
            begun.wait();
            let later = &later;
            let others: Vec<_> = (0..others)
                .map(|number| {
                    let key = number.to_be_bytes();
                    scope.spawn(move || groups.swap(&[change(&key)], later, abandoned))
                })
                .collect();
            leader.join().expect("its panic is caught");
            let joined = others.into_iter().map(|thread| thread.join());
            joined.map(|result| result.expect("no panic")).collect()
        })
    }

    #[test]
    fn all_who_queued_during_a_commit_share_the_next_one() {
        let groups = Groups::new(1);
        let commits = AtomicUsize::new(0);
        let results = queue_behind(&groups, 20, done, |group| {
            commits.fetch_add(1, Ordering::SeqCst);
            assert_eq!(group.len(), 20);
            done(group)
        });
        assert_eq!(commits.into_inner(), 1);
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Ok(Swap::Done)))
        );
        assert_eq!(groups.state().leading, 0);
    }

    #[test]
    fn everybody_gets_its_own_result() {
        let groups = Groups::new(1);
        let results = queue_behind(&groups, 9, done, |group| {
            let own = |swap: &&[Change<'_>]| {
                let found = Some(swap[0].key.to_vec());
                Ok(Swap::Conflict { index: 0, found })
            };
            group.iter().map(own).collect()
        });
        for (number, result) in results.into_iter().enumerate() {
            let found = Some(number.to_be_bytes().to_vec());
            assert_eq!(result.unwrap(), Swap::Conflict { index: 0, found });
        }
    }

    #[test]
    fn a_panic_of_one_leader_does_not_stop_the_next() {
        let groups = Groups::new(1);
        let results = queue_behind(&groups, 5, |_| panic!("on purpose"), done);
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Ok(Swap::Done)))
        );
        let after = groups.swap(&[change(b"after")], done, abandoned);
        assert_eq!(after.unwrap(), Swap::Done);
    }

    #[test]
    fn followers_of_a_leader_without_a_result_get_an_error() {
        let groups = Groups::new(1);
        let results = queue_behind(&groups, 5, done, |group| {
            let all = done(group);
            all.into_iter().take(2).collect()
        });
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert_eq!(failed, 3);
    }

    #[test]
    fn groups_have_bounds() {
        let groups = Groups::new(1);
        let big = vec![0; GROUP_BYTES / 2];
        let lane = Lane(&groups);
        groups.state().leading = 1;
        let big = Change {
            new: Some(&big),
            ..change(b"big")
        };
        let _turns: Vec<_> = (0..3).map(|_| groups.queue(&[big]).unwrap()).collect();
        let small = groups.followers(&[change(b"own")]);
        assert_eq!(small.len(), 1, "two would be more than the bound");
        // However big, the leader's own changes go.
        assert_eq!(groups.followers(&[big, big]).len(), 0);
        drop(lane);
        assert_eq!(groups.state().queue.len(), 1);
    }
}
