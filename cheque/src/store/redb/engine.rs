//! The database engine, and its reopening after a disk error.
//!
//! After its storage has failed, redb takes no more writes, because the state of the file is unknown. Reopening finds
//! the state, so a disk that was full for an hour costs an hour, and the operator need not restart the program.
//!
//! A reopening may read the whole file, so there is a minimum interval between two of them.

use crate::store::{
    commit_queue::Cause,
    error::StoreError,
    redb::{error::open_error, storage::Storage},
};
use ::redb::{Database, DatabaseError, Error, ReadTransaction, ReadableDatabase, StorageBackend};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const CACHE_BYTES: usize = 64 << 20;

pub(super) struct Engine {
    state: RwLock<State>,
    /// True if the database has failed since it was opened.
    failed: AtomicBool,
    storage: Storage,
    path: PathBuf,
}

struct State {
    /// `None`: the database has failed and is not reopened yet.
    database: Option<Database>,
    /// The end of the last reopening, and the error to report if the database does not work since.
    reopened: Option<(Instant, Cause)>,
    /// The minimum time from the end of a reopening to the next.
    reopen_interval: Duration,
}

impl State {
    /// Fails while the next reopening would be too early.
    fn check_interval(&self) -> Result<(), Cause> {
        match &self.reopened {
            Some((at, cause)) if at.elapsed() < self.reopen_interval => Err(cause.clone()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its disk failed again just after it was reopened")]
struct FailedAgain;

/// The reason why the engine did not finish its work.
pub(super) enum Failure {
    /// The engine had failed before, and cannot be reopened yet. Nothing was done.
    Closed(Cause),
    /// The engine failed during the work.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Engine {
    /// Opens the database in `storage`, or creates it in an empty one. `path` names the store in errors.
    pub(super) fn open(
        storage: Storage,
        path: PathBuf,
        reopen_interval: Duration,
    ) -> Result<Self, StoreError> {
        let database = open(&storage).map_err(|error| open_error(&path, error))?;
        let state = State {
            database: Some(database),
            reopened: None,
            reopen_interval,
        };
        Ok(Self {
            state: RwLock::new(state),
            failed: AtomicBool::new(false),
            storage,
            path,
        })
    }

    pub(super) fn set_reopen_interval(&self, interval: Duration) {
        self.write_state().reopen_interval = interval;
    }

    /// Starts a read transaction. A reopening of the engine ends all of them: their reads fail from then on.
    pub(super) fn read(&self) -> Result<ReadTransaction, Failure> {
        self.with(|database| Ok(database.begin_read()?))
    }

    /// Lets `work` write. After any failure, the next write starts with a reopening.
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

    /// Records an error of a read. Errors of the storage call for a reopening.
    pub(super) fn note_error(&self, error: &Error) {
        if matches!(error, Error::Io(_) | Error::PreviousIo) {
            self.failed.store(true, Ordering::Release);
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Failure> {
        loop {
            let state = self.read_state();
            // The read lock keeps other threads from reopening the database.
            if let Some(database) = &state.database
                && !self.failed.load(Ordering::Acquire)
            {
                let done = work(database);
                if let Err(error) = &done {
                    self.note_error(error);
                }
                return Ok(done?);
            }
            state.check_interval().map_err(Failure::Closed)?;
            drop(state);
            self.reopen().map_err(Failure::Closed)?;
        }
    }

    fn reopen(&self) -> Result<(), Cause> {
        let mut state = self.write_state();
        if state.database.is_some() && !self.failed.load(Ordering::Acquire) {
            // Another thread was faster.
            return Ok(());
        }
        state.check_interval()?;
        // Dropping the database ends its read transactions; afterwards it does not touch the storage.
        state.database = None;
        let cause: Cause = match self.open_confirmed() {
            Ok(opened) => {
                state.database = Some(opened);
                self.failed.store(false, Ordering::Release);
                Arc::new(FailedAgain)
            }
            Err(error) => Arc::new(error),
        };
        state.reopened = Some((now(), cause.clone()));
        state.database.is_some().then_some(()).ok_or(cause)
    }

    /// Makes the contents of the storage durable, then opens them.
    fn open_confirmed(&self) -> Result<Database, StoreError> {
        let io = |source: io::Error| StoreError::Io {
            path: self.path.clone(),
            source: source.into(),
        };
        self.storage.sync_visible().map_err(io)?;
        if self.storage.len().map_err(io)? == 0 {
            return Err(StoreError::Damaged {
                path: self.path.clone(),
                detail: Arc::from(Box::from("the file was emptied while in use")),
            });
        }
        open(&self.storage).map_err(|error| open_error(&self.path, error))
    }

    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no caller and no stored value depends on the time since the last reopening"
)]
fn now() -> Instant {
    Instant::now()
}

fn open(storage: &Storage) -> Result<Database, DatabaseError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(storage.clone())
}
