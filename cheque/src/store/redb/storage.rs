//! What the engine stores on. It outlives the engine, which is opened on it again after a failure.

use ::redb::{BackendError, StorageBackend};
use std::{
    collections::{BTreeMap, HashSet},
    io, mem,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Storage with its locks, which are held until it is dropped: between two openings nobody else can take them.
///
/// It knows what no sync has confirmed. A system whose sync failed may count what it could not write as written, and
/// go on showing it: the next sync succeeds, and with the power it is gone. So it is [written
/// again](Self::confirm) before anybody relies on it.
#[derive(Clone, Debug)]
pub(super) struct Storage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Box<dyn StorageBackend>,
    locked: Mutex<HashSet<Range>>,
    /// Where something was written since the last sync that succeeded: offsets and lengths.
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

    /// Makes durable whatever reads see now.
    pub(super) fn confirm(&self) -> io::Result<()> {
        let unsynced = lock(&self.0.unsynced).clone();
        let end = self.len()?;
        for (offset, length) in unsynced {
            // It may have been cut off since.
            let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; length.min(left)];
            self.0.backend.read(offset, &mut bytes)?;
            self.0.backend.write(offset, &bytes)?;
        }
        self.sync_data()
    }

    fn note(&self, offset: u64, length: usize) {
        let mut unsynced = lock(&self.0.unsynced);
        let longest = unsynced.entry(offset).or_default();
        *longest = length.max(*longest);
    }
}

/// Nothing panics under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody is left to be told of an error. What is acknowledged has been synced.
        let _ = self.backend.close();
    }
}

/// With the locks that an engine takes which is alone: all at its opening, one after the other, without waiting.
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
                self.note(offset, length);
            }
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(offset, data.len());
        self.0.backend.write(offset, data)
    }

    /// An engine that is closed may be opened again.
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
