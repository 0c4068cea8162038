//! A payee's metas, those of late in memory.

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
        async_store::{AsyncStore, StoredError},
        codec::RecordError,
        error::StoreError,
        keys::received_key,
    },
};
use alloy_primitives::{Address, B256};
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
    let key = received_key(key.bank, key.deposit, key.payee).to_vec();
    let bytes = store.get(Table::Received, key).await?;
    Ok(bytes.as_deref().map(Position::from_bytes).transpose()?)
}

/// What `read` makes of each meta under a bank's address, by deposit.
pub(crate) async fn stored_positions<T: Send + 'static>(
    store: &AsyncStore,
    bank: Address,
    read: impl Fn(Position) -> T + Send + 'static,
) -> Result<Vec<T>, StoredError> {
    let read = move |_: &[u8], value: &[u8]| Ok(read(Position::from_bytes(value)?));
    store.scan(Table::Received, bank.to_vec(), read).await
}

/// The metas of a payee under a bank's address whose deposit is wanted, by deposit. The others are not decoded.
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
    let positions = store.scan(Table::Received, bank.to_vec(), read).await?;
    Ok(positions.into_iter().flatten().collect())
}

/// The deposit and the payee of a meta's key.
fn deposit_and_payee(key: &[u8]) -> Result<(DepositId, Address), RecordError> {
    match (key.get(20..52), key.get(52..72)) {
        (Some(id), Some(payee)) if key.len() == 72 => {
            Ok((DepositId(B256::from_slice(id)), Address::from_slice(payee)))
        }
        _ => Err(RecordError::WrongKey),
    }
}
