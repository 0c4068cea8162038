//! The storage under the engine. It outlives an engine that has failed, and carries the next.

use ::redb::{BackendError, StorageBackend};
use std::{
    collections::{BTreeMap, HashSet},
    io, mem,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Storage with its locks, held until the drop, so that no other process can take them between two openings.
///
/// Keeps track of writes that no sync has confirmed. After a failed sync, an operating system may treat unwritten pages
/// as written and keep showing them: the next sync succeeds, but a power failure loses them. So
/// [`Self::sync_visible`] writes them again before the engine relies on them.
#[derive(Clone, Debug)]
pub(super) struct Storage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Box<dyn StorageBackend>,
    locked: Mutex<HashSet<Range>>,
    /// Offsets and lengths of writes since the last successful sync.
    unsynced: Mutex<BTreeMap<u64, usize>>,
}

type Range = (Bound<u64>, Bound<u64>);

impl Storage {
    pub(super) fn new(backend: impl StorageBackend) -> Self {
        Self(Arc::new(Shared {
            backend: Box::new(backend),
            locked: Mutex::default(),
            unsynced: Mutex::default(),
        }))
    }

    /// Makes all bytes durable that reads see now.
    pub(super) fn sync_visible(&self) -> io::Result<()> {
        let unsynced = lock(&self.0.unsynced).clone();
        let end = self.len()?;
        for (offset, length) in unsynced {
            // The range may have been truncated since.
            let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; length.min(left)];
            self.0.backend.read(offset, &mut bytes)?;
            self.0.backend.write(offset, &bytes)?;
        }
        self.sync_data()
    }

    fn note_write(&self, offset: u64, length: usize) {
        let mut unsynced = lock(&self.0.unsynced);
        let longest = unsynced.entry(offset).or_default();
        *longest = length.max(*longest);
    }
}

/// Locks a mutex. No code panics while holding it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Shared {
    fn drop(&mut self) {
        // No caller is left to take an error. Acknowledged writes have been synced.
        let _ = self.backend.close();
    }
}

/// Supports the locks of an engine that is the only user: all taken at its opening, one after the other, without
/// waiting.
impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        self.0.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.backend.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.backend.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let unsynced = mem::take(&mut *lock(&self.0.unsynced));
        let synced = self.0.backend.sync_data();
        if synced.is_err() {
            for (offset, length) in unsynced {
                self.note_write(offset, length);
            }
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note_write(offset, data.len());
        self.0.backend.write(offset, data)
    }

    /// Does nothing: the next engine needs the storage open.
    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let mut locked = lock(&self.0.locked);
        let is_locked =
            locked.contains(&(start, end)) || self.0.backend.try_lock_range(start, end)?;
        if is_locked {
            locked.insert((start, end));
        }
        Ok(is_locked)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        let mut locked = lock(&self.0.locked);
        self.0.backend.unlock_range(start, end)?;
        locked.remove(&(start, end));
        Ok(())
    }
}
