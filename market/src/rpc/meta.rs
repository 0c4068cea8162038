//! The operator's notes about balances: the `meta` argument of `les_addBalance`.

use super::{error::OperatorError, names::META};
use crate::{
    balance::tracker::BalanceTracker,
    id::PeerId,
    store::interface::{Batch, Store},
};

const PREFIX: &[u8] = b"meta:";
/// Maximum number of bytes of a note.
const MAX: usize = 1_024;

/// Rows of the notes.
#[derive(Debug)]
pub(super) struct BalanceMeta {
    prefix: Vec<u8>,
}

impl BalanceMeta {
    pub(super) fn new(prefix: &[u8]) -> Self {
        Self {
            prefix: [prefix, PREFIX].concat(),
        }
    }

    pub(super) fn check(meta: &str) -> Result<(), OperatorError> {
        match meta.len() > MAX {
            true => Err(OperatorError::Value(META.to_owned())),
            false => Ok(()),
        }
    }

    /// Adds a note to a batch; an empty one removes the record.
    pub(super) fn put(&self, batch: &mut Batch, id: &[u8], meta: &str) {
        let key = [&self.prefix, id].concat();
        match meta.is_empty() {
            true => batch.delete(key),
            false => batch.put(key, meta),
        }
    }

    /// Returns a client's note, if any.
    pub(super) fn get<Id: PeerId, S: Store>(
        &self,
        rows: &BalanceTracker<Id, S>,
        id: &Id,
    ) -> Result<Option<String>, OperatorError> {
        let stored = rows.stored(&[&self.prefix, id.as_ref()].concat())?;
        Ok(stored.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}
