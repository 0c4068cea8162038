//! Durable state: a small key-value store whose only write is compare-and-set.
//!
//! Everything that must survive a crash goes through [`Store::swap`] before it becomes visible outside: a new total
//! before a cheque is handed out, a deposit's terms before `open` is sent, a payee's meta before the payment counts.
//! [`Memory`] forgets at exit and is meant for tests and simulations; `Redb` is one file on disk, for one process;
//! `Postgres` is a database that any number of processes share. [`backup`] and [`restore`] copy between all of them.
//!
//! A store holds secrets (salts, stream secrets), so it is as confidential as a key. So is a backup of it.

#[cfg(feature = "client")]
pub(crate) mod app_records;
#[cfg(feature = "client")]
pub(crate) mod async_store;
mod backup;
pub(crate) mod codec;
#[cfg(any(feature = "redb", feature = "postgres"))]
mod commit_queue;
pub(crate) mod error;
pub(crate) mod keys;
mod memory;
mod pending;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;

#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "redb")]
pub use self::redb::{FORMAT, Redb};
#[cfg(feature = "client")]
pub use app_records::{AppRecords, AppRecordsError};
#[cfg(feature = "client")]
pub use async_store::{AppChange, StoredError};
pub use backup::{BACKUP_FORMAT, BackupError, Copied, RestoreError, backup, restore};
pub use codec::RecordError;
pub use error::StoreError;
pub use keys::{account_key, bank_key, deposit_key, deposit_of_key, payee_of_key, received_key};
pub use memory::Memory;
pub use pending::Pending;

use std::{collections::BTreeSet, fmt, ops::ControlFlow};

/// The tables of a store. Keys of different tables never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Table {
    /// A payer's deposits.
    Deposits,
    /// A payer's allowance lists, one per deposit.
    Trees,
    /// A payer's accounts, one per deposit and payee.
    Accounts,
    /// A payee's metas, one per bank, deposit and payee.
    Received,
    /// Transactions that may have been sent.
    Outbox,
    /// Records of the application, under keys of its own, changed together with others of the store.
    App,
    /// What is of use in this place only, such as a restore that has begun, or the blocks that were dealt with. No
    /// records, so not part of [`Self::ALL`].
    Marks,
}

impl Table {
    /// Every table of records.
    pub const ALL: [Self; 6] = [
        Self::Deposits,
        Self::Trees,
        Self::Accounts,
        Self::Received,
        Self::Outbox,
        Self::App,
    ];

    /// The table's name in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposits => "deposits",
            Self::Trees => "trees",
            Self::Accounts => "accounts",
            Self::Received => "received",
            Self::Outbox => "outbox",
            Self::App => "app",
            Self::Marks => "marks",
        }
    }
}

/// One conditional write: sets `key` to `new` if its value is `old`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: &'a [u8],
    /// What must be there now; `None`: nothing.
    pub old: Option<&'a [u8]>,
    /// What shall be there; `None`: nothing.
    pub new: Option<&'a [u8]>,
}

/// What became of a compare-and-set.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was written"]
pub enum Swap {
    /// Everything is written, durably.
    Done,
    /// Nothing is written, because one key did not hold what the caller expected.
    Conflict {
        /// The position of the first change that did not fit.
        index: usize,
        /// What its key holds.
        found: Option<Vec<u8>>,
    },
}

/// Without keys and values, which are secret: with their lengths.
impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("table", &self.table)
            .field("key", &Length(self.key))
            .field("old", &self.old.map(Length))
            .field("new", &self.new.map(Length))
            .finish()
    }
}

/// Without the value, which is secret: with its length.
impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Conflict { index, found } => f
                .debug_struct("Conflict")
                .field("index", index)
                .field("found", &found.as_deref().map(Length))
                .finish(),
        }
    }
}

/// Shows bytes by their number alone.
struct Length<'a>(&'a [u8]);

impl fmt::Debug for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What [`Store::scan`] calls with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// What [`Store::scan_all`] calls with each table, key and value.
pub type VisitAll<'a> = dyn FnMut(Table, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// The longest key in bytes, for every store.
pub const MAX_KEY: usize = 1024;

/// A durable key-value store. Blocking, but for [`Store::begin`]; every write is durable before its result is there, and
/// nobody reads what is not durable.
///
/// Keys have up to [`MAX_KEY`] bytes. Values of 64 MiB work everywhere; what is above depends on the engine.
///
/// Any number of threads and tasks may call at once: a store commits what has come together as one group, so that many
/// share the price of one. One conformance suite is run against every implementation (`tests/store`).
pub trait Store: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes all changes, or none if a single one of them finds another value than it expects.
    ///
    /// After [`StoreError::Unknown`] it is unknown whether the changes were made, and still may be for a moment: read
    /// before trying again, and expect a conflict. After any other error nothing was written. A key that appears twice
    /// and one that is too long are such errors.
    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError>;

    /// Begins what [`Store::swap`] does, without blocking: for tasks. `None`, and nothing has begun: this store can only
    /// block.
    ///
    /// What has begun goes on even if nobody waits for it.
    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        let _ = changes;
        None
    }

    /// Calls `each` with every key that starts with `prefix` and its value, in ascending order of keys, as of one
    /// moment, until it breaks. `each` may use the store.
    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Calls `each` with every record of every table, in the order of [`Table::ALL`] and ascending keys, all as of one
    /// moment, until it breaks. `each` may use the store.
    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError>;

    /// Sets one key to `new` if its value is `old` (`None`: absent).
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

/// Refuses what no store could do in one and the same way.
fn check_changes(changes: &[Change<'_>]) -> Result<(), StoreError> {
    for (index, change) in changes.iter().enumerate() {
        if change.key.len() > MAX_KEY {
            let length = change.key.len();
            return Err(StoreError::KeyTooLong { index, length });
        }
    }
    if changes.len() < 2 {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for (index, change) in changes.iter().enumerate() {
        if !seen.insert((change.table, change.key)) {
            return Err(StoreError::RepeatedKey { index });
        }
    }
    Ok(())
}

/// The key in [`Table::Marks`] that is there while a restore is not finished.
const RESTORING: &[u8] = b"restoring";

/// Refuses a store that holds only a part of what a backup had.
#[cfg(any(feature = "redb", feature = "postgres"))]
fn check_whole(store: &dyn Store, path: &std::path::Path) -> Result<(), StoreError> {
    match store.get(Table::Marks, RESTORING)? {
        None => Ok(()),
        Some(_) => Err(StoreError::HalfRestored {
            path: path.to_path_buf(),
        }),
    }
}
