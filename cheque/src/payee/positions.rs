//! A payee's positions in the store, with the recently used ones in memory.

use crate::{
    protocol::{
        receive::{
            judge::PositionKey,
            position::{Position, PositionError},
        },
        terms::DepositId,
    },
    store::{
        Change, Store, Swap, Table,
        async_store::{AppChange, AsyncStore, StoredError},
        codec::RecordError,
        error::StoreError,
        keys::position_key,
    },
};
use alloy_primitives::{Address, B256};
use lru::LruCache;
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The default number of cached positions, about 10 MB.
const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).expect("the capacity is not zero");

/// The reason why a position could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PositionCacheError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored bytes are not a position.
    #[error(transparent)]
    Position(#[from] PositionError),
}

/// A cache of recently used positions. With it, a payment from a deposit in use is a write without a read.
///
/// A cached position may be outdated, if another process writes to the same store. [`PositionCache::replace`] is safe
/// nevertheless, because it writes only if the store still holds the cached bytes. Never reject a payment because of a
/// cached position: judge it again by the result of [`PositionCache::read`].
pub struct PositionCache {
    recent: Mutex<LruCache<PositionKey, StoredPosition>>,
}

/// A position with its bytes in the store.
#[derive(Clone)]
pub struct StoredPosition {
    bytes: Arc<[u8]>,
    position: Position,
}

/// The result of replacing a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nothing is written after a conflict"]
pub enum Replaced {
    /// The new position is on disk.
    Done,
    /// Nothing is written, because the store holds another position or none, with which the cache now agrees, or another
    /// value of an application's record.
    Conflict,
}

/// Omits the positions, because they contain salts.
impl fmt::Debug for PositionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cached = self.lock().len();
        f.debug_struct("PositionCache")
            .field("cached", &cached)
            .finish()
    }
}

/// Omits the bytes, because they contain a salt.
impl fmt::Debug for StoredPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredPosition")
            .field(&self.position.deposit_id())
            .finish()
    }
}

impl Default for PositionCache {
    fn default() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }
}

impl StoredPosition {
    /// The position.
    #[must_use]
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
    /// An empty cache for at most `max` positions, of about 2 kB each.
    #[must_use]
    pub fn with_capacity(max: NonZeroUsize) -> Self {
        Self {
            recent: Mutex::new(LruCache::new(max)),
        }
    }

    /// The cached position. May be outdated. Does not block.
    #[must_use]
    pub fn recent(&self, key: &PositionKey) -> Option<StoredPosition> {
        self.lock().get(key).cloned()
    }

    /// Reads the position from the store, and caches it.
    ///
    /// # Errors
    ///
    /// [`PositionCacheError::Store`] if the store cannot be read, [`PositionCacheError::Position`] if the bytes in the
    /// store are no position.
    pub fn read(
        &self,
        store: &dyn Store,
        key: &PositionKey,
    ) -> Result<Option<StoredPosition>, PositionCacheError> {
        let bytes = store.get(Table::Positions, &store_key(key))?;
        self.cache(key, bytes)
    }

    /// Replaces `old` (`None`: no position) by `new`, durably, if the store still holds `old`.
    ///
    /// # Errors
    ///
    /// [`PositionCacheError::Store`] if the store failed. The new position may or may not be written then, and the
    /// cache drops the old one. [`PositionCacheError::Position`] if the bytes in the store are no position.
    pub fn replace(
        &self,
        store: &dyn Store,
        key: &PositionKey,
        old: Option<&StoredPosition>,
        new: Position,
    ) -> Result<Replaced, PositionCacheError> {
        self.replace_with(store, key, old, new, &[])
    }

    /// Replaces a position like [`PositionCache::replace`], and changes `records` of the application: all or nothing. A
    /// conflict at one of the records is [`Replaced::Conflict`], too.
    ///
    /// # Errors
    ///
    /// Those of [`PositionCache::replace`].
    pub fn replace_with(
        &self,
        store: &dyn Store,
        key: &PositionKey,
        old: Option<&StoredPosition>,
        new: Position,
        records: &[AppChange],
    ) -> Result<Replaced, PositionCacheError> {
        let new = StoredPosition::of(new);
        let position_key = store_key(key);
        let position = change(&position_key, old, &new);
        let records = records.iter().map(AppChange::as_change);
        let changes: Vec<_> = std::iter::once(position).chain(records).collect();
        let swap = store.swap(&changes);
        self.apply(key, new, swap)
    }

    /// Begins to replace a position like [`PositionCache::replace`], without blocking the task. `None` if the store can
    /// only block; nothing has begun then.
    ///
    /// The write goes on if the caller drops the future, and the cache then keeps the old position.
    ///
    /// # Errors
    ///
    /// The future has the errors of [`PositionCache::replace`].
    pub fn begin_replace(
        &self,
        store: &dyn Store,
        key: PositionKey,
        old: Option<&StoredPosition>,
        new: Position,
    ) -> Option<impl Future<Output = Result<Replaced, PositionCacheError>> + Send> {
        let new = StoredPosition::of(new);
        let swap = store.begin(&[change(&store_key(&key), old, &new)])?;
        Some(async move { self.apply(&key, new, swap.await) })
    }

    /// Updates the cache after a swap in the store.
    fn apply(
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
            Ok(Swap::Conflict { index: 0, found }) => {
                self.cache(key, found)?;
                Ok(Replaced::Conflict)
            }
            // At a record of the application: the position is as it was.
            Ok(Swap::Conflict { .. }) => Ok(Replaced::Conflict),
            Err(error) => {
                self.lock().pop(key);
                Err(error.into())
            }
        }
    }

    /// Caches the bytes found in the store.
    fn cache(
        &self,
        key: &PositionKey,
        bytes: Option<Vec<u8>>,
    ) -> Result<Option<StoredPosition>, PositionCacheError> {
        let stored = bytes.map(StoredPosition::new).transpose();
        let mut recent = self.lock();
        match &stored {
            Ok(Some(stored)) => recent.put(*key, stored.clone()),
            _ => recent.pop(key),
        };
        Ok(stored?)
    }

    /// No code panics under the lock, so a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, LruCache<PositionKey, StoredPosition>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store's change for a replacement.
fn change<'a>(
    key: &'a [u8],
    old: Option<&'a StoredPosition>,
    new: &'a StoredPosition,
) -> Change<'a> {
    Change {
        table: Table::Positions,
        key,
        old: old.map(|old| &*old.bytes),
        new: Some(&new.bytes),
    }
}

fn store_key(key: &PositionKey) -> [u8; 72] {
    position_key(key.bank, key.deposit, key.payee)
}

impl From<PositionCacheError> for StoredError {
    fn from(error: PositionCacheError) -> Self {
        match error {
            PositionCacheError::Store(error) => error.into(),
            PositionCacheError::Position(error) => error.into(),
        }
    }
}

/// Reads one position.
pub(crate) async fn stored_position(
    store: &AsyncStore,
    key: PositionKey,
) -> Result<Option<Position>, StoredError> {
    let key = position_key(key.bank, key.deposit, key.payee).to_vec();
    let bytes = store.get(Table::Positions, key).await?;
    Ok(bytes.as_deref().map(Position::from_bytes).transpose()?)
}

/// Applies `read` to all positions under a bank's address, of any payee, in the order of deposits.
pub(crate) async fn stored_positions<T: Send + 'static>(
    store: &AsyncStore,
    bank: Address,
    read: impl Fn(Position) -> T + Send + 'static,
) -> Result<Vec<T>, StoredError> {
    let read = move |_: &[u8], value: &[u8]| Ok(read(Position::from_bytes(value)?));
    store.scan(Table::Positions, bank.to_vec(), read).await
}

/// Reads a payee's wanted positions under a bank's address, in the order of deposits. Decodes no others.
pub(crate) async fn stored_positions_of(
    store: &AsyncStore,
    bank: Address,
    payee: Address,
    wanted: impl Fn(DepositId) -> bool + Send + 'static,
) -> Result<Vec<Position>, StoredError> {
    let read = move |key: &[u8], value: &[u8]| {
        let (id, of) = deposit_and_payee(key)?;
        let wanted = of == payee && wanted(id);
        Ok(wanted.then(|| Position::from_bytes(value)).transpose()?)
    };
    let positions = store.scan(Table::Positions, bank.to_vec(), read).await?;
    Ok(positions.into_iter().flatten().collect())
}

/// Reads a payee's positions in some deposits, in the given order.
pub(crate) async fn stored_positions_at(
    store: &AsyncStore,
    bank: Address,
    payee: Address,
    deposits: Vec<DepositId>,
) -> Result<Vec<Option<Position>>, StoredError> {
    if deposits.is_empty() {
        return Ok(Vec::new());
    }
    let read = move |store: &dyn Store| {
        let read = |id| {
            let bytes = store.get(Table::Positions, &position_key(bank, id, payee))?;
            Ok(bytes.as_deref().map(Position::from_bytes).transpose()?)
        };
        deposits.into_iter().map(read).collect()
    };
    store.blocking(read).await
}

/// The deposit and the payee in a position's key.
fn deposit_and_payee(key: &[u8]) -> Result<(DepositId, Address), RecordError> {
    match (key.get(20..52), key.get(52..72)) {
        (Some(id), Some(payee)) if key.len() == 72 => {
            Ok((DepositId(B256::from_slice(id)), Address::from_slice(payee)))
        }
        _ => Err(RecordError::WrongKey),
    }
}
