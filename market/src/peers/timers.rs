//! Timers of flags.

use std::collections::{BTreeMap, BTreeSet};

/// Moment of a timer, and a number that orders timers of one moment by when they were set.
type Due = (u64, u64);

/// Timers of all peers. A flag of a peer has at most one timer.
#[derive(Debug)]
pub(super) struct Timers<Id> {
    due: BTreeMap<Due, (Id, u64)>,
    of_peer: BTreeMap<Id, BTreeSet<Due>>,
    set: u64,
}

impl<Id: Ord + Clone> Timers<Id> {
    pub(super) fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            of_peer: BTreeMap::new(),
            set: 0,
        }
    }

    /// Sets one timer for all flags of `mask`, which must have none.
    pub(super) fn set(&mut self, id: &Id, mask: u64, at: u64) {
        let due = (at, self.set);
        // No program sets 2^64 timers.
        self.set = self.set.wrapping_add(1);
        self.due.insert(due, (id.clone(), mask));
        self.of_peer.entry(id.clone()).or_default().insert(due);
    }

    /// Removes the flags of `mask` from the peer's timers and returns those that had a timer. A timer stays for its
    /// other flags.
    pub(super) fn cancel(&mut self, id: &Id, mask: u64) -> u64 {
        let Some(of_peer) = self.of_peer.get_mut(id) else {
            return 0;
        };
        let mut cancelled = 0;
        of_peer.retain(|due| {
            let Some((_, flags)) = self.due.get_mut(due) else {
                return false;
            };
            cancelled |= *flags & mask;
            *flags &= !mask;
            if *flags == 0 {
                self.due.remove(due);
                return false;
            }
            true
        });
        if of_peer.is_empty() {
            self.of_peer.remove(id);
        }
        cancelled
    }

    /// Returns the peer's flags that have a timer.
    pub(super) fn flags(&self, id: &Id) -> u64 {
        let timers = self.of_peer.get(id).into_iter().flatten();
        timers
            .filter_map(|due| self.due.get(due))
            .fold(0, |flags, (_, mask)| flags | mask)
    }

    /// Returns the moment of the next timer.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Removes the first timer that is due at `now` and returns its moment, peer and flags.
    pub(super) fn pop(&mut self, now: u64) -> Option<(u64, Id, u64)> {
        let entry = self.due.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let (due, (id, mask)) = entry.remove_entry();
        if let Some(of_peer) = self.of_peer.get_mut(&id) {
            of_peer.remove(&due);
            if of_peer.is_empty() {
                self.of_peer.remove(&id);
            }
        }
        Some((due.0, id, mask))
    }
}
