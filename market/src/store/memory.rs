//! A store in memory.

use super::interface::{Batch, Store, StoreError, Visit};
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A [`Store`] in memory, for tests and simulations. Warning: dropping the store loses all rows.
#[derive(Debug, Default)]
pub struct Memory {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Memory {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writing a batch cannot panic half-way, so a poisoned lock guards whole batches.
    fn rows(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        // BackupSize first, so that `each` sees one snapshot and may use the store.
        let first = [prefix, from].concat();
        let found: Vec<_> = self
            .rows()
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for (key, value) in found {
            if each(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for (key, value) in batch.iter() {
            match value {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    fn keys(store: &Memory, prefix: &[u8], from: &[u8], max: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        store
            .scan(prefix, from, &mut |key, _| {
                found.push(key.to_vec());
                if found.len() == max {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    #[test]
    fn scans_from_start_key_to_end_of_prefix() {
        let store = Memory::new();
        let mut batch = Batch::new();
        for key in ["a", "b", "b1", "b2", "b3", "c"] {
            batch.put(key, [1]);
        }
        store.write(&batch).unwrap();
        assert_eq!(keys(&store, b"b", b"", 9), [&b"b"[..], b"b1", b"b2", b"b3"]);
        assert_eq!(keys(&store, b"b", b"2", 9), [b"b2", b"b3"]);
        assert_eq!(keys(&store, b"b", b"11", 9), [b"b2", b"b3"]);
        assert_eq!(keys(&store, b"b", b"1", 2), [b"b1", b"b2"]);
        assert!(keys(&store, b"d", b"", 9).is_empty());
    }

    #[test]
    fn applies_the_later_of_two_writes_to_a_key() {
        let store = Memory::new();
        let mut batch = Batch::new();
        batch.put("key", [1]);
        batch.delete("key");
        batch.put("other", [1]);
        let mut second = Batch::new();
        second.put("other", [2]);
        batch.append(second);
        store.write(&batch).unwrap();
        assert_eq!(store.get(b"key").unwrap(), None);
        assert_eq!(store.get(b"other").unwrap(), Some(vec![2]));
    }
}
