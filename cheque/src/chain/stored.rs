//! Typed, asynchronous access to a store.

use crate::{
    Account, AccountError, Amount, Bank, DepositId, Position, PositionError, PositionKey,
    store::{
        AllowanceList, Change, DepositRecord, PositionCacheError, RecordError, Store, StoreError,
        Swap, Table, TxRecord, bank_key, deposit_key, deposit_of_key, payee_of_key, received_key,
    },
};
use alloy_primitives::{Address, B256};
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

impl From<PositionCacheError> for StoredError {
    fn from(error: PositionCacheError) -> Self {
        match error {
            PositionCacheError::Store(error) => error.into(),
            PositionCacheError::Position(error) => error.into(),
        }
    }
}

/// A [`Change`] that owns its parts.
#[derive(Clone)]
pub(super) struct OwnedChange {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) old: Option<Vec<u8>>,
    pub(super) new: Option<Vec<u8>>,
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
pub(super) struct Stored(Arc<dyn Store>);

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored(..)")
    }
}

impl Stored {
    pub(super) const fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// The store itself, for what does not block.
    pub(super) fn store(&self) -> &dyn Store {
        &*self.0
    }

    /// Goes on even if nobody waits for it any more.
    pub(super) async fn swap(&self, changes: Vec<OwnedChange>) -> Result<Swap, StoredError> {
        let begun = self.0.begin(&borrowed(&changes));
        if let Some(pending) = begun {
            return Ok(pending.await?);
        }
        self.blocking(move |store| Ok(store.swap(&borrowed(&changes))?))
            .await
    }

    pub(super) async fn set(
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

    pub(super) async fn sent(&self, key: &[u8]) -> Result<Option<TxRecord>, StoredError> {
        let bytes = self.get(Table::Outbox, key.to_vec()).await?;
        Ok(bytes.as_deref().map(TxRecord::from_bytes).transpose()?)
    }

    pub(super) async fn deposit(
        &self,
        bank: &Bank,
        id: DepositId,
    ) -> Result<Option<DepositRecord>, StoredError> {
        let key = deposit_key(bank, id).to_vec();
        let bytes = self.get(Table::Deposits, key).await?;
        let record = bytes.as_deref().map(DepositRecord::from_bytes);
        Ok(record.transpose()?)
    }

    /// All deposits of a bank, by id.
    pub(super) async fn deposits(
        &self,
        bank: &Bank,
    ) -> Result<Vec<(DepositId, DepositRecord)>, StoredError> {
        self.scan(Table::Deposits, bank_key(bank).to_vec(), |key, value| {
            Ok((deposit_of_key(key)?, DepositRecord::from_bytes(value)?))
        })
        .await
    }

    pub(super) async fn list(
        &self,
        bank: &Bank,
        id: DepositId,
    ) -> Result<Option<AllowanceList>, StoredError> {
        let key = deposit_key(bank, id).to_vec();
        let bytes = self.get(Table::Trees, key).await?;
        let list = bytes.as_deref().map(AllowanceList::from_bytes);
        Ok(list.transpose()?)
    }

    /// What was spent of a deposit: payees with an account, and their totals.
    pub(super) async fn totals(
        &self,
        id: DepositId,
    ) -> Result<Vec<(Address, Amount)>, StoredError> {
        self.scan(Table::Accounts, id.0.to_vec(), |key, value| {
            Ok((payee_of_key(key)?, Account::from_bytes(value)?.total()))
        })
        .await
    }

    /// The accounts of a deposit as they are stored, with their keys.
    pub(super) async fn accounts(
        &self,
        id: DepositId,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoredError> {
        let read = |key: &[u8], value: &[u8]| Ok((key.to_vec(), value.to_vec()));
        self.scan(Table::Accounts, id.0.to_vec(), read).await
    }

    pub(super) async fn position(&self, key: PositionKey) -> Result<Option<Position>, StoredError> {
        let key = received_key(key.bank, key.deposit, key.payee).to_vec();
        let bytes = self.get(Table::Received, key).await?;
        Ok(bytes.as_deref().map(Position::from_bytes).transpose()?)
    }

    /// What `read` makes of each meta under a bank's address, by deposit.
    pub(super) async fn positions<T: Send + 'static>(
        &self,
        bank: Address,
        read: impl Fn(Position) -> T + Send + 'static,
    ) -> Result<Vec<T>, StoredError> {
        let read = move |_: &[u8], value: &[u8]| Ok(read(Position::from_bytes(value)?));
        self.scan(Table::Received, bank.to_vec(), read).await
    }

    /// The metas of a payee under a bank's address whose deposit is wanted, by deposit. The others are not decoded.
    pub(super) async fn positions_of(
        &self,
        bank: Address,
        payee: Address,
        wanted: impl Fn(DepositId) -> bool + Send + 'static,
    ) -> Result<Vec<Position>, StoredError> {
        let read = move |key: &[u8], value: &[u8]| {
            let (id, of) = deposit_and_payee(key)?;
            let wanted = of == payee && wanted(id);
            Ok(wanted.then(|| Position::from_bytes(value)).transpose()?)
        };
        let positions = self.scan(Table::Received, bank.to_vec(), read).await?;
        Ok(positions.into_iter().flatten().collect())
    }

    /// What was sent for the purposes whose keys begin with `prefix`, by key.
    pub(super) async fn all_sent(
        &self,
        prefix: Vec<u8>,
    ) -> Result<Vec<(Vec<u8>, TxRecord)>, StoredError> {
        self.scan(Table::Outbox, prefix, |key, value| {
            Ok((key.to_vec(), TxRecord::from_bytes(value)?))
        })
        .await
    }

    pub(super) async fn get(
        &self,
        table: Table,
        key: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, StoredError> {
        self.blocking(move |store| Ok(store.get(table, &key)?))
            .await
    }

    async fn scan<T: Send + 'static>(
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
    pub(super) async fn blocking<T: Send + 'static>(
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

/// The deposit and the payee of a meta's key.
fn deposit_and_payee(key: &[u8]) -> Result<(DepositId, Address), RecordError> {
    match (key.get(20..52), key.get(52..72)) {
        (Some(id), Some(payee)) if key.len() == 72 => {
            Ok((DepositId(B256::from_slice(id)), Address::from_slice(payee)))
        }
        _ => Err(RecordError::WrongKey),
    }
}
