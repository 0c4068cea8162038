//! The interface of all stores.

use crate::store::{
    change::{Change, Swap},
    error::StoreError,
    pending::Pending,
    table::Table,
};
use std::ops::ControlFlow;

/// The function that [`Store::scan`] calls with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// The function that [`Store::scan_all`] calls with each table, key and value.
pub type VisitAll<'a> = dyn FnMut(Table, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A durable key-value store.
///
/// All functions block, except [`Store::begin`]. A write is durable before its result is returned, and readers see
/// durable values only. Keys have up to [`MAX_KEY`](crate::store::MAX_KEY) bytes. Every store takes values of 64 MiB;
/// larger ones depend on the engine.
///
/// Any number of threads and tasks may call at once. A store commits concurrent writes in a batch, so that they share
/// the cost of a disk sync. An implementation must pass the conformance suite in `tests/store`.
///
/// Values are opaque: a store does not check what they mean, and does not encrypt them.
///
/// ```
/// use cheque::store::{Change, Memory, Store, Swap, Table};
/// use std::ops::ControlFlow;
///
/// fn credit(store: &dyn Store, account: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
///     // Creates the record; a second writer would get a conflict with the value found.
///     assert_eq!(store.compare_and_set(Table::App, account, None, b"100")?, Swap::Done);
///     let found = Some(b"100".to_vec());
///     let conflict = Swap::Conflict { index: 0, found };
///     assert_eq!(store.compare_and_set(Table::App, account, None, b"200")?, conflict);
///
///     // Writes two records, or none.
///     let balance = Change { table: Table::App, key: account, old: Some(b"100"), new: Some(b"150") };
///     let receipt = Change { table: Table::App, key: b"receipt/1", old: None, new: Some(b"50") };
///     assert_eq!(store.swap(&[balance, receipt])?, Swap::Done);
///
///     let mut receipts = 0;
///     store.scan(Table::App, b"receipt/", &mut |_key, _value| {
///         receipts += 1;
///         ControlFlow::Continue(())
///     })?;
///     assert_eq!(receipts, 1);
///     Ok(())
/// }
///
/// credit(&Memory::new(), b"alice")?; // `Redb` and `Postgres` behave the same
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Store: Send + Sync + 'static {
    /// Reads the value of a key; `None`: no record.
    ///
    /// # Errors
    ///
    /// Fails if the storage cannot be read.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes all changes, or none if any key does not hold its expected value.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unknown`] the changes may have been made, or may still be made within moments: read before a
    /// retry, and expect a conflict. After any other error nothing was written. A repeated key is
    /// [`StoreError::RepeatedKey`], a key above the bound [`StoreError::KeyTooLong`].
    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError>;

    /// Starts a [`Store::swap`] without blocking, for use in tasks. The write continues even if the caller drops the
    /// future.
    ///
    /// Returns `None`, with nothing started, if the store can only block.
    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        let _ = changes;
        None
    }

    /// Calls `each` with every record whose key starts with `prefix`, in ascending order of keys, until `each` breaks.
    /// All records come from the same moment. `each` may use the store.
    ///
    /// # Errors
    ///
    /// Fails if the storage cannot be read; `each` may have been called before.
    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Calls `each` with every record of every table, in the order of [`Table::ALL`] and ascending keys, until `each`
    /// breaks. All records come from the same moment. `each` may use the store.
    ///
    /// # Errors
    ///
    /// Fails if the storage cannot be read; `each` may have been called before.
    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError>;

    /// Sets a key to `new` if its value is `old` (`None`: no record).
    ///
    /// # Errors
    ///
    /// The same as [`Store::swap`].
    fn compare_and_set(
        &self,
        table: Table,
        key: &[u8],
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Swap, StoreError> {
        self.swap(&[Change {
            table,
            key,
            old,
            new: Some(new),
        }])
    }
}
