//! The format of a backup.
//!
//! ```text
//! file    = "cheque-backup" ‖ 0x0a ‖ format (4 bytes) ‖ record* ‖ 0x00 ‖ number of records (8) ‖ checksum (32)
//! record  = table (1: 1 deposits, 2 trees, 3 accounts, 4 positions, 5 outbox, 6 app, 7 seeds, 8 receipts)
//!           ‖ key length (4) ‖ value length (8) ‖ key ‖ value
//! ```
//!
//! Integers are big-endian. Records are sorted by table and key. The checksum is keccak256 of all bytes before it: it
//! detects damage, not forgery.

use crate::store::{
    backup::error::{BACKUP_FORMAT, RestoreError},
    table::{MAX_KEY, Table},
};
use sha3::{Digest, Keccak256};
use std::io::{self, Read, Write};

const MAGIC: &[u8; 14] = b"cheque-backup\n";
const END: u8 = 0;

/// The longest value in a backup, so that a damaged length takes no memory.
const MAX_VALUE: u64 = 1 << 30;

/// The size of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSize {
    /// The number of records.
    pub records: u64,
    /// The length in bytes.
    pub bytes: u64,
}

/// Calls `each` with every record. Fails at the first fault, at the latest at the end.
pub(super) fn read_all(
    from: impl Read,
    mut each: impl FnMut(Table, Vec<u8>, Vec<u8>) -> Result<(), RestoreError>,
) -> Result<BackupSize, RestoreError> {
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
    Ok(BackupSize { records, bytes })
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

/// A reader or writer that hashes and counts all bytes.
pub(super) struct Hashed<T> {
    inner: T,
    hash: Keccak256,
    at: u64,
}

impl<T> Hashed<T> {
    pub(super) fn new(inner: T) -> Self {
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

    /// Returns the hash of all bytes so far.
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

    pub(super) fn head(&mut self) -> io::Result<()> {
        self.put(MAGIC)?;
        self.put(&BACKUP_FORMAT.to_be_bytes())
    }

    pub(super) fn record(&mut self, table: Table, key: &[u8], value: &[u8]) -> io::Result<()> {
        let key_length = u32::try_from(key.len()).map_err(io::Error::other)?;
        self.put(&[number_of(table)?])?;
        self.put(&key_length.to_be_bytes())?;
        self.put(&(value.len() as u64).to_be_bytes())?;
        self.put(key)?;
        self.put(value)
    }

    /// Writes the end, and returns the length of the backup in bytes.
    pub(super) fn end(&mut self, records: u64) -> io::Result<u64> {
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

    /// Reads `length` bytes. Allocates for bytes present only, whatever `length` claims.
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
