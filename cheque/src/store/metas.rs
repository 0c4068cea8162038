//! A payee's metas, those of late in memory.

use super::{Change, Store, StoreError, Swap, Table, received_key};
use crate::{Position, PositionError, PositionKey};
use lru::LruCache;
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many metas are remembered where nobody says: some 10 MB of them.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// Why a meta could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PositionCacheError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds.
    #[error(transparent)]
    Position(#[from] PositionError),
}

/// A payee's metas in a store. It remembers those of late, so that a payment from a deposit in use is one write, and no
/// read.
///
/// What is remembered may be outdated, where others write to the same store. That does no harm as long as nothing is
/// concluded from it but by [`PositionCache::replace`], which writes only if the store still holds the same: a payment that a
/// remembered meta speaks against has to be judged again by what [`PositionCache::read`] returns.
pub struct PositionCache {
    recent: Mutex<LruCache<PositionKey, StoredPosition>>,
}

/// A meta as the store held it.
#[derive(Clone)]
pub struct StoredPosition {
    bytes: Arc<[u8]>,
    position: Position,
}

/// What became of the replacement of a meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after a conflict nothing is written"]
pub enum Replaced {
    /// The new meta is on disk.
    Done,
    /// Nothing is written, because the store holds another meta, or none. It is remembered now.
    Conflict,
}

/// Without the metas: they hold salts.
impl fmt::Debug for PositionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.lock().len();
        f.debug_struct("Metas")
            .field("remembered", &remembered)
            .finish()
    }
}

/// Without the bytes: they hold a salt.
impl fmt::Debug for StoredPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held")
            .field(&self.position.deposit_id())
            .finish()
    }
}

impl Default for PositionCache {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl StoredPosition {
    /// The meta.
    pub const fn position(&self) -> &Position {
        &self.position
    }

    fn of(position: Position) -> Self {
        let bytes = position.to_bytes().into();
        Self { bytes, position }
    }

    fn new(bytes: Vec<u8>) -> Result<Self, PositionError> {
        let position = Position::from_bytes(&bytes)?;
        let bytes = bytes.into();
        Ok(Self { bytes, position })
    }
}

impl PositionCache {
    /// Remembers up to `most` metas, of about 2 kB each.
    pub fn remembering(most: NonZeroUsize) -> Self {
        Self {
            recent: Mutex::new(LruCache::new(most)),
        }
    }

    /// The meta as it was when last read or written here, if that is remembered. Does not block.
    pub fn recent(&self, key: &PositionKey) -> Option<StoredPosition> {
        self.lock().get(key).cloned()
    }

    /// The meta as the store holds it.
    pub fn read(
        &self,
        store: &dyn Store,
        key: &PositionKey,
    ) -> Result<Option<StoredPosition>, PositionCacheError> {
        let bytes = store.get(Table::Received, &store_key(key))?;
        self.found(key, bytes)
    }

    /// Replaces `old` (`None`: there is none) by `new`, durably, if the store still holds `old`.
    ///
    /// After an error it is unknown what the store holds, and nothing is remembered.
    pub fn replace(
        &self,
        store: &dyn Store,
        key: &PositionKey,
        old: Option<&StoredPosition>,
        new: Position,
    ) -> Result<Replaced, PositionCacheError> {
        let new = StoredPosition::of(new);
        let swap = store.swap(&[change(&store_key(key), old, &new)]);
        self.swapped(key, new, swap)
    }

    /// Begins what [`PositionCache::replace`] does, without blocking: for tasks. `None`, and nothing has begun: this store can
    /// only block.
    ///
    /// What has begun goes on if the future is dropped, and what was remembered stays.
    pub fn begin_replace(
        &self,
        store: &dyn Store,
        key: PositionKey,
        old: Option<&StoredPosition>,
        new: Position,
    ) -> Option<impl Future<Output = Result<Replaced, PositionCacheError>> + Send> {
        let new = StoredPosition::of(new);
        let swap = store.begin(&[change(&store_key(&key), old, &new)])?;
        Some(async move { self.swapped(&key, new, swap.await) })
    }

    fn swapped(
        &self,
        key: &PositionKey,
        new: StoredPosition,
        swap: Result<Swap, StoreError>,
    ) -> Result<Replaced, PositionCacheError> {
        match swap {
            Ok(Swap::Done) => {
                self.lock().put(*key, new);
                Ok(Replaced::Done)
            }
            Ok(Swap::Conflict { found, .. }) => {
                self.found(key, found)?;
                Ok(Replaced::Conflict)
            }
            Err(error) => {
                self.lock().pop(key);
                Err(error.into())
            }
        }
    }

    /// Remembers what the store was found to hold.
    fn found(
        &self,
        key: &PositionKey,
        bytes: Option<Vec<u8>>,
    ) -> Result<Option<StoredPosition>, PositionCacheError> {
        let held = bytes.map(StoredPosition::new).transpose();
        let mut recent = self.lock();
        match &held {
            Ok(Some(held)) => recent.put(*key, held.clone()),
            _ => recent.pop(key),
        };
        Ok(held?)
    }

    /// Nothing panics under the lock.
    fn lock(&self) -> MutexGuard<'_, LruCache<PositionKey, StoredPosition>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The change that replaces a meta.
fn change<'a>(
    key: &'a [u8],
    old: Option<&'a StoredPosition>,
    new: &'a StoredPosition,
) -> Change<'a> {
    Change {
        table: Table::Received,
        key,
        old: old.map(|old| &*old.bytes),
        new: Some(&new.bytes),
    }
}

fn store_key(key: &PositionKey) -> [u8; 72] {
    received_key(key.bank, key.deposit, key.payee)
}
