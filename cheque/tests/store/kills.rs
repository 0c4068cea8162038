//! A process with many threads is killed while groups are committed, and has lost nothing that it had acknowledged.

use crate::{conformance::number, repeat::kills};
use cheque::store::{Change, Redb, Store, Swap, Table};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    thread,
};

const PLACE: &str = "CHEQUE_TEST_KILLS";
const THREADS: u64 = 8;

fn open(place: &str) -> Box<dyn Store> {
    #[cfg(feature = "postgres")]
    if place.starts_with("postgres://") {
        return Box::new(cheque::store::Postgres::open(place).unwrap());
    }
    Box::new(Redb::open(place).unwrap())
}

/// Not a statement of its own: what is run as another process. Each write is two rows that must stay equal.
#[test]
fn process() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let store = open(&place);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &*store;
            scope.spawn(move || {
                let key = thread.to_be_bytes();
                let mut old = store.get(Table::Received, &key).unwrap();
                loop {
                    let count = number(old.as_deref()) + 1;
                    let new = count.to_be_bytes();
                    let half = |table| Change {
                        table,
                        key: &key,
                        old: old.as_deref(),
                        new: Some(&new),
                    };
                    let both = [half(Table::Received), half(Table::Outbox)];
                    assert_eq!(store.swap(&both).unwrap(), Swap::Done);
                    // What was written to standard output has left the process, and counts.
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "> {thread} {count}").unwrap();
                    out.flush().unwrap();
                    old = Some(new.to_vec());
                }
            });
        }
    });
}

/// Runs the process until it has said `lines` lines, kills it, and adds all it has said to `acknowledged`.
fn kill_after(place: &str, lines: usize, acknowledged: &mut BTreeMap<u64, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::process", "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let (mut line, mut count) = (String::new(), 0);
    // A line that the process did not finish has not left it.
    while said.read_line(&mut line).is_ok() && line.ends_with('\n') {
        // The test harness may have begun the line with something of its own.
        if let Some((_, said)) = line.trim_end().split_once("> ") {
            let (thread, newest) = said.split_once(' ').unwrap();
            let newest = newest.parse().unwrap();
            let before = acknowledged.insert(thread.parse().unwrap(), newest);
            assert!(
                before.is_none_or(|before| before < newest),
                "never backwards"
            );
            count += 1;
            if count == lines {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(count >= lines, "the process does not work");
}

pub(crate) fn kill_again_and_again(place: &str) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut acknowledged = BTreeMap::new();
    let kills = kills();
    for _ in 0..kills {
        kill_after(place, rng.random_range(1..300), &mut acknowledged);
        let store = open(place);
        for thread in 0..THREADS {
            let row = |table| store.get(table, &thread.to_be_bytes()).unwrap();
            let (kept, other) = (row(Table::Received), row(Table::Outbox));
            assert_eq!(kept, other, "no write is there by half");
            let kept = number(kept.as_deref());
            let said = acknowledged.get(&thread).copied().unwrap_or(0);
            assert!(kept >= said, "acknowledged {said}, kept {kept}");
            assert!(
                kept <= said + 1,
                "at most one write had no time to be acknowledged"
            );
            // The next process goes on from there.
            acknowledged.insert(thread, kept);
        }
    }
    assert!(acknowledged.values().sum::<u64>() > kills as u64);
}

#[test]
fn killed_again_and_again_a_file_keeps_every_acknowledged_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    kill_again_and_again(path.to_str().unwrap());
}
