//! The deposits that are not drawn yet: few, among the records of a month.

use crate::{
    payer::records::{DepositRecord, DepositState},
    protocol::terms::DepositId,
};
use std::collections::{BTreeSet, HashMap};

/// Ids of the deposits that are not drawn, as the last poll and this process know them.
#[derive(Debug, Default)]
pub(super) struct Undrawn {
    ids: BTreeSet<DepositId>,
    /// True once a poll has seen all records.
    is_complete: bool,
}

impl Undrawn {
    /// Adds a new deposit.
    pub(super) fn insert(&mut self, id: DepositId) {
        self.ids.insert(id);
    }

    /// Takes the states from all records. A deposit that is not among the records was stored after they were read.
    pub(super) fn update(&mut self, records: &HashMap<DepositId, DepositRecord>) {
        for (id, record) in records {
            if is_undrawn(record) {
                self.ids.insert(*id);
            } else {
                self.ids.remove(id);
            }
        }
        self.is_complete = true;
    }

    /// Returns all of them. `None`: no poll has seen the records yet.
    pub(super) fn ids(&self) -> Option<Vec<DepositId>> {
        self.is_complete.then(|| self.ids.iter().copied().collect())
    }
}

/// True before the draw's result is known.
pub(super) const fn is_undrawn(record: &DepositRecord) -> bool {
    use DepositState::{Active, PastCutoff, Pending};
    matches!(record.state, Pending | Active | PastCutoff)
}
