//! Backup and restore: all records of a store in a file that every store can read.

pub(crate) mod error;
pub(crate) mod format;

#[cfg(any(feature = "redb", feature = "postgres"))]
use crate::store::error::StoreError;
use crate::store::{
    backup::{
        error::{BackupError, RestoreError},
        format::{BackupSize, Hashed, read_all},
    },
    change::{Change, Swap},
    interface::Store,
    table::Table,
};
use std::{
    io::{Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
};

/// Bounds of a write into the restored store: each is a commit, held in memory.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 4 << 20;

/// The key in [`Table::Marks`] of an unfinished restore.
const RESTORING: &[u8] = b"restoring";

/// Writes all records of `store` as of the same moment, row by row, and returns the size of the backup.
///
/// The backup is as secret as the store. Flushes `to`, but does not make it durable: sync a file afterwards.
///
/// # Errors
///
/// Fails if the store cannot be read or `to` cannot be written. An unfinished backup cannot be restored.
pub fn backup(store: &dyn Store, to: impl Write) -> Result<BackupSize, BackupError> {
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
    Ok(BackupSize { records, bytes })
}

/// Writes all records of a backup into an empty `store`, and returns the size of the backup.
///
/// Reads `from` twice: checks the whole backup before the first record is written. The checksum does not prove who
/// wrote the backup. The caller must keep others from using the store meanwhile.
///
/// # Errors
///
/// Fails if the backup is damaged, of a newer format or not a backup, or if the store has records; nothing is written
/// then. A failure half-way is [`RestoreError::Interrupted`]: from then on opening the store fails with
/// [`StoreError::HalfRestored`](crate::store::StoreError::HalfRestored).
pub fn restore(mut from: impl Read + Seek, store: &dyn Store) -> Result<BackupSize, RestoreError> {
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
        let mut batch = WriteBatch::new(store);
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

/// Rejects a store with a part of a backup.
#[cfg(any(feature = "redb", feature = "postgres"))]
pub(super) fn check_not_half_restored(
    store: &dyn Store,
    path: &std::path::Path,
) -> Result<(), StoreError> {
    match store.get(Table::Marks, RESTORING)? {
        None => Ok(()),
        Some(_) => Err(StoreError::HalfRestored {
            path: path.to_path_buf(),
        }),
    }
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

/// Records that are written in the same swap.
struct WriteBatch<'a> {
    store: &'a dyn Store,
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl<'a> WriteBatch<'a> {
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
