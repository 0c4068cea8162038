//! Backup and restore: all records of a store as one file that every kind of store can read.
//!
//! ```text
//! file    = "cheque-backup" ‖ 0x0a ‖ format (4 bytes) ‖ record* ‖ 0x00 ‖ number of records (8) ‖ checksum (32)
//! record  = table (1: 1 deposits, 2 trees, 3 accounts, 4 received, 5 outbox, 6 host) ‖ key length (4)
//!           ‖ value length (8) ‖ key ‖ value
//! ```
//!
//! Integers are big-endian. Records come in the order of their tables and keys. The checksum is keccak256 of all before
//! it: it tells damage, not forgery. The records are as secret as the store's.

use crate::store::{Change, MAX_KEY, RESTORING, Store, Swap, Table, error::StoreError};
use sha3::{Digest, Keccak256};
use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
};

/// The newest format of backups this library writes and reads.
pub const BACKUP_FORMAT: u32 = 1;

const MAGIC: &[u8; 14] = b"cheque-backup\n";
const END: u8 = 0;

/// The longest value a backup may hold, so that a damaged length takes no memory.
const MAX_VALUE: u64 = 1 << 30;

/// Bounds of one write into the restored store: one commit each, and memory.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 4 << 20;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Records.
    pub records: u64,
    /// Bytes of the backup.
    pub bytes: u64,
}

/// Why a backup could not be made. What was written of it is no backup: it has no end, and [`restore`] refuses it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup could not be written.
    #[error("the backup cannot be written: {0}")]
    Write(io::Error),
}

/// Why a backup could not be restored. No record was written, except before [`Self::Interrupted`]; a restore that could
/// not even be noted as begun, as [`Self::Store`] with an unknown outcome, may leave the store marked as such.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has records. A restore adds to nothing and replaces nothing.
    #[error("the store is not empty, it has records in {}: restore into a new one", table.name())]
    NotEmpty {
        /// A table with records.
        table: Table,
    },
    /// Another restore into this store has begun, and is under way or was interrupted.
    #[error("another restore into this store has begun: restore into a new one")]
    Begun,
    /// The backup could not be read.
    #[error("the backup cannot be read: {0}")]
    Read(io::Error),
    /// The file is something else.
    #[error("this is no backup of a cheque store")]
    Foreign,
    /// A later version of this library wrote the backup.
    #[error(
        "the backup has format {found}, and this program reads formats up to {BACKUP_FORMAT}: use a newer program"
    )]
    Newer {
        /// The backup's format.
        found: u32,
    },
    /// The backup is cut off, or was changed.
    #[error("the backup is damaged or incomplete, {what} at byte {at}: use another one")]
    Damaged {
        /// Where it was noticed, in bytes from the beginning.
        at: u64,
        /// What was noticed.
        what: &'static str,
    },
    /// The backup is not the one that was checked a moment before.
    #[error("the backup was changed while it was read")]
    Changed,
    /// The restore failed half-way. The store holds a part of the records, and is refused when it is opened again.
    #[error("the restore failed half-way, remove the store and restore into a new one: {0}")]
    Interrupted(Box<RestoreError>),
}

/// Writes all records of `store` as of one moment, and returns how many and how long. Rows are streamed.
///
/// Flushes `to`, but does not make it durable: for a file, sync it afterwards.
pub fn backup(store: &dyn Store, to: impl Write) -> Result<Copied, BackupError> {
    let mut to = Hashed::new(to);
    let mut records = 0;
    let mut written = to.head();
    if written.is_ok() {
        store.scan_all(&mut |table, key, value| {
            records += 1;
            written = to.record(table, key, value);
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
    }
    let finish = |()| to.end(records);
    let bytes = written.and_then(finish).map_err(BackupError::Write)?;
    Ok(Copied { records, bytes })
}

/// Puts all records of a backup into an empty `store`, and returns how many and how long.
///
/// Reads `from` twice: everything is checked before the first record is written. Nobody else may use the store
/// meanwhile. If it fails half-way, the store is marked as such and refuses to be opened.
pub fn restore(mut from: impl Read + Seek, store: &dyn Store) -> Result<Copied, RestoreError> {
    let start = from.stream_position().map_err(RestoreError::Read)?;
    let checked = read_all(&mut from, |_, _, _| Ok(()))?;
    check_empty(store)?;
    let mark = |old: Option<&[u8]>, new: Option<&[u8]>| {
        store.swap(&[Change {
            table: Table::Marks,
            key: RESTORING,
            old,
            new,
        }])
    };
    if mark(None, Some(b""))? != Swap::Done {
        return Err(RestoreError::Begun);
    }
    let mut copy = || -> Result<(), RestoreError> {
        from.seek(SeekFrom::Start(start))
            .map_err(RestoreError::Read)?;
        let mut batch = Batch::new(store);
        let copied = read_all(&mut from, |table, key, value| batch.add(table, key, value))?;
        batch.write()?;
        if copied != checked {
            return Err(RestoreError::Changed);
        }
        match mark(Some(b""), None)? {
            Swap::Done => Ok(()),
            Swap::Conflict { .. } => Err(RestoreError::Begun),
        }
    };
    copy().map_err(|error| RestoreError::Interrupted(Box::new(error)))?;
    Ok(checked)
}

fn check_empty(store: &dyn Store) -> Result<(), RestoreError> {
    let mut found = None;
    store.scan_all(&mut |table, _, _| {
        found = Some(table);
        ControlFlow::Break(())
    })?;
    match found {
        None => Ok(()),
        Some(table) => Err(RestoreError::NotEmpty { table }),
    }
}

/// Calls `each` with every record; fails at the first fault, at the latest at the end.
fn read_all(
    from: impl Read,
    mut each: impl FnMut(Table, Vec<u8>, Vec<u8>) -> Result<(), RestoreError>,
) -> Result<Copied, RestoreError> {
    let mut from = Hashed::new(from);
    if from.array().map_err(|_| RestoreError::Foreign)? != *MAGIC {
        return Err(RestoreError::Foreign);
    }
    let found = u32::from_be_bytes(from.array()?);
    match found {
        BACKUP_FORMAT => {}
        0 => return Err(RestoreError::Foreign),
        _ => return Err(RestoreError::Newer { found }),
    }
    let mut records = 0u64;
    let mut last = None;
    loop {
        let [number] = from.array()?;
        if number == END {
            break;
        }
        let table = table_of(number).ok_or_else(|| from.damaged("an unknown table"))?;
        let key = u64::from(u32::from_be_bytes(from.array()?));
        let value = u64::from_be_bytes(from.array()?);
        if key > MAX_KEY as u64 || value > MAX_VALUE {
            return Err(from.damaged("an impossible length"));
        }
        let (key, value) = (from.bytes(key)?, from.bytes(value)?);
        let place = (table, key.clone());
        if last.is_some_and(|last| last >= place) {
            return Err(from.damaged("a record out of order"));
        }
        last = Some(place);
        records += 1;
        each(table, key, value)?;
    }
    if u64::from_be_bytes(from.array()?) != records {
        return Err(from.damaged("another number of records"));
    }
    let sum = from.sum();
    if from.array()? != sum {
        return Err(from.damaged("another checksum"));
    }
    let bytes = from.at;
    if from.inner.read(&mut [0]).map_err(RestoreError::Read)? != 0 {
        return Err(from.damaged("more than the end"));
    }
    Ok(Copied { records, bytes })
}

fn number_of(table: Table) -> io::Result<u8> {
    let index = Table::ALL.iter().position(|other| *other == table);
    let number = index.and_then(|index| u8::try_from(index + 1).ok());
    number.ok_or_else(|| io::Error::other("a table without records"))
}

fn table_of(number: u8) -> Option<Table> {
    let index = usize::from(number).checked_sub(1)?;
    Table::ALL.get(index).copied()
}

/// A reader or writer that hashes and counts what passes through it.
struct Hashed<T> {
    inner: T,
    hash: Keccak256,
    at: u64,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Keccak256::new(),
            at: 0,
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
    }

    /// The hash of what has passed so far.
    fn sum(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    const fn damaged(&self, what: &'static str) -> RestoreError {
        RestoreError::Damaged { at: self.at, what }
    }
}

impl<W: Write> Hashed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pass(bytes);
        self.inner.write_all(bytes)
    }

    fn head(&mut self) -> io::Result<()> {
        self.put(MAGIC)?;
        self.put(&BACKUP_FORMAT.to_be_bytes())
    }

    fn record(&mut self, table: Table, key: &[u8], value: &[u8]) -> io::Result<()> {
        let key_length = u32::try_from(key.len()).map_err(io::Error::other)?;
        self.put(&[number_of(table)?])?;
        self.put(&key_length.to_be_bytes())?;
        self.put(&(value.len() as u64).to_be_bytes())?;
        self.put(key)?;
        self.put(value)
    }

    fn end(&mut self, records: u64) -> io::Result<u64> {
        self.put(&[END])?;
        self.put(&records.to_be_bytes())?;
        let sum = self.sum();
        self.put(&sum)?;
        self.inner.flush()?;
        Ok(self.at)
    }
}

impl<R: Read> Hashed<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes memory only for what is really there.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, RestoreError> {
        let mut bytes = Vec::new();
        let read = self.inner.by_ref().take(length).read_to_end(&mut bytes);
        read.map_err(RestoreError::Read)?;
        self.pass(&bytes);
        if (bytes.len() as u64) < length {
            return Err(self.damaged("the end is missing"));
        }
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RestoreError> {
        match self.inner.read_exact(bytes) {
            Ok(()) => {
                self.pass(bytes);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("the end is missing"))
            }
            Err(error) => Err(RestoreError::Read(error)),
        }
    }
}

/// Records that are written together.
struct Batch<'a> {
    store: &'a dyn Store,
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    const fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    fn add(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) -> Result<(), RestoreError> {
        self.bytes += key.len() + value.len();
        self.rows.push((table, key, value));
        if self.rows.len() < BATCH_ROWS && self.bytes < BATCH_BYTES {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), RestoreError> {
        let changes: Vec<Change<'_>> = self
            .rows
            .iter()
            .map(|(table, key, value)| Change {
                table: *table,
                key,
                old: None,
                new: Some(value),
            })
            .collect();
        match self.store.swap(&changes)? {
            Swap::Done => {}
            Swap::Conflict { index, .. } => {
                let table = changes[index].table;
                return Err(RestoreError::NotEmpty { table });
            }
        }
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }
}
