//! A store in one redb file.

use super::{Batch, Store, StoreError, Visit};
use ::redb::{
    Database, DatabaseError, Durability, ReadableDatabase, StorageError, TableDefinition,
    TableError, backends::FileBackend,
};
use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// The newest file format this library writes and reads.
pub const FORMAT: u32 = 1;

/// Tells a market's store from the redb files of other programs.
const ABOUT: TableDefinition<'static, &str, u32> = TableDefinition::new("cheque-market");
const FORMAT_KEY: &str = "format";
const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("rows");
const CACHE_BYTES: usize = 64 << 20;

/// A [`Store`] in one file, for one process at a time. Each batch is one transaction and on disk before
/// [`Store::write`] returns; a process killed at any moment leaves the file as of its last batch.
///
/// After an error of the disk it takes no more writes until it is opened anew: drop it, and open it. A `ChequeStore` over
/// the store of cheques in a file does that by itself.
#[derive(Debug)]
pub struct Redb {
    database: Database,
}

/// Why a store's file could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Somebody else has the file open.
    #[error("{path} is in use by another process: stop that one, or name another store")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to another program.
    #[error(
        "{path} is not a market's store (or its creation was interrupted before anything was kept in it): \
         move it away, or name another store"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this library wrote the file.
    #[error(
        "{path} has format {found}, and this program reads formats up to {known}: use a newer program"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// The newest format this library knows.
        known: u32,
    },
    /// The file system failed.
    #[error("{path}: {source}; its directory must exist and be writable")]
    Io {
        /// The file.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// The storage engine failed, perhaps because the file is damaged.
    #[error("{path}: the storage engine failed: {source}; restore the file from a backup")]
    Engine {
        /// The file.
        path: PathBuf,
        /// The failure.
        source: Box<::redb::Error>,
    },
}

impl Redb {
    /// Opens the store at `path`, or creates it, readable by its owner alone. The directory must exist.
    ///
    /// # Errors
    ///
    /// If another process has the file open, another program made it, it has a newer format, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenStoreError> {
        let path = path.as_ref();
        let io = |source| OpenStoreError::Io {
            path: path.to_path_buf(),
            source,
        };
        let file = open_file(path).map_err(io)?;
        let backend = FileBackend::new(file).map_err(|error| opening(path, error))?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(|error| opening(path, error))?;
        let store = Self { database };
        match store.format().map_err(|error| engine(path, error))? {
            Format::Known => Ok(store),
            Format::Newer(found) => Err(OpenStoreError::Newer {
                path: path.to_path_buf(),
                found,
                known: FORMAT,
            }),
            Format::Foreign => Err(OpenStoreError::Foreign {
                path: path.to_path_buf(),
            }),
            Format::Empty => {
                store.mark().map_err(|error| engine(path, error))?;
                sync_directory(path).map_err(io)?;
                Ok(store)
            }
        }
    }

    fn format(&self) -> Result<Format, ::redb::Error> {
        let read = self.database.begin_read()?;
        if read.list_tables()?.next().is_none() {
            return Ok(Format::Empty);
        }
        let about = match read.open_table(ABOUT) {
            Ok(about) => about,
            Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => {
                return Ok(Format::Foreign);
            }
            Err(error) => return Err(error.into()),
        };
        let found = about.get(FORMAT_KEY)?.map(|format| format.value());
        Ok(match found {
            None => Format::Foreign,
            Some(found) if found > FORMAT => Format::Newer(found),
            Some(_) => Format::Known,
        })
    }

    /// Marks a file without any table as ours; the mark and the rows' table appear together.
    fn mark(&self) -> Result<(), ::redb::Error> {
        let write = self.database.begin_write()?;
        write.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
        write.open_table(ROWS)?;
        write.commit()?;
        Ok(())
    }

    fn try_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ::redb::Error> {
        let read = self.database.begin_read()?;
        let found = read.open_table(ROWS)?.get(key)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn try_scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        each: &mut Visit<'_>,
    ) -> Result<(), ::redb::Error> {
        let first = [prefix, from].concat();
        let read = self.database.begin_read()?;
        for row in read.open_table(ROWS)?.range(first.as_slice()..)? {
            let (key, value) = row?;
            if !key.value().starts_with(prefix) || each(key.value(), value.value()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn try_write(&self, batch: &Batch) -> Result<(), ::redb::Error> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        let mut rows = write.open_table(ROWS)?;
        for (key, value) in batch.iter() {
            match value {
                Some(value) => rows.insert(key, value)?,
                None => rows.remove(key)?,
            };
        }
        drop(rows);
        write.commit()?;
        Ok(())
    }
}

impl Store for Redb {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.try_get(key).map_err(StoreError::new)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.try_scan(prefix, from, each).map_err(StoreError::new)
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.try_write(batch).map_err(StoreError::new)
    }
}

enum Format {
    Empty,
    Known,
    Newer(u32),
    Foreign,
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Makes a new file's name as durable as its contents.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| *parent != Path::new(""));
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn opening(path: &Path, error: DatabaseError) -> OpenStoreError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenStoreError::Locked { path },
        // How the engine reports a file that does not start with its magic number.
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() == io::ErrorKind::InvalidData =>
        {
            OpenStoreError::Foreign { path }
        }
        DatabaseError::Storage(StorageError::Io(source)) => OpenStoreError::Io { path, source },
        other => engine(&path, other.into()),
    }
}

fn engine(path: &Path, source: ::redb::Error) -> OpenStoreError {
    OpenStoreError::Engine {
        path: path.to_path_buf(),
        source: Box::new(source),
    }
}
