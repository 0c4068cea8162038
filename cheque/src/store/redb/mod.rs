//! The default store: a redb file.

mod engine;
mod error;
mod file;
mod storage;
mod tables;

use crate::store::{
    backup::check_not_half_restored,
    change::{Change, Swap},
    commit_queue::{Batch, Cause, CommitQueue, Results},
    error::StoreError,
    interface::{Store, Visit, VisitAll},
    pending::Pending,
    redb::{
        engine::{Engine, Failure},
        error::open_error,
        file::{begin, finish, open_existing},
        storage::Storage,
        tables::{ABOUT, FORMAT_KEY, commit_batch, rows, visit},
    },
    table::Table,
};
use ::redb::{StorageBackend, TableError, backends::FileBackend};
use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// A [`Store`] in a file, for a single process at a time.
///
/// Each write is on disk before it returns, in the same transaction as concurrent writes of other threads and tasks. A
/// process killed at any moment leaves the file as of its last write. Dropping the store waits for started writes.
///
/// After a disk error, such as a full disk, the next call reopens the file and reads all of it to find its state. While
/// the disk keeps failing, the store reopens the file at most once in [`Redb::REOPEN_INTERVAL`]; until a reopening
/// succeeds, calls fail with [`StoreError::Unreachable`], and no other process can open the file.
///
/// Does not encrypt the file.
pub struct Redb {
    /// Has one committer, because the engine has one writer. Dropped first, so that the drop ends with closing the
    /// file.
    queue: CommitQueue,
    engine: Arc<Engine>,
    path: PathBuf,
}

impl Redb {
    /// The newest file format that this library writes and reads.
    pub const FORMAT: u32 = 1;

    /// The default time from a reopening of the file after a disk error to the next.
    pub const REOPEN_INTERVAL: Duration = Duration::from_secs(1);

    /// Opens the store at `path`, or creates the file and its directory, readable by their owner only.
    ///
    /// # Errors
    ///
    /// Rejects a file that another process has open, an empty file, a file of another program, a newer format and a
    /// half-restored store.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        match Self::open_existing(path) {
            Err(StoreError::Absent { .. }) => {}
            opened => return opened,
        }
        let failed = |source: io::Error| io_error(path, source);
        let unfinished = begin(path).map_err(failed)?;
        let locked = StoreError::Locked {
            path: path.to_path_buf(),
        };
        let store = Self::open_file(unfinished.ok_or(locked)?, path)?;
        finish(path).map_err(failed)?;
        Ok(store)
    }

    /// Opens the store at `path` without creating the file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Absent`] without the file; otherwise as [`Redb::open`].
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let failed = |source: io::Error| io_error(path, source);
        let absent = || StoreError::Absent {
            path: path.to_path_buf(),
        };
        let file = open_existing(path).map_err(failed)?.ok_or_else(absent)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            return Err(StoreError::Emptied {
                path: path.to_path_buf(),
            });
        }
        Self::open_file(file, path)
    }

    fn open_file(file: File, path: &Path) -> Result<Self, StoreError> {
        let backend = FileBackend::new(file).map_err(|error| open_error(path, error))?;
        Self::open_on(backend, path)
    }

    /// Opens the store in `backend`, or creates it in an empty one. `name` stands for the path in errors.
    ///
    /// For storage other than a file, and for fault injection. Does not check that the storage has no other user,
    /// unless the backend has locks.
    ///
    /// # Errors
    ///
    /// The same as [`Redb::open`].
    pub fn open_on(
        backend: impl StorageBackend,
        name: impl Into<PathBuf>,
    ) -> Result<Self, StoreError> {
        let path = name.into();
        let engine = Arc::new(Engine::open(
            Storage::new(backend),
            path.clone(),
            Self::REOPEN_INTERVAL,
        )?);
        let (writer, name) = (engine.clone(), path.clone());
        let commit = move |batch: &Batch<'_>| commit(&writer, &name, batch);
        let queue = CommitQueue::new(&path, 1, commit).map_err(|source| StoreError::Io {
            path: path.clone(),
            source: source.into(),
        })?;
        let store = Self {
            queue,
            engine,
            path,
        };
        store.check_format()?;
        check_not_half_restored(&store, &store.path)?;
        Ok(store)
    }

    /// Sets the time from a reopening of the file after a disk error to the next. Zero: every call reopens.
    #[must_use]
    pub fn with_reopen_interval(self, interval: Duration) -> Self {
        self.engine.set_reopen_interval(interval);
        self
    }

    /// Returns the path of the store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks the format, and marks a file without tables as a store. The mark and all tables appear together.
    fn check_format(&self) -> Result<(), StoreError> {
        let found = match self.try_format() {
            Ok(found) => found,
            Err(error) => return Err(self.failed(error)),
        };
        match found {
            Format::Empty => self.mark().map_err(|error| self.failed(error)),
            Format::Foreign => Err(StoreError::Foreign {
                path: self.path.clone(),
            }),
            Format::Known(found) if found > Self::FORMAT => Err(StoreError::Newer {
                path: self.path.clone(),
                found,
                known: Self::FORMAT,
            }),
            Format::Known(_) => Ok(()),
        }
    }

    fn try_format(&self) -> Result<Format, Failure> {
        let read = self.engine.read()?;
        if read.list_tables()?.next().is_none() {
            return Ok(Format::Empty);
        }
        let about = match read.open_table(ABOUT) {
            Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => {
                return Ok(Format::Foreign);
            }
            about => about?,
        };
        let found = about.get(FORMAT_KEY)?;
        Ok(found.map_or(Format::Foreign, |format| Format::Known(format.value())))
    }

    fn mark(&self) -> Result<(), Failure> {
        self.engine.write(|database| {
            let write = database.begin_write()?;
            write.open_table(ABOUT)?.insert(FORMAT_KEY, Self::FORMAT)?;
            for table in Table::ALL {
                write.open_table(rows(table))?;
            }
            write.commit()?;
            Ok(())
        })
    }

    fn failed(&self, failure: Failure) -> StoreError {
        let path = self.path.clone();
        let error = match failure {
            Failure::Closed(cause) => return StoreError::Unreachable { path, cause },
            Failure::Failed(error) => error,
        };
        self.engine.note_error(&error);
        match error {
            ::redb::Error::Io(source) => StoreError::Io {
                path,
                source: source.into(),
            },
            ::redb::Error::Corrupted(detail) => StoreError::Damaged {
                path,
                detail: Arc::from(Box::from(detail)),
            },
            other => StoreError::Engine {
                path,
                source: Arc::new(other),
            },
        }
    }

    fn try_get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let read = self.engine.read()?;
        let rows = match read.open_table(rows(table)) {
            // The first row of a table creates it.
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            rows => rows?,
        };
        let found = rows.get(key)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn try_scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), Failure> {
        let read = self.engine.read()?;
        let _ = visit(&read, table, prefix, each)?;
        Ok(())
    }

    fn try_scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), Failure> {
        let read = self.engine.read()?;
        for table in Table::ALL {
            let mut each = |key: &[u8], value: &[u8]| each(table, key, value);
            if visit(&read, table, &[], &mut each)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn io_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_path_buf(),
        source: source.into(),
    }
}

/// Hides the records, which are secret.
impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redb").field(&self.path).finish()
    }
}

impl Store for Redb {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.try_get(table, key).map_err(|error| self.failed(error))
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        self.queue.swap(changes)
    }

    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        Some(self.queue.begin(changes))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.try_scan(table, prefix, each)
            .map_err(|error| self.failed(error))
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.try_scan_all(each).map_err(|error| self.failed(error))
    }
}

/// Commits a batch, and returns a result for each of its swaps.
fn commit(engine: &Engine, path: &Path, batch: &Batch<'_>) -> Results {
    let each = |error: &dyn Fn(PathBuf) -> StoreError| {
        let results = batch.iter().map(|_| Err(error(path.to_path_buf())));
        results.collect()
    };
    match engine.write(|database| commit_batch(database, batch)) {
        Ok(swaps) => swaps.into_iter().map(Ok).collect(),
        // After a failed commit, each of its writes may or may not be in the file.
        Err(Failure::Failed(error)) => {
            let cause: Cause = Arc::new(error);
            each(&|path| StoreError::Unknown {
                path,
                cause: cause.clone(),
            })
        }
        // The engine did not try the commit.
        Err(Failure::Closed(cause)) => each(&|path| StoreError::Unreachable {
            path,
            cause: cause.clone(),
        }),
    }
}

/// The format of a file.
enum Format {
    /// A file without tables.
    Empty,
    /// A file of another program.
    Foreign,
    Known(u32),
}
