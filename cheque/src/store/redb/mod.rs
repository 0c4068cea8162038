//! The default store: one redb file.

mod engine;
mod file;
mod storage;

use crate::store::{
    Change, Store, Swap, Table, Visit, VisitAll, check_whole,
    commit_queue::{Cause, Group, Groups, Results},
    error::StoreError,
    pending::Pending,
    redb::{
        engine::{Engine, Failure},
        file::{open_file, sync_directory},
        storage::Storage,
    },
};
use ::redb::{
    Database, DatabaseError, Durability, ReadTransaction, ReadableTable, StorageBackend,
    StorageError, TableDefinition, TableError, WriteTransaction, backends::FileBackend,
};
use std::{
    fmt, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The newest file format this library writes and reads.
pub const FORMAT: u32 = 1;

/// Tells a cheque store from the redb files of other programs.
const ABOUT: TableDefinition<'static, &str, u32> = TableDefinition::new("cheque-store");
const FORMAT_KEY: &str = "format";

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

const fn rows(table: Table) -> Rows {
    TableDefinition::new(table.name())
}

/// A [`Store`] in one file, for one process at a time. Each write is on disk before it returns, in one transaction with
/// those of other threads and tasks that came at the same time; a process killed at any moment leaves the file as of its
/// last write. Dropping it waits for what has begun.
///
/// After an error of the disk, such as a full one, the next call opens the file again, and reads all of it to find out
/// what is there. Where the disk goes on failing, the file is opened once in [`Redb::PAUSE`]. Until that succeeds, calls fail
/// as [`StoreError::Unreachable`], and nobody else can open the file.
pub struct Redb {
    /// The engine has one writer. Dropped first, so that the file is closed at the end of the drop.
    groups: Groups,
    engine: Arc<Engine>,
    path: PathBuf,
}

impl Redb {
    /// How long to wait after opening the file again before doing so once more, unless told otherwise.
    pub const PAUSE: Duration = Duration::from_secs(1);

    /// Opens the store at `path`, or creates it and its directory, readable by its owner alone.
    ///
    /// Refuses a file that another process has open, one that another program made, and one in a newer format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let backend = open_file(&path)
            .and_then(|file| FileBackend::new(file).map_err(io::Error::other))
            .map_err(|source| StoreError::Io {
                path: path.clone(),
                source,
            })?;
        let store = Self::open_on(backend, &path)?;
        sync_directory(&path).map_err(|source| StoreError::Io { path, source })?;
        Ok(store)
    }

    /// Opens the store that `backend` holds, or makes one if it holds nothing. Errors call it `name`.
    ///
    /// For storage that is no file, and for tests that cause faults. Does not check that nobody else uses the storage
    /// unless the backend has locks.
    pub fn open_on(
        backend: impl StorageBackend,
        name: impl Into<PathBuf>,
    ) -> Result<Self, StoreError> {
        let path = name.into();
        let engine = Arc::new(Engine::open(
            Storage::new(backend),
            path.clone(),
            Self::PAUSE,
        )?);
        let (writer, name) = (engine.clone(), path.clone());
        let commit = move |group: &Group<'_>| commit(&writer, &name, group);
        let groups = Groups::new(&path, 1, commit).map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        let store = Self {
            groups,
            engine,
            path,
        };
        store.check_format()?;
        check_whole(&store, &store.path)?;
        Ok(store)
    }

    /// The same store, which waits for `pause` after opening its file again before it does so once more. Zero: every call
    /// tries.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        self.engine.set_pause(pause);
        self
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Marks a file without any table as ours; the mark and all tables appear together.
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
            Format::Known(found) if found > FORMAT => Err(StoreError::Newer {
                path: self.path.clone(),
                found,
                known: FORMAT,
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
            write.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
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
        self.engine.note(&error);
        match error {
            ::redb::Error::Io(source) => StoreError::Io { path, source },
            ::redb::Error::Corrupted(detail) => StoreError::Damaged {
                path,
                detail: detail.into(),
            },
            other => StoreError::Engine {
                path,
                source: other.into(),
            },
        }
    }

    fn try_get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let read = self.engine.read()?;
        let rows = match read.open_table(rows(table)) {
            // Made by its first row.
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

/// Without what it holds, which is secret.
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
        self.groups.swap(changes)
    }

    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        Some(self.groups.begin(changes))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.try_scan(table, prefix, each)
            .map_err(|error| self.failed(error))
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.try_scan_all(each).map_err(|error| self.failed(error))
    }
}

fn commit(engine: &Engine, path: &Path, group: &Group<'_>) -> Results {
    let each = |error: &dyn Fn(PathBuf) -> StoreError| {
        let results = group.iter().map(|_| Err(error(path.to_path_buf())));
        results.collect()
    };
    match engine.write(|database| try_commit(database, group)) {
        Ok(swaps) => swaps.into_iter().map(Ok).collect(),
        // Nothing tells which of the writes of a failed commit are there.
        Err(Failure::Failed(error)) => {
            let cause: Cause = Arc::new(error);
            each(&|path| StoreError::Unknown {
                path,
                cause: cause.clone(),
            })
        }
        // Nothing was tried.
        Err(Failure::Closed(cause)) => each(&|path| StoreError::Unreachable {
            path,
            cause: cause.clone(),
        }),
    }
}

/// Makes the swaps that find what they expect, one after the other, in one durable transaction.
fn try_commit(database: &Database, group: &Group<'_>) -> Result<Vec<Swap>, ::redb::Error> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    let mut tables = OpenTables::default();
    let swaps = group.iter().map(|changes| tables.swap(&write, changes));
    let swaps = swaps.collect::<Result<Vec<_>, _>>()?;
    drop(tables);
    if swaps.contains(&Swap::Done) {
        write.commit()?;
    } else {
        write.abort()?;
    }
    Ok(swaps)
}

fn visit(
    read: &ReadTransaction,
    table: Table,
    prefix: &[u8],
    each: &mut Visit<'_>,
) -> Result<ControlFlow<()>, ::redb::Error> {
    let rows = match read.open_table(rows(table)) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(ControlFlow::Continue(())),
        rows => rows?,
    };
    for row in rows.range(prefix..)? {
        let (key, value) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        if each(key.value(), value.value()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// What a file says of itself.
enum Format {
    /// It has no table yet.
    Empty,
    Foreign,
    Known(u32),
}

/// The tables of one transaction, each opened once.
#[derive(Default)]
struct OpenTables<'t>([Option<OpenTable<'t>>; TABLES]);

type OpenTable<'t> = ::redb::Table<'t, &'static [u8], &'static [u8]>;

const TABLES: usize = Table::ALL.len() + 1;

impl<'t> OpenTables<'t> {
    /// Makes the changes of one swap after all of them were found to fit, so that nothing has to be undone.
    fn swap(
        &mut self,
        write: &'t WriteTransaction,
        changes: &[Change<'_>],
    ) -> Result<Swap, ::redb::Error> {
        for (index, change) in changes.iter().enumerate() {
            let found = self.table(write, change.table)?.get(change.key)?;
            let found = found.as_ref().map(|value| value.value());
            if found != change.old {
                let found = found.map(<[u8]>::to_vec);
                return Ok(Swap::Conflict { index, found });
            }
        }
        for change in changes {
            let table = self.table(write, change.table)?;
            match change.new {
                Some(new) => table.insert(change.key, new)?,
                None => table.remove(change.key)?,
            };
        }
        Ok(Swap::Done)
    }

    fn table(
        &mut self,
        write: &'t WriteTransaction,
        table: Table,
    ) -> Result<&mut OpenTable<'t>, ::redb::Error> {
        let slot = &mut self.0[table as usize];
        match slot {
            Some(open) => Ok(open),
            None => Ok(slot.insert(write.open_table(rows(table))?)),
        }
    }
}

fn opening(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { path },
        // How the engine reports a file that does not start with its magic number.
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
