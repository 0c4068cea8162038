//! A disk in memory that runs full, fails to sync, and loses power on request.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// A write since the last successful sync.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Medium {
    /// Bytes that survive a power failure.
    safe: Vec<u8>,
    /// Bytes visible to reads.
    seen: Vec<u8>,
    unsafe_writes: Vec<Write>,
    /// Number of further writes, and of further syncs, that succeed. `None`: all.
    pub(crate) writes_left: Option<u64>,
    pub(crate) syncs_left: Option<u64>,
    /// A failed sync drops the unsafe writes: reads still see them, and the next sync succeeds without
    /// them.
    pub(crate) forgets: bool,
    pub(crate) failed: bool,
    /// Number of requests.
    pub(crate) uses: u64,
}

/// A handle to the disk. Clones share the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(pub(crate) Arc<Mutex<Medium>>);

fn apply(bytes: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Length(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        Write::Bytes(offset, data) => {
            let start = usize::try_from(*offset).unwrap();
            let end = start + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(data);
        }
    }
}

fn count_down(left: &mut Option<u64>, kind: io::ErrorKind) -> io::Result<()> {
    match left {
        Some(0) => Err(kind.into()),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

impl Disk {
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let medium = Medium {
            safe: bytes.clone(),
            seen: bytes,
            ..Medium::default()
        };
        Self(Arc::new(Mutex::new(medium)))
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        let mut medium = self.0.lock().unwrap();
        medium.uses += 1;
        medium
    }

    fn write(&self, write: Write) -> io::Result<()> {
        let mut medium = self.medium();
        let done = count_down(&mut medium.writes_left, io::ErrorKind::StorageFull);
        medium.failed |= done.is_err();
        done?;
        apply(&mut medium.seen, &write);
        medium.unsafe_writes.push(write);
        Ok(())
    }

    /// Content after a power failure: any part of the unsafe writes, in any order, torn anywhere.
    pub(crate) fn after_power_loss(&self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        let medium = self.0.lock().unwrap();
        let mut bytes = medium.safe.clone();
        let keep = rng.random_range(0..=4);
        for write in &medium.unsafe_writes {
            match write {
                // File systems keep changes of length in order.
                Write::Length(_) => apply(&mut bytes, write),
                Write::Bytes(..) if rng.random_range(0..4) >= keep => {}
                Write::Bytes(offset, data) => {
                    let whole = rng.random_range(0..4) > 0;
                    let length = if whole {
                        data.len()
                    } else {
                        rng.random_range(0..=data.len())
                    };
                    apply(&mut bytes, &Write::Bytes(*offset, data[..length].to_vec()));
                }
            }
        }
        bytes
    }

    /// Content after the end of the process: all writes.
    pub(crate) fn after_exit(&self) -> Vec<u8> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl Medium {
    /// Makes writes and syncs succeed again.
    pub(crate) fn heal(&mut self) {
        (self.writes_left, self.syncs_left) = (None, None);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.medium().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let medium = self.medium();
        let start = usize::try_from(offset).unwrap();
        let bytes = medium.seen.get(start..start + out.len());
        let bytes = bytes.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.write(Write::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut medium = self.medium();
        let done = count_down(&mut medium.syncs_left, io::ErrorKind::Other);
        medium.failed |= done.is_err();
        let medium = &mut *medium;
        if done.is_err() && medium.forgets {
            // File systems keep changes of length.
            let is_length = |write: &Write| matches!(write, Write::Length(_));
            medium.unsafe_writes.retain(is_length);
        }
        done?;
        for write in medium.unsafe_writes.drain(..) {
            apply(&mut medium.safe, &write);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Self::write(self, Write::Bytes(offset, data.to_vec()))
    }
}
