//! A store as tasks use it: calls that may block run on threads of their own.

use crate::{
    protocol::{account::AccountError, receive::position::PositionError},
    store::{Change, Store, Swap, Table, codec::RecordError, error::StoreError},
};
use std::{fmt, ops::ControlFlow, sync::Arc};

/// Why something stored could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// An account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A payee's meta.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// The runtime is being shut down.
    #[error("the program is being shut down")]
    ShuttingDown,
}

/// A [`Change`] that owns its parts.
#[derive(Clone)]
pub(crate) struct OwnedChange {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) new: Option<Vec<u8>>,
}

/// A change of a record of the application's, in [`Table::App`]: it is made together with something else, or not at all.
#[derive(Clone, PartialEq, Eq)]
pub struct AppChange {
    /// The record's key.
    pub key: Vec<u8>,
    /// What must be there now; `None`: nothing.
    pub old: Option<Vec<u8>>,
    /// What shall be there; `None`: nothing.
    pub new: Option<Vec<u8>>,
}

/// Without key and values, which may be secret: with their lengths.
impl fmt::Debug for AppChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = Change {
            table: Table::App,
            key: &self.key,
            old: self.old.as_deref(),
            new: self.new.as_deref(),
        };
        change.fmt(f)
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

/// A store, used from tasks that must not block.
#[derive(Clone)]
pub(crate) struct AsyncStore(Arc<dyn Store>);

impl fmt::Debug for AsyncStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsyncStore(..)")
    }
}

impl AsyncStore {
    pub(crate) const fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// The store itself, for what does not block.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0
    }

    /// Goes on even if nobody waits for it any more.
    pub(crate) async fn swap(&self, changes: Vec<OwnedChange>) -> Result<Swap, StoredError> {
        let begun = self.0.begin(&borrowed(&changes));
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

    /// Runs `work` where it may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoredError> + Send + 'static,
    ) -> Result<T, StoredError> {
        let store = self.0.clone();
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
