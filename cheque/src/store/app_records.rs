//! Records of the application in the store of a payer or payee.

use crate::store::{
    Store, Swap, Table,
    async_store::{AppChange, AsyncStore, StoredError},
};
use std::sync::Arc;

/// Records of the application, in [`Table::App`] of a store. Cheap to clone.
///
/// They are the application's: nothing here reads them. What has to change together with payments goes through
/// [`Payer::pay_pieces`](crate::payer::Payer::pay_pieces) and
/// [`Payer::prepare_deposit_with`](crate::payer::Payer::prepare_deposit_with).
#[derive(Clone, Debug)]
pub struct AppRecords(AsyncStore);

/// Why a record of the application was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppRecordsError {
    /// It does not hold what was expected.
    #[error("a record of the application was changed meanwhile: read it again")]
    Conflict,
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl AppRecords {
    /// The records in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(AsyncStore::new(store))
    }

    pub(crate) const fn of(stored: AsyncStore) -> Self {
        Self(stored)
    }

    /// One record, if it is there.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoredError> {
        self.0.get(Table::App, key.to_vec()).await
    }

    /// Changes a record. It is on disk before this returns.
    pub async fn change(&self, change: &AppChange) -> Result<(), AppRecordsError> {
        match self.0.swap(vec![change.clone().into()]).await? {
            Swap::Done => Ok(()),
            Swap::Conflict { .. } => Err(AppRecordsError::Conflict),
        }
    }
}
