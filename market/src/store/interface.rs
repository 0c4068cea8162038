//! The trait [`Store`], its batches and its error.

use std::{collections::BTreeMap, error::Error, ops::ControlFlow, sync::Arc};

/// The callback of [`Store::scan`], called with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A durable key-value store for one process. Every implementation must pass `tests/store.rs`.
pub trait Store {
    /// Returns the value of a key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `each` with every key that starts with `prefix` and is not below `prefix` followed by `from`, and with
    /// its value, in ascending order of keys, until `each` breaks.
    ///
    /// Takes one snapshot for the whole scan.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Makes all writes of a batch, durably, before it returns. Makes none if it fails.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. The batch may have been written nevertheless, so writes must be safe
    /// to repeat; absolute values are.
    fn write(&self, batch: &Batch) -> Result<(), StoreError>;
}

/// An error of the store's engine.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(#[source] Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Wraps an error of the engine.
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
    /// Returns an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), Some(value.into()));
    }

    /// Removes a key if present.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.writes.insert(key.into(), None);
    }

    /// Adds the writes of another batch.
    pub fn append(&mut self, other: Self) {
        self.writes.extend(other.writes);
    }

    /// Returns the write to a key, if any: the new value, or `None` to remove the key.
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes.get(key).map(Option::as_deref)
    }

    /// True if the batch has no writes.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Iterates over the writes in ascending order of keys; `None` removes the key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.writes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// Lets the parts of a market share their store.
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
