//! A payee's metas, those of late in memory.

use super::{Change, Store, StoreError, Swap, Table, received_key};
use crate::{Meta, MetaError, MetaKey};
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
pub enum MetasError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

/// A payee's metas in a store. It remembers those of late, so that a payment from a deposit in use is one write, and no
/// read.
///
/// What is remembered may be outdated, where others write to the same store. That does no harm as long as nothing is
/// concluded from it but by [`Metas::replace`], which writes only if the store still holds the same: a payment that a
/// remembered meta speaks against has to be judged again by what [`Metas::read`] returns.
pub struct Metas {
    recent: Mutex<LruCache<MetaKey, Held>>,
}

/// A meta as the store held it.
#[derive(Clone)]
pub struct Held {
    bytes: Arc<[u8]>,
    meta: Meta,
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
impl fmt::Debug for Metas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.lock().len();
        f.debug_struct("Metas")
            .field("remembered", &remembered)
            .finish()
    }
}

/// Without the bytes: they hold a salt.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held")
            .field(&self.meta.deposit_id())
            .finish()
    }
}

impl Default for Metas {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl Held {
    /// The meta.
    pub const fn meta(&self) -> &Meta {
        &self.meta
    }

    fn of(meta: Meta) -> Self {
        let bytes = meta.to_bytes().into();
        Self { bytes, meta }
    }

    fn new(bytes: Vec<u8>) -> Result<Self, MetaError> {
        let meta = Meta::from_bytes(&bytes)?;
        let bytes = bytes.into();
        Ok(Self { bytes, meta })
    }
}

impl Metas {
    /// Remembers up to `most` metas, of about 2 kB each.
    pub fn remembering(most: NonZeroUsize) -> Self {
        Self {
            recent: Mutex::new(LruCache::new(most)),
        }
    }

    /// The meta as it was when last read or written here, if that is remembered. Does not block.
    pub fn recent(&self, key: &MetaKey) -> Option<Held> {
        self.lock().get(key).cloned()
    }

    /// The meta as the store holds it.
    pub fn read(&self, store: &dyn Store, key: &MetaKey) -> Result<Option<Held>, MetasError> {
        let bytes = store.get(Table::Received, &store_key(key))?;
        self.found(key, bytes)
    }

    /// Replaces `old` (`None`: there is none) by `new`, durably, if the store still holds `old`.
    ///
    /// After an error it is unknown what the store holds, and nothing is remembered.
    pub fn replace(
        &self,
        store: &dyn Store,
        key: &MetaKey,
        old: Option<&Held>,
        new: Meta,
    ) -> Result<Replaced, MetasError> {
        let new = Held::of(new);
        let swap = store.swap(&[change(&store_key(key), old, &new)]);
        self.swapped(key, new, swap)
    }

    /// Begins what [`Metas::replace`] does, without blocking: for tasks. `None`, and nothing has begun: this store can
    /// only block.
    ///
    /// What has begun goes on if the future is dropped, and what was remembered stays.
    pub fn begin_replace(
        &self,
        store: &dyn Store,
        key: MetaKey,
        old: Option<&Held>,
        new: Meta,
    ) -> Option<impl Future<Output = Result<Replaced, MetasError>> + Send> {
        let new = Held::of(new);
        let swap = store.begin(&[change(&store_key(&key), old, &new)])?;
        Some(async move { self.swapped(&key, new, swap.await) })
    }

    fn swapped(
        &self,
        key: &MetaKey,
        new: Held,
        swap: Result<Swap, StoreError>,
    ) -> Result<Replaced, MetasError> {
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
    fn found(&self, key: &MetaKey, bytes: Option<Vec<u8>>) -> Result<Option<Held>, MetasError> {
        let held = bytes.map(Held::new).transpose();
        let mut recent = self.lock();
        match &held {
            Ok(Some(held)) => recent.put(*key, held.clone()),
            _ => recent.pop(key),
        };
        Ok(held?)
    }

    /// Nothing panics under the lock.
    fn lock(&self) -> MutexGuard<'_, LruCache<MetaKey, Held>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The change that replaces a meta.
fn change<'a>(key: &'a [u8], old: Option<&'a Held>, new: &'a Held) -> Change<'a> {
    Change {
        table: Table::Received,
        key,
        old: old.map(|old| &*old.bytes),
        new: Some(&new.bytes),
    }
}

fn store_key(key: &MetaKey) -> [u8; 72] {
    received_key(key.bank, key.deposit, key.payee)
}
