//! What can go wrong with a store.

use crate::store::MAX_KEY;
use std::{io, path::PathBuf, sync::Arc};

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has the file open.
    #[error("{path} is in use by another process: stop that one, or name another store")]
    Locked {
        /// The store's place.
        path: PathBuf,
    },
    /// The file, or the table in the database, belongs to another program.
    #[error(
        "{path} is not a cheque store (or its creation was interrupted before anything was kept in it): \
         move it away, or name another store"
    )]
    Foreign {
        /// The store's place.
        path: PathBuf,
    },
    /// There is no store, and none was to be made.
    #[error("there is no store in {path}")]
    Absent {
        /// The store's place.
        path: PathBuf,
    },
    /// An earlier version of this library wrote the store, and it was not to be changed.
    #[error(
        "{path} has format {found}, and this program reads format {known}: a command that writes brings it there"
    )]
    Older {
        /// The store's place.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The format that this library reads.
        known: u32,
    },
    /// A later version of this library wrote the store.
    #[error(
        "{path} has format {found}, and this program reads formats up to {known}: use a newer program"
    )]
    Newer {
        /// The store's place.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The newest format this library knows.
        known: u32,
    },
    /// The file is damaged.
    #[error("{path} is damaged: restore it from a backup, and keep the damaged file ({detail})")]
    Damaged {
        /// The store's place.
        path: PathBuf,
        /// What the engine found.
        detail: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// The store's place.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// The storage engine failed.
    #[error("{path}: the storage engine failed: {source}")]
    Engine {
        /// The store's place.
        path: PathBuf,
        /// The failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A write failed on its way, so that nobody knows whether it took place.
    #[error("{path}: it is unknown whether this was written, read before trying again: {cause}")]
    Unknown {
        /// The store's place.
        path: PathBuf,
        /// The failure. All writes that shared the commit have the same one.
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The database cannot be reached, or the file cannot be opened again after its disk has failed. Nothing was written.
    #[error("{path} cannot be reached, and nothing was written: {cause}")]
    Unreachable {
        /// The store's place.
        path: PathBuf,
        /// The failure.
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The text is no address of a database. It is not repeated, because it may contain a password.
    #[error(
        "this is no address of a PostgreSQL database: write postgres://user@host:port/database, or \
         postgres:///database?host=/directory/of/the/socket&user=name, special characters percent-encoded"
    )]
    BadAddress,
    /// The server is set up so that it may lose what it has confirmed.
    #[error("{path} runs with {setting} = off, so it may lose what it has confirmed: switch it on")]
    NotDurable {
        /// The store's place.
        path: PathBuf,
        /// The server's setting.
        setting: &'static str,
    },
    /// A restore into this store has begun and was not finished.
    #[error(
        "{path} holds only a part of a backup, because its restore was interrupted: remove it, and restore again"
    )]
    HalfRestored {
        /// The store's place.
        path: PathBuf,
    },
    /// One key appears twice in the changes of one swap. Nothing was written.
    #[error(
        "change {index} is about a key that an earlier change of the same swap is about: merge them"
    )]
    RepeatedKey {
        /// The position of the second one.
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
