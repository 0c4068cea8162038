//! Flags that will be reset at a moment.

use std::collections::{BTreeMap, BTreeSet};

/// When a timer is due, and which of those due together was set first.
type Due = (u64, u64);

/// The timers of all nodes. A flag of a node has at most one.
#[derive(Debug)]
pub(super) struct Timers<Id> {
    due: BTreeMap<Due, (Id, u64)>,
    of_node: BTreeMap<Id, BTreeSet<Due>>,
    set: u64,
}

impl<Id: Ord + Clone> Timers<Id> {
    pub(super) fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            of_node: BTreeMap::new(),
            set: 0,
        }
    }

    /// Sets one timer for all flags of `mask`, which must have none.
    pub(super) fn set(&mut self, id: &Id, mask: u64, at: u64) {
        let due = (at, self.set);
        // Nobody sets 2^64 timers.
        self.set = self.set.wrapping_add(1);
        self.due.insert(due, (id.clone(), mask));
        self.of_node.entry(id.clone()).or_default().insert(due);
    }

    /// Takes the flags of `mask` off the node's timers and returns those that had one. A timer goes on for its other
    /// flags.
    pub(super) fn cancel(&mut self, id: &Id, mask: u64) -> u64 {
        let Some(of_node) = self.of_node.get_mut(id) else {
            return 0;
        };
        let mut cancelled = 0;
        of_node.retain(|due| {
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
        if of_node.is_empty() {
            self.of_node.remove(id);
        }
        cancelled
    }

    /// The node's flags that have a timer.
    pub(super) fn flags(&self, id: &Id) -> u64 {
        let timers = self.of_node.get(id).into_iter().flatten();
        timers
            .filter_map(|due| self.due.get(due))
            .fold(0, |flags, (_, mask)| flags | mask)
    }

    /// When the next timer is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first timer that is due at `now`: its moment, node and flags.
    pub(super) fn pop(&mut self, now: u64) -> Option<(u64, Id, u64)> {
        let entry = self.due.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let (due, (id, mask)) = entry.remove_entry();
        if let Some(of_node) = self.of_node.get_mut(&id) {
            of_node.remove(&due);
            if of_node.is_empty() {
                self.of_node.remove(&id);
            }
        }
        Some((due.0, id, mask))
    }
}
