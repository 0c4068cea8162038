//! Errors of opening a database.

use crate::store::error::StoreError;
use ::redb::{DatabaseError, StorageError};
use std::{io, path::Path};

pub(super) fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { path },
        // The engine's error for a file that does not start with its magic number.
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() == io::ErrorKind::InvalidData =>
        {
            StoreError::Foreign { path }
        }
        DatabaseError::Storage(StorageError::Io(source)) => StoreError::Io { path, source },
        DatabaseError::Storage(StorageError::Corrupted(detail)) => StoreError::Damaged {
            path,
            detail: detail.into(),
        },
        other => StoreError::Engine {
            path,
            source: other.into(),
        },
    }
}
