//! Errors of opening a database.

use crate::store::error::StoreError;
use ::redb::{DatabaseError, StorageError};
use std::{io, path::Path, sync::Arc};

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
        DatabaseError::Storage(StorageError::Io(source)) => StoreError::Io {
            path,
            source: source.into(),
        },
        DatabaseError::Storage(StorageError::Corrupted(detail)) => StoreError::Damaged {
            path,
            detail: Arc::from(Box::from(detail)),
        },
        other => StoreError::Engine {
            path,
            source: Arc::new(other),
        },
    }
}
