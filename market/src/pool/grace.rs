//! Grace periods of clients that may stay for a while.

use std::collections::{BTreeMap, BTreeSet};

/// Clients and the ends of their grace periods.
#[derive(Debug)]
pub(super) struct GracePeriods<Id> {
    ends: BTreeMap<Id, u64>,
    by_end: BTreeSet<(u64, Id)>,
}

impl<Id: Ord + Clone> GracePeriods<Id> {
    pub(super) const fn new() -> Self {
        Self {
            ends: BTreeMap::new(),
            by_end: BTreeSet::new(),
        }
    }

    /// Starts a client's period, unless it runs already.
    pub(super) fn start(&mut self, id: &Id, end_ns: u64) {
        if !self.ends.contains_key(id) {
            self.ends.insert(id.clone(), end_ns);
            self.by_end.insert((end_ns, id.clone()));
        }
    }

    pub(super) fn remove(&mut self, id: &Id) {
        if let Some(end_ns) = self.ends.remove(id) {
            self.by_end.remove(&(end_ns, id.clone()));
        }
    }

    /// Returns the moment of the next end.
    pub(super) fn next_end(&self) -> u64 {
        self.by_end.first().map_or(u64::MAX, |(end_ns, _)| *end_ns)
    }

    /// Removes and returns a client whose period is over.
    pub(super) fn take_over(&mut self, now_ns: u64) -> Option<Id> {
        let over = self.by_end.first().filter(|(end_ns, _)| *end_ns <= now_ns);
        let (_, id) = over.cloned()?;
        self.remove(&id);
        Some(id)
    }
}
