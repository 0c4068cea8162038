//! Durable state: a small key-value store whose only write is compare-and-set.
//!
//! State that must survive a crash passes through [`Store::swap`] before anyone outside can see its effect: a new total
//! before the cheque is handed out, the terms of a deposit before `open` is sent, a payee's position before the payment
//! counts.
//!
//! [`Memory`] forgets at exit and serves tests and simulations. `Redb` is a file on disk, for a single process.
//! `Postgres` is a database that any number of processes share. [`backup`] and [`restore`] copy between all of them.
//!
//! Records hold secrets (salts, starts of streams), so a store is as confidential as a key, and so is its backup.

#[cfg(feature = "client")]
pub(crate) mod app_records;
#[cfg(feature = "client")]
pub(crate) mod async_store;
mod backup;
pub(crate) mod change;
pub(crate) mod codec;
#[cfg(any(feature = "redb", feature = "postgres"))]
mod commit_queue;
pub(crate) mod error;
pub(crate) mod interface;
pub(crate) mod keys;
mod memory;
mod pending;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redb")]
mod redb;
pub(crate) mod table;
#[cfg(feature = "service")]
mod watched;
#[cfg(feature = "service")]
pub(crate) mod write_watch;

#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "redb")]
pub use self::redb::Redb;
#[cfg(feature = "client")]
pub use app_records::{AppRecords, AppRecordsError, AppRecordsReader};
#[cfg(feature = "client")]
pub use async_store::{AppChange, StoredError};
pub use backup::{
    backup,
    error::{BACKUP_FORMAT, BackupError, RestoreError},
    format::BackupSize,
    restore,
};
pub use change::{Change, Swap};
pub use codec::RecordError;
pub use error::StoreError;
pub use interface::{Store, Visit, VisitAll};
pub use keys::{account_key, bank_key, deposit_key, deposit_of_key, payee_of_key, position_key};
pub use memory::Memory;
pub use pending::Pending;
pub use table::{MAX_KEY, Table};
