//! Disks that fail, fill up and tear writes. Acknowledged writes survive, in the store that continues and in a store
//! reopened on the same disk.

use crate::{
    disk::{Disk, Medium},
    support::{number, rows},
};
use cheque::store::{Change, Redb, Store, StoreError, Swap, Table};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{thread, time::Duration};

const THREADS: u64 = 4;

/// A thread's row: the newest acknowledged value, and the value last tried.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    acknowledged: u64,
    tried: u64,
}

/// Writes from several threads until the disk fails, or `times` each. Every write changes two rows, always equal.
fn write_until_failure(store: &Redb, times: u64) -> Vec<Progress> {
    let start = |thread: u64| {
        let value = store.get(Table::Positions, &thread.to_be_bytes()).unwrap();
        value.map_or(0, |value| number(Some(&value[..8])))
    };
    // Read before the first write fails.
    let starts: Vec<_> = (0..THREADS).map(start).collect();
    let write = |thread: u64, start: u64| {
        let key = thread.to_be_bytes();
        let mut known = Progress {
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
            match store.swap(&[half(Table::Positions), half(Table::Outbox)]) {
                Ok(swap) => assert_eq!(swap, Swap::Done),
                Err(StoreError::Unknown { .. }) => {
                    // Reads never show a write of unknown outcome.
                    if let Ok(value) = store.get(Table::Positions, &key) {
                        let seen = value.map_or(0, |value| number(Some(&value[..8])));
                        assert_eq!(seen, known.acknowledged);
                    }
                    return known;
                }
                // Another thread's write failed first.
                Err(StoreError::Unreachable { .. }) => {
                    known.tried = count;
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
            .zip(starts)
            .map(|(thread, start)| scope.spawn(move || write(thread, start)))
            .collect();
        let known = threads.into_iter().map(|thread| thread.join().unwrap());
        known.collect()
    })
}

fn check(bytes: Vec<u8>, known: &[Progress], what: &str) {
    let store = Redb::open_on(Disk::holding(bytes), what)
        .unwrap_or_else(|error| panic!("{what}: the store does not reopen: {error}"));
    check_store(&store, known, what);
}

/// Asserts that the store has every acknowledged write, none never tried, and no half of a write.
fn check_store(store: &Redb, known: &[Progress], what: &str) {
    let received = rows(store, Table::Positions, b"");
    assert_eq!(
        received,
        rows(store, Table::Outbox, b""),
        "{what}: whole writes"
    );
    for (thread, known) in (0u64..).zip(known) {
        let value = store.get(Table::Positions, &thread.to_be_bytes()).unwrap();
        let kept = value.map_or(0, |value| number(Some(&value[..8])));
        let possible = known.acknowledged..=known.tried;
        assert!(
            possible.contains(&kept),
            "{what}: {kept} is not in {possible:?}"
        );
    }
    // The store also accepts writes.
    let again = write_until_failure(store, 2);
    for (after, before) in again.iter().zip(known) {
        assert!(after.acknowledged >= before.acknowledged + 2);
    }
}

fn fail_at(limit: impl Fn(&mut Medium, u64), kind: &str) {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for round in 0..60 {
        let disk = Disk::default();
        let store = Redb::open_on(disk.clone(), "disk").unwrap();
        let store = store.with_reopen_interval(Duration::ZERO);
        write_until_failure(&store, 3);
        limit(&mut disk.0.lock().unwrap(), round);
        let known = write_until_failure(&store, 200);
        assert!(
            disk.0.lock().unwrap().failed,
            "the disk did not reach its {kind} limit"
        );
        // The store acknowledges nothing meanwhile.
        let late = store.compare_and_set(Table::Trees, b"late", None, b"1");
        let Err(StoreError::Unreachable { .. }) = late else {
            panic!("{kind} {round}: {late:?}");
        };
        let (exited, torn) = (disk.after_exit(), disk.after_power_loss(&mut rng));
        check(exited, &known, &format!("{kind} {round}, process ended"));
        check(torn, &known, &format!("{kind} {round}, power lost"));
        assert_recovers(&disk, &store, &known, &format!("{kind} {round}"), &mut rng);
    }
}

/// Asserts that the store accepts writes again once the disk does, even if the disk fails again while the store reads
/// its state back, and that later acknowledged writes survive a power loss.
fn assert_recovers(
    disk: &Disk,
    store: &Redb,
    known: &[Progress],
    what: &str,
    rng: &mut ChaCha8Rng,
) {
    disk.0.lock().unwrap().heal();
    disk.0.lock().unwrap().writes_left = Some(rng.random_range(0..12));
    let found = store.get(Table::Positions, &0_u64.to_be_bytes());
    disk.0.lock().unwrap().heal();
    if let Ok(value) = found {
        let kept = value.map_or(0, |value| number(Some(&value[..8])));
        assert!((known[0].acknowledged..=known[0].tried).contains(&kept));
    }
    let seen = rows(store, Table::Positions, b"");
    let torn = disk.after_power_loss(rng);
    let durable = Redb::open_on(Disk::holding(torn), what).unwrap();
    assert_eq!(
        rows(&durable, Table::Positions, b""),
        seen,
        "{what}: a read showed rows that a power loss could remove"
    );
    check_store(store, known, &format!("{what}, disk in order"));
    let known = write_until_failure(store, 3);
    let torn = disk.after_power_loss(rng);
    check(torn, &known, &format!("{what}, power lost later"));
}

pub(crate) fn keeps_acknowledged_writes_on_a_full_disk() {
    fail_at(|medium, round| medium.writes_left = Some(round), "write");
}

pub(crate) fn keeps_acknowledged_writes_after_a_failed_sync() {
    fail_at(|medium, round| medium.syncs_left = Some(round), "sync");
}

pub(crate) fn rewrites_data_dropped_by_a_failed_sync() {
    // The data must be on disk again before any caller relies on it.
    fail_at(
        |medium, round| (medium.syncs_left, medium.forgets) = (Some(round), true),
        "forgetful sync",
    );
}

/// Asserts that every call fails with `Unreachable` and the same cause, and returns the cause.
fn unreachable(store: &Redb) -> String {
    let read = store.get(Table::Trees, b"key").map(drop);
    let written = store.compare_and_set(Table::Trees, b"key", None, b"value");
    let scanned = store.scan(Table::Trees, b"", &mut |_, _| {
        panic!("the scan of an unreachable store shows rows")
    });
    let refused = [read, written.map(drop), scanned];
    let [first, second, third] = refused.map(|refused| match refused {
        Err(StoreError::Unreachable { cause, .. }) => cause.to_string(),
        other => panic!("{other:?}"),
    });
    assert_eq!((&first, &first), (&second, &third));
    first
}

pub(crate) fn reopens_a_failing_disk_once_per_pause() {
    let disk = Disk::default();
    let store = Redb::open_on(disk.clone(), "disk").unwrap();
    let store = store.with_reopen_interval(Duration::MAX);
    let uses = || disk.0.lock().unwrap().uses;
    let fails = || {
        disk.0.lock().unwrap().writes_left = Some(0);
        let written = store.compare_and_set(Table::Trees, b"key", None, b"value");
        assert!(matches!(written, Err(StoreError::Unknown { .. })));
        uses()
    };
    // After the first failure the store reopens without a pause.
    fails();
    disk.0.lock().unwrap().heal();
    assert_eq!(store.get(Table::Trees, b"key").unwrap(), None);
    let before = fails();
    let again = unreachable(&store);
    assert!(again.contains("failed again"), "{again}");
    assert_eq!(uses(), before, "within the pause no call uses the disk");

    let store = store.with_reopen_interval(Duration::ZERO);
    let why = unreachable(&store);
    let tried = uses();
    assert_eq!(unreachable(&store), why);
    assert!(
        uses() > tried,
        "without a pause every call reopens the disk"
    );
    let store = store.with_reopen_interval(Duration::MAX);
    disk.0.lock().unwrap().heal();
    let before = uses();
    assert_eq!(unreachable(&store), why, "the cause of the last attempt");
    assert_eq!(uses(), before);
    let store = store.with_reopen_interval(Duration::ZERO);
    let written = store.compare_and_set(Table::Trees, b"key", None, b"value");
    assert_eq!(written.unwrap(), Swap::Done);
}

pub(crate) fn keeps_acknowledged_writes_after_torn_writes() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for round in 0..60 {
        let disk = Disk::default();
        let store = Redb::open_on(disk.clone(), "disk").unwrap();
        let times = rng.random_range(1..20);
        let known = write_until_failure(&store, times);
        assert!(known.iter().all(|known| known.acknowledged == times));
        check(
            disk.after_power_loss(&mut rng),
            &known,
            &format!("round {round}"),
        );
    }
}

pub(crate) fn keeps_whole_commits_or_none_after_a_power_loss() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    for round in 0..25 {
        let disk = Disk::default();
        let store = Redb::open_on(disk.clone(), "disk").unwrap();
        write_until_failure(&store, 3);
        // The power fails while threads write, so the acknowledged values are a lower bound.
        let stop = rng.random_range(1..400);
        disk.0.lock().unwrap().writes_left = Some(stop);
        let known = write_until_failure(&store, 400);
        for _ in 0..3 {
            let torn = disk.after_power_loss(&mut rng);
            check(torn, &known, &format!("round {round}, after {stop} writes"));
        }
    }
}
