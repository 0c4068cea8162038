//! The application's own records in the store of a payer or payee.

use crate::store::{
    async_store::{AppChange, AsyncStore, StoredError},
    change::Swap,
    error::StoreError,
    interface::Store,
    table::Table,
};
use std::{fmt, sync::Arc};

/// The application's own records, in [`Table::App`] of a store. Cheap to clone.
///
/// This library does not read or check their values. To change a record together with a payment, use
/// [`Payee::receive_payment_with`](crate::payee::Payee::receive_payment_with),
/// [`Payer::pay_pieces`](crate::payer::Payer::pay_pieces) or
/// [`Payer::prepare_deposit_with`](crate::payer::Payer::prepare_deposit_with).
///
/// In PostgreSQL, the records are the rows of the table `cheque_rows` with `tab = 'app'`, in the columns `key` and `value`.
/// Queries may read them. Change them by this library only.
#[derive(Clone, Debug)]
pub struct AppRecords(AsyncStore);

/// The reason why a record of the application was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppRecordsError {
    /// The record does not hold the expected value.
    #[error("the application's record has changed since it was read; read it again")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl AppRecords {
    /// Opens the application's records in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(AsyncStore::new(store))
    }

    pub(crate) const fn of(stored: AsyncStore) -> Self {
        Self(stored)
    }

    /// Reads a record; `None`: no record.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read, or while the runtime shuts down.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoredError> {
        self.0.get(Table::App, key.to_vec()).await
    }

    /// Changes a record. The change is on disk before the function returns.
    ///
    /// # Errors
    ///
    /// [`AppRecordsError::Conflict`] if the record does not hold `change.old`; the store's errors otherwise.
    pub async fn change(&self, change: &AppChange) -> Result<(), AppRecordsError> {
        match self.0.swap(vec![change.clone().into()]).await? {
            Swap::Done => Ok(()),
            Swap::Conflict { .. } => Err(AppRecordsError::Conflict),
        }
    }
}

/// Reads the application's records while a payment is recorded. Blocks.
#[derive(Clone, Copy)]
pub struct AppRecordsReader<'a>(&'a dyn Store);

impl<'a> AppRecordsReader<'a> {
    pub(crate) const fn new(store: &'a dyn Store) -> Self {
        Self(store)
    }

    /// Reads a record; `None`: no record.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(Table::App, key)
    }
}

/// Hides the records, which may be secret.
impl fmt::Debug for AppRecordsReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppRecordsReader(..)")
    }
}
