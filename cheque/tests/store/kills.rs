//! A process with many threads is killed while the store commits. Every acknowledged write survives.

use crate::{
    harness::kills,
    process::{Process, say},
    support::number,
};
use cheque::store::{Change, Redb, Store, Swap, Table};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, thread};

const PLACE: &str = "CHEQUE_TEST_PLACE";
const THREADS: u64 = 8;

fn open(place: &str) -> Box<dyn Store> {
    #[cfg(feature = "postgres")]
    if place.starts_with("postgres://") {
        return Box::new(cheque::store::Postgres::open(place).unwrap());
    }
    Box::new(Redb::open(place).unwrap())
}

/// Role: writes from many threads until killed. Each write changes two rows, always equal.
pub(crate) fn run_writer() {
    let store = open(&std::env::var(PLACE).unwrap());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &*store;
            scope.spawn(move || {
                let key = thread.to_be_bytes();
                let mut old = store.get(Table::Positions, &key).unwrap();
                loop {
                    let count = number(old.as_deref()) + 1;
                    let new = count.to_be_bytes();
                    let half = |table| Change {
                        table,
                        key: &key,
                        old: old.as_deref(),
                        new: Some(&new),
                    };
                    let both = [half(Table::Positions), half(Table::Outbox)];
                    assert_eq!(store.swap(&both).unwrap(), Swap::Done);
                    say(&format!("{thread} {count}"));
                    old = Some(new.to_vec());
                }
            });
        }
    });
}

/// Kills the writer after `lines` acknowledged writes, and adds all of them to `acknowledged`.
fn kill_after(place: &str, lines: usize, acknowledged: &mut BTreeMap<u64, u64>) {
    let mut writer = Process::start("writer", &[(PLACE, place)]);
    let said = writer.kill_after(lines, 0);
    assert!(said.len() >= lines, "the writer ended early: {said:?}");
    for line in said {
        let (thread, newest) = line.split_once(' ').unwrap();
        let newest = newest.parse().unwrap();
        let before = acknowledged.insert(thread.parse().unwrap(), newest);
        assert!(
            before.is_none_or(|before| before < newest),
            "a thread's counter went backwards"
        );
    }
}

fn kill_repeatedly(place: &str) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut acknowledged = BTreeMap::new();
    let kills = kills();
    for _ in 0..kills {
        kill_after(place, rng.random_range(1..300), &mut acknowledged);
        let store = open(place);
        for thread in 0..THREADS {
            let row = |table| store.get(table, &thread.to_be_bytes()).unwrap();
            let (kept, other) = (row(Table::Positions), row(Table::Outbox));
            assert_eq!(kept, other, "half of a write was kept");
            let kept = number(kept.as_deref());
            let said = acknowledged.get(&thread).copied().unwrap_or(0);
            assert!(kept >= said, "acknowledged {said}, kept {kept}");
            assert!(
                kept <= said + 1,
                "acknowledged {said}, kept {kept}: at most one write can miss its acknowledgement"
            );
            // The next writer continues from the kept value.
            acknowledged.insert(thread, kept);
        }
    }
    assert!(acknowledged.values().sum::<u64>() > kills as u64);
}

pub(crate) fn killed_writers_lose_no_acknowledged_write_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    kill_repeatedly(path.to_str().unwrap());
}

#[cfg(feature = "postgres")]
pub(crate) fn killed_writers_lose_no_acknowledged_write_in_a_database() {
    let server = crate::postgres::Server::shared();
    kill_repeatedly(&server.database());
}
