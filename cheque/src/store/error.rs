//! Errors of all stores.

use crate::store::table::MAX_KEY;
use std::{io, path::PathBuf, sync::Arc};

/// The reason why a store could not be opened, read or written.
///
/// `path` names the store: its file, or host, port and name of its database without user and password.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the file open.
    #[error("{path} is in use by another process; stop that process or name another store")]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// The file, or the table in the database, belongs to another program.
    #[error(
        "{path} is not a cheque store, or its creation was interrupted before it held a record; move it away or name \
         another store"
    )]
    Foreign {
        /// The store.
        path: PathBuf,
    },
    /// The store does not exist, and the caller asked not to create it.
    #[error("there is no store in {path}")]
    Absent {
        /// The store.
        path: PathBuf,
    },
    /// An earlier version of this library wrote the store, and the caller asked not to migrate it.
    #[error(
        "{path} has format {found}, and this program reads format {known}; run a command that writes to migrate it"
    )]
    Older {
        /// The store.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The format that this library reads.
        known: u32,
    },
    /// A later version of this library wrote the store.
    #[error(
        "{path} has format {found}, and this program reads formats up to {known}; use a newer program"
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The newest format that this library reads.
        known: u32,
    },
    /// The file is empty. A store is never empty, so its contents are lost.
    #[error(
        "{path} is empty, but a store is not: its contents are lost; restore a backup into a new store, or remove the file to \
         begin a new store"
    )]
    Emptied {
        /// The store.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{path} is damaged ({detail}); keep the file and restore a backup into a new store")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// The engine's finding.
        detail: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// The store.
        path: PathBuf,
        /// The failure.
        source: Arc<io::Error>,
    },
    /// The storage engine failed.
    #[error("{path}: the storage engine failed: {source}")]
    Engine {
        /// The store.
        path: PathBuf,
        /// The failure.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A write failed half-way, and may or may not have been made.
    #[error(
        "{path}: the write failed, and may or may not have been made; read before a retry: {cause}"
    )]
    Unknown {
        /// The store.
        path: PathBuf,
        /// The failure, shared by all writes of the commit.
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The database cannot be reached, or the file cannot be reopened after a failure of its disk. Nothing was written.
    #[error("{path} cannot be reached, and nothing was written; retry later: {cause}")]
    Unreachable {
        /// The store.
        path: PathBuf,
        /// The failure.
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The text is not the address of a database. The message does not repeat it, because it may contain a password.
    #[error(
        "the text is not the address of a PostgreSQL database; write postgres://user@host:port/database, or \
         postgres:///database?host=/directory/of/the/socket&user=name, special characters percent-encoded"
    )]
    BadAddress,
    /// The address demands an encryption that cannot be had.
    #[error("the database's TLS settings cannot be used: {reason}")]
    BadTls {
        /// The setting and the next step.
        reason: String,
    },
    /// The server's settings allow it to lose confirmed writes.
    #[error("{path} runs with {setting} = off, so it may lose confirmed writes; switch it on")]
    NotDurable {
        /// The store.
        path: PathBuf,
        /// The server's setting.
        setting: &'static str,
    },
    /// A restore into this store has begun and was not finished.
    #[error(
        "{path} holds only a part of a backup, because its restore was interrupted; remove the store and restore again"
    )]
    HalfRestored {
        /// The store.
        path: PathBuf,
    },
    /// Two changes of the same swap name the same key. Nothing was written.
    #[error("change {index} names the key of an earlier change of the same swap; merge them")]
    RepeatedKey {
        /// The position of the second change.
        index: usize,
    },
    /// A key is too long. Nothing was written.
    #[error("the key of change {index} has {length} bytes, and a store takes up to {MAX_KEY}")]
    KeyTooLong {
        /// The change's position.
        index: usize,
        /// The key's length in bytes.
        length: usize,
    },
}
