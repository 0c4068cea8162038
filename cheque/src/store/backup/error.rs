//! Errors of backups and restores.

use crate::store::{error::StoreError, table::Table};
use std::io;

/// The newest format of backups that this library writes and reads.
pub const BACKUP_FORMAT: u32 = 1;

/// The reason why a backup could not be made. The bytes written so far have no end mark, so
/// [`restore`](crate::store::restore) rejects them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup could not be written.
    #[error("the backup cannot be written: {0}")]
    Write(io::Error),
}

/// The reason why a backup could not be restored.
///
/// No record was written, except before [`Self::Interrupted`]. A restore whose start could not be noted, which is
/// [`Self::Store`] with [`StoreError::Unknown`], may leave the store marked as half-restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has records. A restore neither merges nor replaces.
    #[error("the store is not empty, it has records in {}; restore into a new store", table.name())]
    NotEmpty {
        /// A table with records.
        table: Table,
    },
    /// Another restore into this store is running or was interrupted.
    #[error("another restore into this store has begun; restore into a new store")]
    Begun,
    /// The backup could not be read.
    #[error("the backup cannot be read: {0}")]
    Read(io::Error),
    /// The file is not a backup.
    #[error("the file is no backup of a cheque store")]
    Foreign,
    /// A later version of this library wrote the backup.
    #[error(
        "the backup has format {found}, and this program reads formats up to {BACKUP_FORMAT}; use a newer program"
    )]
    Newer {
        /// The backup's format.
        found: u32,
    },
    /// The backup is truncated or altered.
    #[error("the backup is damaged or incomplete, {what} at byte {at}; use another backup")]
    Damaged {
        /// The place of the finding, in bytes from the beginning.
        at: u64,
        /// The finding.
        what: &'static str,
    },
    /// The backup differs from the one that was checked a moment before.
    #[error("the backup was changed while it was read; restore again into a new store")]
    Changed,
    /// The restore failed half-way. The store holds a part of the records, and opening it fails.
    #[error("the restore failed half-way; remove the store and restore into a new store: {0}")]
    Interrupted(Box<RestoreError>),
}
