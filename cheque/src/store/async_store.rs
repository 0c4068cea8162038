//! A store for tasks: calls that may block run on threads of their own.

#[cfg(feature = "service")]
use crate::store::{watched::Watched, write_watch::WriteWatch};
use crate::{
    protocol::{account::encoding::AccountError, receive::position::PositionError},
    store::{
        change::{Change, Swap},
        codec::RecordError,
        error::StoreError,
        interface::Store,
        table::Table,
    },
};
use std::{fmt, ops::ControlFlow, sync::Arc};

/// The reason why a stored value could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is unreadable.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A payer's account is unreadable.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A payee's position is unreadable.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// The runtime shuts down.
    #[error("the program is shutting down")]
    ShuttingDown,
}

/// A [`Change`] that owns its key and values.
#[derive(Clone)]
pub(crate) struct OwnedChange {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) new: Option<Vec<u8>>,
}

/// A conditional change of an application's record in [`Table::App`], made together with a payment or deposit, or not
/// at all. Plain data, exhaustive by design.
#[derive(Clone, PartialEq, Eq)]
pub struct AppChange {
    /// The record's key.
    pub key: Vec<u8>,
    /// The value expected now; `None`: no record.
    pub old: Option<Vec<u8>>,
    /// The value to write; `None`: remove the record.
    pub new: Option<Vec<u8>>,
}

/// Shows lengths instead of the key and the values, which may be secret.
impl fmt::Debug for AppChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_change().fmt(f)
    }
}

impl AppChange {
    pub(crate) fn as_change(&self) -> Change<'_> {
        Change {
            table: Table::App,
            key: &self.key,
            old: self.old.as_deref(),
            new: self.new.as_deref(),
        }
    }
}

impl From<AppChange> for OwnedChange {
    fn from(change: AppChange) -> Self {
        Self {
            table: Table::App,
            key: change.key,
            old: change.old,
            new: change.new,
        }
    }
}

/// A store for tasks that must not block.
#[derive(Clone)]
pub(crate) struct AsyncStore {
    store: Arc<dyn Store>,
    #[cfg(feature = "service")]
    watch: Arc<WriteWatch>,
}

impl fmt::Debug for AsyncStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsyncStore(..)")
    }
}

impl AsyncStore {
    #[cfg(not(feature = "service"))]
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    #[cfg(feature = "service")]
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let watch = Arc::new(WriteWatch::default());
        let watched = Watched {
            store,
            watch: watch.clone(),
        };
        let store = Arc::new(watched);
        Self { store, watch }
    }

    /// Returns the watch over the writes of this store and its clones.
    #[cfg(feature = "service")]
    pub(crate) fn watch(&self) -> &WriteWatch {
        &self.watch
    }

    /// Returns the store, for calls that do not block.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Makes all changes or none, as [`Store::swap`] does. Continues if the caller drops the future.
    pub(crate) async fn swap(&self, changes: Vec<OwnedChange>) -> Result<Swap, StoredError> {
        let begun = self.store.begin(&borrowed(&changes));
        if let Some(pending) = begun {
            return Ok(pending.await?);
        }
        self.blocking(move |store| Ok(store.swap(&borrowed(&changes))?))
            .await
    }

    pub(crate) async fn set(
        &self,
        table: Table,
        key: Vec<u8>,
        old: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
    ) -> Result<Swap, StoredError> {
        self.swap(vec![OwnedChange {
            table,
            key,
            old,
            new,
        }])
        .await
    }

    pub(crate) async fn get(
        &self,
        table: Table,
        key: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, StoredError> {
        self.blocking(move |store| Ok(store.get(table, &key)?))
            .await
    }

    pub(crate) async fn scan<T: Send + 'static>(
        &self,
        table: Table,
        prefix: Vec<u8>,
        read: impl Fn(&[u8], &[u8]) -> Result<T, StoredError> + Send + 'static,
    ) -> Result<Vec<T>, StoredError> {
        self.blocking(move |store| {
            let mut rows = Ok(Vec::new());
            store.scan(
                table,
                &prefix,
                &mut |key, value| match (&mut rows, read(key, value)) {
                    (Ok(rows), Ok(row)) => {
                        rows.push(row);
                        ControlFlow::Continue(())
                    }
                    (_, Err(error)) => {
                        rows = Err(error);
                        ControlFlow::Break(())
                    }
                    (Err(_), Ok(_)) => ControlFlow::Break(()),
                },
            )?;
            rows
        })
        .await
    }

    /// Runs `work` on a thread that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoredError> + Send + 'static,
    ) -> Result<T, StoredError> {
        let store = self.store.clone();
        let task = tokio::task::spawn_blocking(move || work(&*store));
        match task.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoredError::ShuttingDown),
            },
        }
    }
}

fn borrowed(changes: &[OwnedChange]) -> Vec<Change<'_>> {
    let borrowed = changes.iter().map(|change| Change {
        table: change.table,
        key: &change.key,
        old: change.old.as_deref(),
        new: change.new.as_deref(),
    });
    borrowed.collect()
}
