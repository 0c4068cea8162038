//! The engine, which is opened again after a failure.
//!
//! Once its storage has failed, redb takes no more writes: it knows no more what is there. Opening finds out, so that a
//! disk that was full for an hour costs an hour, and nobody has to start the program again.
//!
//! It may read the whole file, so that a disk that goes on failing gets a pause from one opening to the next.

use crate::store::{
    commit_queue::Cause,
    error::StoreError,
    redb::{opening, storage::Storage},
};
use ::redb::{Database, DatabaseError, Error, ReadTransaction, ReadableDatabase, StorageBackend};
use std::{
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
    /// Whether the database has failed since it was opened.
    failed: AtomicBool,
    storage: Storage,
    path: PathBuf,
}

struct State {
    /// `None`: it has failed and could not be opened again yet.
    database: Option<Database>,
    /// When the last opening after a failure had ended, and what to say if the database does not work since.
    opened_again: Option<(Instant, Cause)>,
    /// From the end of one opening after a failure to the next.
    pause: Duration,
}

impl State {
    /// Fails while it is too early to open the database again.
    fn check_pause(&self) -> Result<(), Cause> {
        match &self.opened_again {
            Some((at, cause)) if at.elapsed() < self.pause => Err(cause.clone()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its disk failed again just after it was opened again")]
struct FailedAgain;

/// Why the engine did not do something.
pub(super) enum Failure {
    /// It had failed before, and cannot be opened again yet. Nothing was done.
    Closed(Cause),
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
    pub(super) fn open(
        storage: Storage,
        path: PathBuf,
        pause: Duration,
    ) -> Result<Self, StoreError> {
        let database = open(&storage).map_err(|error| opening(&path, error))?;
        let state = State {
            database: Some(database),
            opened_again: None,
            pause,
        };
        Ok(Self {
            state: RwLock::new(state),
            failed: AtomicBool::new(false),
            storage,
            path,
        })
    }

    pub(super) fn set_pause(&self, pause: Duration) {
        self.write_state().pause = pause;
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
            let state = self.read_state();
            // Nobody opens it again meanwhile.
            if let Some(database) = &state.database
                && !self.failed.load(Ordering::Acquire)
            {
                let done = work(database);
                if let Err(error) = &done {
                    self.note(error);
                }
                return Ok(done?);
            }
            state.check_pause().map_err(Failure::Closed)?;
            drop(state);
            self.open_again().map_err(Failure::Closed)?;
        }
    }

    fn open_again(&self) -> Result<(), Cause> {
        let mut state = self.write_state();
        if state.database.is_some() && !self.failed.load(Ordering::Acquire) {
            // Somebody was faster.
            return Ok(());
        }
        state.check_pause()?;
        // It ends all views of it, and touches the storage no more.
        state.database = None;
        let cause: Cause = match self.open_confirmed() {
            Ok(opened) => {
                state.database = Some(opened);
                self.failed.store(false, Ordering::Release);
                Arc::new(FailedAgain)
            }
            Err(error) => Arc::new(error),
        };
        state.opened_again = Some((now(), cause.clone()));
        state.database.is_some().then_some(()).ok_or(cause)
    }

    /// Opens what the storage holds once all of that is durable.
    fn open_confirmed(&self) -> Result<Database, StoreError> {
        let io = |source| StoreError::Io {
            path: self.path.clone(),
            source,
        };
        self.storage.confirm().map_err(io)?;
        if self.storage.len().map_err(io)? == 0 {
            return Err(StoreError::Damaged {
                path: self.path.clone(),
                detail: "it was emptied while it was in use".into(),
            });
        }
        open(&self.storage).map_err(|error| opening(&self.path, error))
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
    reason = "how long a disk has had a pause is no matter of any caller, and nothing that is stored depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

fn open(storage: &Storage) -> Result<Database, DatabaseError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(storage.clone())
}
