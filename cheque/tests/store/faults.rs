//! Disks that fail, fill up and tear: what was acknowledged is there afterwards, for the store that goes on and for one
//! that is opened anew.

use crate::{
    conformance::{number, rows},
    disk::{Disk, Medium},
};
use cheque::store::{Change, Redb, Store, StoreError, Swap, Table};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{thread, time::Duration};

const THREADS: u64 = 4;

/// What a thread knows of its row: the newest acknowledged value, and the one it tried to write after it.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    acknowledged: u64,
    tried: u64,
}

/// Lets threads write until the disk fails, or `times` each. Every write is two rows that must stay equal.
fn write_until_it_fails(store: &Redb, times: u64) -> Vec<Known> {
    let start = |thread: u64| {
        let value = store.get(Table::Received, &thread.to_be_bytes()).unwrap();
        value.map_or(0, |value| number(Some(&value[..8])))
    };
    // Before the first one fails.
    let starts: Vec<_> = (0..THREADS).map(start).collect();
    let write = |thread: u64, start: u64| {
        let key = thread.to_be_bytes();
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
                // After another thread's.
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

fn check(bytes: Vec<u8>, known: &[Known], what: &str) {
    let store = Redb::open_on(Disk::holding(bytes), what)
        .unwrap_or_else(|error| panic!("{what}: it opens again: {error}"));
    check_store(&store, known, what);
}

/// Everything acknowledged is there, nothing that nobody tried, and no half of a write.
fn check_store(store: &Redb, known: &[Known], what: &str) {
    let received = rows(store, Table::Received, b"");
    assert_eq!(
        received,
        rows(store, Table::Outbox, b""),
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
    let again = write_until_it_fails(store, 2);
    for (after, before) in again.iter().zip(known) {
        assert!(after.acknowledged >= before.acknowledged + 2);
    }
}

fn fail_at(limit: impl Fn(&mut Medium, u64), kind: &str) {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for round in 0..60 {
        let disk = Disk::default();
        let store = Redb::open_on(disk.clone(), "disk").unwrap();
        let store = store.with_pause(Duration::ZERO);
        write_until_it_fails(&store, 3);
        limit(&mut disk.0.lock().unwrap(), round);
        let known = write_until_it_fails(&store, 200);
        assert!(
            disk.0.lock().unwrap().failed,
            "the {kind} limit was reached"
        );
        // Nothing is acknowledged meanwhile.
        let late = store.compare_and_set(Table::Trees, b"late", None, b"1");
        let Err(StoreError::Unreachable { .. }) = late else {
            panic!("{kind} {round}: {late:?}");
        };
        let (exited, torn) = (disk.after_exit(), disk.after_power_loss(&mut rng));
        check(exited, &known, &format!("{kind} {round}, process ended"));
        check(torn, &known, &format!("{kind} {round}, power lost"));
        goes_on(&disk, &store, &known, &format!("{kind} {round}"), &mut rng);
    }
}

/// The same store takes writes again when the disk does, though it fails once more while the store finds out what is
/// there, and nothing that is acknowledged from then on is lost with the power.
fn goes_on(disk: &Disk, store: &Redb, known: &[Known], what: &str, rng: &mut ChaCha8Rng) {
    disk.0.lock().unwrap().heal();
    disk.0.lock().unwrap().writes_left = Some(rng.random_range(0..12));
    let found = store.get(Table::Received, &0_u64.to_be_bytes());
    disk.0.lock().unwrap().heal();
    if let Ok(value) = found {
        let kept = value.map_or(0, |value| number(Some(&value[..8])));
        assert!((known[0].acknowledged..=known[0].tried).contains(&kept));
    }
    let seen = rows(store, Table::Received, b"");
    let torn = disk.after_power_loss(rng);
    let durable = Redb::open_on(Disk::holding(torn), what).unwrap();
    assert_eq!(
        rows(&durable, Table::Received, b""),
        seen,
        "{what}: nobody reads what the power could take"
    );
    check_store(store, known, &format!("{what}, disk in order"));
    let known = write_until_it_fails(store, 3);
    let torn = disk.after_power_loss(rng);
    check(torn, &known, &format!("{what}, power lost later"));
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
fn what_a_failed_sync_has_given_up_is_written_again_before_anybody_relies_on_it() {
    fail_at(
        |medium, round| (medium.syncs_left, medium.forgets) = (Some(round), true),
        "forgetful sync",
    );
}

/// Whatever is asked of the store, it cannot be reached; this is why.
fn unreachable(store: &Redb) -> String {
    let read = store.get(Table::Trees, b"key").map(drop);
    let written = store.compare_and_set(Table::Trees, b"key", None, b"value");
    let scanned = store.scan(Table::Trees, b"", &mut |_, _| panic!("there is nothing"));
    let refused = [read, written.map(drop), scanned];
    let [first, second, third] = refused.map(|refused| match refused {
        Err(StoreError::Unreachable { cause, .. }) => cause.to_string(),
        other => panic!("{other:?}"),
    });
    assert_eq!((&first, &first), (&second, &third));
    first
}

#[test]
fn a_disk_that_goes_on_failing_is_opened_once_in_a_pause_and_left_alone_by_all_other_calls() {
    let disk = Disk::default();
    let store = Redb::open_on(disk.clone(), "disk").unwrap();
    let store = store.with_pause(Duration::MAX);
    let uses = || disk.0.lock().unwrap().uses;
    let fails = || {
        disk.0.lock().unwrap().writes_left = Some(0);
        let written = store.compare_and_set(Table::Trees, b"key", None, b"value");
        assert!(matches!(written, Err(StoreError::Unknown { .. })));
        uses()
    };
    // After the first failure, there is nothing to wait for.
    fails();
    disk.0.lock().unwrap().heal();
    assert_eq!(store.get(Table::Trees, b"key").unwrap(), None);
    let before = fails();
    let again = unreachable(&store);
    assert!(again.contains("failed again"), "{again}");
    assert_eq!(uses(), before, "opened just before");

    let store = store.with_pause(Duration::ZERO);
    let why = unreachable(&store);
    let tried = uses();
    assert_eq!(unreachable(&store), why);
    assert!(uses() > tried, "without a pause every call tries");
    let store = store.with_pause(Duration::MAX);
    disk.0.lock().unwrap().heal();
    let before = uses();
    assert_eq!(unreachable(&store), why, "as the last opening has found");
    assert_eq!(uses(), before);
    let store = store.with_pause(Duration::ZERO);
    let written = store.compare_and_set(Table::Trees, b"key", None, b"value");
    assert_eq!(written.unwrap(), Swap::Done);
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
