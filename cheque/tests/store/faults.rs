//! Disks that fail, fill up and tear: what was acknowledged is there after the file is opened again.

use crate::conformance::{number, rows};
use cheque::store::{Change, Redb, Store, StoreError, Swap, Table};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;
use std::{
    io,
    sync::{Arc, Mutex},
    thread,
};

/// What a disk was asked to do since it last confirmed that everything is safe.
#[derive(Clone, Debug)]
enum Write {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
struct Medium {
    /// What survives a loss of power for certain.
    safe: Vec<u8>,
    /// What reads see.
    seen: Vec<u8>,
    unsafe_writes: Vec<Write>,
    /// How many more writes succeed, and how many more syncs. `None`: all.
    writes_left: Option<u64>,
    syncs_left: Option<u64>,
    failed: bool,
}

/// A disk in memory that does as it is told. Clones are the same disk.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Medium>>);

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
    fn holding(bytes: Vec<u8>) -> Self {
        let medium = Medium {
            safe: bytes.clone(),
            seen: bytes,
            ..Medium::default()
        };
        Self(Arc::new(Mutex::new(medium)))
    }

    fn write(&self, write: Write) -> io::Result<()> {
        let mut medium = self.0.lock().unwrap();
        let done = count_down(&mut medium.writes_left, io::ErrorKind::StorageFull);
        medium.failed |= done.is_err();
        done?;
        apply(&mut medium.seen, &write);
        medium.unsafe_writes.push(write);
        Ok(())
    }

    /// What is on it after a loss of power: of what was not safe, any part, in any order, torn anywhere.
    fn after_power_loss(&self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        let medium = self.0.lock().unwrap();
        let mut bytes = medium.safe.clone();
        let keep = rng.random_range(0..=4);
        for write in &medium.unsafe_writes {
            match write {
                // A file system keeps its lengths in order.
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

    /// What is on it after the process ended: all that it has written.
    fn after_exit(&self) -> Vec<u8> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let medium = self.0.lock().unwrap();
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
        let mut medium = self.0.lock().unwrap();
        let done = count_down(&mut medium.syncs_left, io::ErrorKind::Other);
        medium.failed |= done.is_err();
        done?;
        medium.unsafe_writes.clear();
        medium.safe = medium.seen.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Self::write(self, Write::Bytes(offset, data.to_vec()))
    }
}

const THREADS: u64 = 4;

/// What a thread knows of its row: the newest acknowledged value, and the one it tried to write after it.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    acknowledged: u64,
    tried: u64,
}

/// Lets threads write until the disk fails, or `times` each. Every write is two rows that must stay equal.
fn write_until_it_fails(store: &Redb, times: u64) -> Vec<Known> {
    let write = |thread: u64| {
        let key = thread.to_be_bytes();
        let value = store.get(Table::Received, &key);
        let start = value.ok().flatten();
        let start = start.map_or(0, |value| number(Some(&value[..8])));
        let mut known = Known {
            acknowledged: start,
            tried: start,
        };
        for count in start..start + times {
            known.tried = count + 1;
            let row = |count: u64| (count > 0).then(|| count.to_be_bytes().repeat(100));
            let (old, new) = (row(count), row(count + 1));
            let half = |table| Change {
                table,
                key: &key,
                old: old.as_deref(),
                new: new.as_deref(),
            };
            match store.swap(&[half(Table::Received), half(Table::Outbox)]) {
                Ok(swap) => assert_eq!(swap, Swap::Done),
                Err(StoreError::Unknown { .. }) => {
                    // Nobody reads what may not be there after all.
                    if let Ok(value) = store.get(Table::Received, &key) {
                        let seen = value.map_or(0, |value| number(Some(&value[..8])));
                        assert_eq!(seen, known.acknowledged);
                    }
                    return known;
                }
                Err(error) => panic!("{error}"),
            }
            known.acknowledged = count + 1;
        }
        known
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || write(thread)))
            .collect();
        let known = threads.into_iter().map(|thread| thread.join().unwrap());
        known.collect()
    })
}

/// Everything acknowledged is there, nothing that nobody tried, and no half of a write.
fn check(bytes: Vec<u8>, known: &[Known], what: &str) {
    let store = Redb::open_on(Disk::holding(bytes), what)
        .unwrap_or_else(|error| panic!("{what}: it opens again: {error}"));
    let received = rows(&store, Table::Received, b"");
    assert_eq!(
        received,
        rows(&store, Table::Outbox, b""),
        "{what}: whole writes"
    );
    for (thread, known) in (0u64..).zip(known) {
        let value = store.get(Table::Received, &thread.to_be_bytes()).unwrap();
        let kept = value.map_or(0, |value| number(Some(&value[..8])));
        let possible = known.acknowledged..=known.tried;
        assert!(
            possible.contains(&kept),
            "{what}: {kept} is not in {possible:?}"
        );
    }
    // It is not only readable.
    let again = write_until_it_fails(&store, 2);
    for (after, before) in again.iter().zip(known) {
        assert!(after.acknowledged >= before.acknowledged + 2);
    }
}

fn fail_at(limit: impl Fn(&mut Medium, u64), kind: &str) {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for round in 0..60 {
        let disk = Disk::default();
        let store = Redb::open_on(disk.clone(), "disk").unwrap();
        write_until_it_fails(&store, 3);
        limit(&mut disk.0.lock().unwrap(), round);
        let known = write_until_it_fails(&store, 200);
        assert!(
            disk.0.lock().unwrap().failed,
            "the {kind} limit was reached"
        );
        // Nothing is acknowledged any more until it is opened again.
        let late = store.compare_and_set(Table::Trees, b"late", None, b"1");
        assert!(late.is_err());
        let torn = disk.after_power_loss(&mut rng);
        drop(store);
        check(
            disk.after_exit(),
            &known,
            &format!("{kind} {round}, process ended"),
        );
        check(torn, &known, &format!("{kind} {round}, power lost"));
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    fail_at(|medium, round| medium.writes_left = Some(round), "write");
}

#[test]
fn a_failed_sync_loses_nothing_that_was_acknowledged() {
    fail_at(|medium, round| medium.syncs_left = Some(round), "sync");
}

#[test]
fn torn_and_lost_writes_lose_nothing_that_was_acknowledged() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for round in 0..60 {
        let disk = Disk::default();
        let store = Redb::open_on(disk.clone(), "disk").unwrap();
        let times = rng.random_range(1..20);
        let known = write_until_it_fails(&store, times);
        assert!(known.iter().all(|known| known.acknowledged == times));
        check(
            disk.after_power_loss(&mut rng),
            &known,
            &format!("round {round}"),
        );
    }
}

#[test]
fn power_lost_in_the_middle_of_a_commit_leaves_all_of_it_or_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    for round in 0..25 {
        let disk = Disk::default();
        let store = Redb::open_on(disk.clone(), "disk").unwrap();
        write_until_it_fails(&store, 3);
        // The power goes while threads write: what was acknowledged by then is a lower bound.
        let stop = rng.random_range(1..400);
        disk.0.lock().unwrap().writes_left = Some(stop);
        let known = write_until_it_fails(&store, 400);
        for _ in 0..3 {
            let torn = disk.after_power_loss(&mut rng);
            check(torn, &known, &format!("round {round}, after {stop} writes"));
        }
    }
}
