//! The store in memory.

use crate::store::{
    change::{Change, Swap, check_changes},
    error::StoreError,
    interface::{Store, Visit, VisitAll},
    pending::Pending,
    table::Table,
};
use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A [`Store`] in memory, for tests and simulations. Warning: its records, and the money they prove, do not survive the
/// process.
#[derive(Default)]
pub struct Memory {
    rows: Mutex<Rows>,
}

impl Memory {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the rows. A write changes them only after every check has passed, so a panicked thread leaves no half-made
    /// write behind.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hides the records, which are secret.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} rows)", self.rows().len())
    }
}

impl Store for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().get(&(table, key.to_vec())).cloned())
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        check_changes(changes)?;
        let mut rows = self.rows();
        for (index, change) in changes.iter().enumerate() {
            let found = rows.get(&(change.table, change.key.to_vec()));
            if found.map(Vec::as_slice) != change.old {
                let found = found.cloned();
                return Ok(Swap::Conflict { index, found });
            }
        }
        for change in changes {
            let key = (change.table, change.key.to_vec());
            match change.new {
                Some(new) => rows.insert(key, new.to_vec()),
                None => rows.remove(&key),
            };
        }
        Ok(Swap::Done)
    }

    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        Some(Pending::ready(self.swap(changes)))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        // Copies the rows first, so that `each` sees a single moment and may use the store.
        let from = (Bound::Included((table, prefix.to_vec())), Bound::Unbounded);
        let found: Vec<_> = self
            .rows()
            .range(from)
            .take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        for (key, value) in found {
            if each(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        let rows = self.rows().clone();
        for ((table, key), value) in &rows {
            if Table::ALL.contains(table) && each(*table, key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}
