//! The engine, which is opened again after a failure.
//!
//! Once its storage has failed, redb takes no more writes: it knows no more what is there. Opening finds out, so that a
//! disk that was full for an hour costs an hour, and nobody has to start the program again.

use super::{opening, storage::Storage};
use crate::store::StoreError;
use ::redb::{Database, DatabaseError, Error, ReadTransaction, ReadableDatabase, StorageBackend};
use std::{
    path::PathBuf,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

const CACHE_BYTES: usize = 64 << 20;

pub(super) struct Engine {
    /// `None`: it has failed and could not be opened again yet.
    database: RwLock<Option<Database>>,
    /// Whether the database has failed since it was opened.
    failed: AtomicBool,
    storage: Storage,
    path: PathBuf,
}

/// Why the engine did not do something.
pub(super) enum Failure {
    /// It had failed before, and cannot be opened again. Nothing was done.
    Closed(StoreError),
    /// It failed now.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Engine {
    /// Opens what `storage` holds, or makes a database if it holds nothing. Errors call it `path`.
    pub(super) fn open(storage: Storage, path: PathBuf) -> Result<Self, StoreError> {
        let database = open(&storage).map_err(|error| opening(&path, error))?;
        Ok(Self {
            database: RwLock::new(Some(database)),
            failed: AtomicBool::new(false),
            storage,
            path,
        })
    }

    /// A view of what is there now. The engine can be opened again while there is one, which fails from then on.
    pub(super) fn read(&self) -> Result<ReadTransaction, Failure> {
        self.with(|database| Ok(database.begin_read()?))
    }

    /// Lets `work` write. Whatever has failed, the next one begins with an engine that was opened again.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        self.with(|database| {
            let done = work(database);
            self.failed.fetch_or(done.is_err(), Ordering::AcqRel);
            done
        })
    }

    /// Takes note of an error in reading. The storage has failed if it is one of these.
    pub(super) fn note(&self, error: &Error) {
        if matches!(error, Error::Io(_) | Error::PreviousIo) {
            self.failed.store(true, Ordering::Release);
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Failure> {
        loop {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            // Nobody opens it again meanwhile.
            if let Some(database) = &*database
                && !self.failed.load(Ordering::Acquire)
            {
                let done = work(database);
                if let Err(error) = &done {
                    self.note(error);
                }
                return Ok(done?);
            }
            drop(database);
            self.open_again().map_err(Failure::Closed)?;
        }
    }

    fn open_again(&self) -> Result<(), StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if database.is_some() && !self.failed.load(Ordering::Acquire) {
            // Somebody was faster.
            return Ok(());
        }
        let io = |source| StoreError::Io {
            path: self.path.clone(),
            source,
        };
        // It ends all views of it, and touches the storage no more.
        *database = None;
        self.storage.confirm().map_err(io)?;
        if self.storage.len().map_err(io)? == 0 {
            return Err(StoreError::Damaged {
                path: self.path.clone(),
                detail: "it was emptied while it was in use".into(),
            });
        }
        let opened = open(&self.storage).map_err(|error| opening(&self.path, error))?;
        *database = Some(opened);
        self.failed.store(false, Ordering::Release);
        Ok(())
    }
}

fn open(storage: &Storage) -> Result<Database, DatabaseError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(storage.clone())
}
