//! Durable state: a small key-value store whose only write is compare-and-set.
//!
//! Everything that must survive a crash goes through [`Store::swap`] before it becomes visible outside: a new total
//! before a cheque is handed out, a deposit's terms before `open` is sent, a payee's meta before the payment counts.
//! [`Memory`] forgets at exit and is meant for tests and simulations; [`Redb`] is one file on disk.
//!
//! A store holds secrets (salts, stream secrets), so it is as confidential as a key.

mod memory;
mod records;
#[cfg(feature = "redb")]
mod redb;

pub use self::memory::Memory;
#[cfg(feature = "redb")]
pub use self::redb::{FORMAT, Redb};
pub use records::{
    AllowanceList, DepositRecord, DepositState, RecordError, SentRecord, account_key, bank_key,
    deposit_key, deposit_of_key, payee_of_key, received_key,
};

use std::{io, ops::ControlFlow, path::PathBuf};

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
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 5] = [
        Self::Deposits,
        Self::Trees,
        Self::Accounts,
        Self::Received,
        Self::Outbox,
    ];

    /// The table's name in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposits => "deposits",
            Self::Trees => "trees",
            Self::Accounts => "accounts",
            Self::Received => "received",
            Self::Outbox => "outbox",
        }
    }
}

/// One conditional write: sets `key` to `new` if its value is `old`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What [`Store::scan`] calls with each key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A durable key-value store. Blocking; every write is durable before it returns.
///
/// Two implementations of one conformance suite exist; a third must pass it too (`tests/store.rs`).
pub trait Store: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes all changes, or none if a single one of them finds another value than it expects. A key may appear once.
    ///
    /// After an error it is unknown whether the changes were made: read before trying again.
    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError>;

    /// Calls `each` with every key that starts with `prefix` and its value, in ascending order of keys, as of one
    /// moment, until it breaks. `each` may use the store.
    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError>;

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

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has the file open.
    #[error("{path} is in use by another process: stop that one, or name another store")]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// The file belongs to another program.
    #[error(
        "{path} is not a cheque store (or its creation was interrupted before anything was kept in it): \
         move it away, or name another store"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this library wrote the file.
    #[error(
        "{path} has format {found}, and this program reads formats up to {known}: use a newer program"
    )]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// The newest format this library knows.
        known: u32,
    },
    /// The file is damaged.
    #[error("{path} is damaged: restore it from a backup, and keep the damaged file ({detail})")]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What the engine found.
        detail: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// The store's file.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// The storage engine failed.
    #[error("{path}: the storage engine failed: {source}")]
    Engine {
        /// The store's file.
        path: PathBuf,
        /// The failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
