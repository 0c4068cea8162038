//! The durable state that this crate needs: a small key-value store with atomic batches.
//!
//! Everything of one market lives in one store, so that what belongs together (a balance and the offset that gives it
//! its value) is written together. Key prefixes keep the parts apart.

#[cfg(feature = "cheque")]
mod cheque;
#[cfg(test)]
mod failing;
#[cfg(feature = "redb")]
mod redb;

#[cfg(feature = "cheque")]
pub use self::cheque::ChequeStore;
#[cfg(feature = "redb")]
pub use self::redb::{FORMAT, OpenStoreError, Redb};

#[cfg(test)]
pub(crate) use failing::Failing;

use std::{
    collections::BTreeMap,
    error::Error,
    ops::{Bound, ControlFlow},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What [`Store::scan`] calls with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A durable key-value store for one process. `tests/store.rs` holds what every implementation must pass.
pub trait Store {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `each` with every key that starts with `prefix` and is not below `prefix` followed by `from`, and its
    /// value, in ascending order of keys, until it breaks.
    ///
    /// What `each` sees is the store as of one moment.
    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Makes all writes of a batch or, if it fails, none. They are durable before it returns.
    ///
    /// After an error it is unknown whether the writes were made: they must be safe to repeat, which absolute values
    /// are.
    fn write(&self, batch: &Batch) -> Result<(), StoreError>;
}

/// Why a store could not be read or written: whatever its engine says.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(#[source] Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Wraps the engine's error.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Writes to be made together. A later write to a key replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// No writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), Some(value.into()));
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), None);
    }

    /// Adds the writes of another batch.
    pub fn append(&mut self, other: Self) {
        self.writes.extend(other.writes);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The writes in ascending order of keys; `None` removes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.writes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// A [`Store`] in memory, for tests and simulations. Warning: it forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct Memory {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing can panic while a batch is half written, so a poisoned lock guards whole batches.
    fn rows(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        // Copied first, so that `each` sees one moment and may use the store.
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

/// Parts of a market share their store.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.as_ref().get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.as_ref().scan(prefix, from, each)
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.as_ref().write(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(store: &Memory, prefix: &[u8], from: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        store
            .scan(prefix, from, &mut |key, _| {
                found.push(key.to_vec());
                if found.len() == most {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    #[test]
    fn a_scan_starts_where_it_is_told_and_ends_with_the_prefix() {
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
    fn of_two_writes_to_one_key_the_later_one_counts() {
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
