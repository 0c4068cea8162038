//! A store that fails, for tests.

use super::{
    interface::{Batch, Store, StoreError, Visit},
    memory::Memory,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A store in memory whose writes fail while [`fail`](Self::fail) says so, and that counts reads.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    inner: Memory,
    broken: AtomicBool,
    lies: AtomicBool,
    hidden: AtomicBool,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Failing {
    pub(crate) fn fail(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    /// Makes writes report an error although they are made.
    pub(crate) fn lie(&self, lies: bool) {
        self.lies.store(lies, Ordering::Relaxed);
    }

    /// Makes reads fail.
    pub(crate) fn hide(&self, hidden: bool) {
        self.hidden.store(hidden, Ordering::Relaxed);
    }

    /// Returns the number of batches written so far.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Returns the number of records read so far.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Store for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.hidden.load(Ordering::Relaxed) {
            return Err(StoreError::new("disk gone"));
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.scan(prefix, from, &mut |key, value| {
            self.reads.fetch_add(1, Ordering::Relaxed);
            each(key, value)
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(StoreError::new("disk full"));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.inner.write(batch)?;
        match self.lies.load(Ordering::Relaxed) {
            true => Err(StoreError::new("connection lost")),
            false => Ok(()),
        }
    }
}
