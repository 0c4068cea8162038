//! The default store: one redb file.

use super::{Change, Store, StoreError, Swap, Table, Visit};
use ::redb::{
    Database, DatabaseError, Durability, ReadableDatabase, StorageError, TableDefinition,
    TableError, backends::FileBackend,
};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// The newest file format this library writes and reads.
pub const FORMAT: u32 = 1;

/// Tells a cheque store from the redb files of other programs.
const ABOUT: TableDefinition<'static, &str, u32> = TableDefinition::new("cheque-store");
const FORMAT_KEY: &str = "format";
const CACHE_BYTES: usize = 64 << 20;

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

const fn rows(table: Table) -> Rows {
    TableDefinition::new(table.name())
}

/// A [`Store`] in one file, for one process at a time. Each write is one transaction and on disk before it returns; a
/// process killed at any moment leaves the file as of its last write.
#[derive(Debug)]
pub struct Redb {
    database: Database,
    path: PathBuf,
}

impl Redb {
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
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(|error| opening(&path, error))?;
        let store = Self { database, path };
        store.check_format()?;
        Ok(store)
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Marks a file without any table as ours; the mark and all tables appear together.
    fn check_format(&self) -> Result<(), StoreError> {
        let failed = |error: ::redb::Error| self.failed(error);
        let read = self.database.begin_read().map_err(|e| failed(e.into()))?;
        let mut tables = read.list_tables().map_err(|e| failed(e.into()))?;
        if tables.next().is_none() {
            return self.mark();
        }
        let about = match read.open_table(ABOUT) {
            Ok(about) => about,
            Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => {
                return Err(self.foreign());
            }
            Err(error) => return Err(failed(error.into())),
        };
        let found = about.get(FORMAT_KEY).map_err(|e| failed(e.into()))?;
        match found.map(|format| format.value()) {
            None => Err(self.foreign()),
            Some(found) if found > FORMAT => Err(StoreError::Newer {
                path: self.path.clone(),
                found,
                known: FORMAT,
            }),
            Some(_) => Ok(()),
        }
    }

    fn mark(&self) -> Result<(), StoreError> {
        let make = || -> Result<(), ::redb::Error> {
            let write = self.database.begin_write()?;
            write.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
            for table in Table::ALL {
                write.open_table(rows(table))?;
            }
            write.commit()?;
            Ok(())
        };
        make().map_err(|error| self.failed(error))?;
        sync_directory(&self.path).map_err(|source| StoreError::Io {
            path: self.path.clone(),
            source,
        })
    }

    fn foreign(&self) -> StoreError {
        StoreError::Foreign {
            path: self.path.clone(),
        }
    }

    fn failed(&self, error: ::redb::Error) -> StoreError {
        let path = self.path.clone();
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

    fn try_get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ::redb::Error> {
        let read = self.database.begin_read()?;
        let found = read.open_table(rows(table))?.get(key)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn try_swap(&self, changes: &[Change<'_>]) -> Result<Swap, ::redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        for (index, change) in changes.iter().enumerate() {
            let mut table = write.open_table(rows(change.table))?;
            let found = match change.new {
                Some(new) => table.insert(change.key, new)?,
                None => table.remove(change.key)?,
            }
            .map(|value| value.value().to_vec());
            if found.as_deref() != change.old {
                drop(table);
                write.abort()?;
                return Ok(Swap::Conflict { index, found });
            }
        }
        write.commit()?;
        Ok(Swap::Done)
    }

    fn try_scan(
        &self,
        table: Table,
        prefix: &[u8],
        each: &mut Visit<'_>,
    ) -> Result<(), ::redb::Error> {
        let read = self.database.begin_read()?;
        for row in read.open_table(rows(table))?.range(prefix..)? {
            let (key, value) = row?;
            if !key.value().starts_with(prefix) || each(key.value(), value.value()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Store for Redb {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.try_get(table, key).map_err(|error| self.failed(error))
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        self.try_swap(changes).map_err(|error| self.failed(error))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.try_scan(table, prefix, each)
            .map_err(|error| self.failed(error))
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        create_directories(directory)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Makes what is missing of a path, each part as durable as the file in it shall be.
fn create_directories(path: &Path) -> io::Result<()> {
    if path == Path::new("") || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directories(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_directory(path),
        // Another process was faster.
        Err(_) if path.is_dir() => sync_directory(path),
        Err(error) => Err(error),
    }
}

/// Makes a new file's or directory's name as durable as its contents.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| *parent != Path::new(""));
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
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
