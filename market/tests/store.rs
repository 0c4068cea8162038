//! What every store must do; and that a killed process loses nothing that its store acknowledged.

#![cfg(all(feature = "cheque", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cheque_market::{
    balance::{BalanceSettings, BalanceTracker, ChangeBalanceError},
    store::{Batch, ChequeStore, Memory, OpenStoreError, Redb, Store},
    value::ExpirationRate,
};
use std::{
    io::{self, BufRead, BufReader, Write},
    num::NonZeroU64,
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const FILE: &str = "CHEQUE_MARKET_TEST_STORE";

fn batch(writes: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in writes {
        match value {
            Some(value) => batch.put(*key, *value),
            None => batch.delete(*key),
        }
    }
    batch
}

fn rows(store: &impl Store, prefix: &str, from: &str, most: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let visit = &mut |key: &[u8], value: &[u8]| {
        found.push((text(key), text(value)));
        match found.len() == most {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    store
        .scan(prefix.as_bytes(), from.as_bytes(), visit)
        .unwrap();
    found
}

fn conforms(store: &impl Store) {
    assert_eq!(store.get(b"a").unwrap(), None);
    let all = [
        ("a", Some("1")),
        ("b", Some("")),
        ("b1", Some("3")),
        ("b2", Some("4")),
        ("c", Some("5")),
        ("gone", Some("6")),
    ];
    store.write(&batch(&all)).unwrap();
    store
        .write(&batch(&[("gone", None), ("never", None), ("a", Some("7"))]))
        .unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"7");
    assert_eq!(store.get(b"b").unwrap().unwrap(), b"");
    assert_eq!(store.get(b"gone").unwrap(), None);
    let keys = |prefix, from, most| -> Vec<String> {
        let found = rows(store, prefix, from, most);
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys("", "", 9), ["a", "b", "b1", "b2", "c"]);
    assert_eq!(keys("b", "", 9), ["b", "b1", "b2"]);
    assert_eq!(keys("b", "11", 9), ["b2"]);
    assert_eq!(keys("b", "", 2), ["b", "b1"]);
    assert!(keys("d", "", 9).is_empty());
    // What a scan sees is one moment, and the store can be used meanwhile.
    let mut seen = 0;
    let visit = &mut |_: &[u8], _: &[u8]| {
        seen += 1;
        store.write(&batch(&[("b3", Some("8"))])).unwrap();
        ControlFlow::Continue(())
    };
    store.scan(b"b", b"", visit).unwrap();
    assert_eq!(seen, 3);
    assert_eq!(store.get(b"b3").unwrap().unwrap(), b"8");
}

#[test]
fn stores_do_what_they_promise() {
    let directory = tempfile::tempdir().unwrap();
    conforms(&Memory::new());
    conforms(&Redb::open(directory.path().join("market.redb")).unwrap());
    let in_memory = Arc::new(cheque::store::Memory::new());
    conforms(&ChequeStore::new(in_memory, b""));
}

#[test]
fn a_store_is_as_it_was_when_it_is_opened_again_and_open_only_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    let store = Redb::open(&path).unwrap();
    store.write(&batch(&[("a", Some("1"))])).unwrap();
    let second = Redb::open(&path).unwrap_err();
    assert!(matches!(second, OpenStoreError::Locked { .. }), "{second}");
    drop(store);
    let store = Redb::open(&path).unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"1");
}

#[test]
fn files_of_other_programs_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "remember the milk".repeat(99)).unwrap();
    let refused = Redb::open(&path).unwrap_err();
    assert!(matches!(refused, OpenStoreError::Foreign { .. }));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "remember the milk".repeat(99)
    );
    let nowhere = Redb::open(directory.path().join("none/market.redb")).unwrap_err();
    assert!(matches!(nowhere, OpenStoreError::Io { .. }), "{nowhere}");
}

const ROUNDS: usize = 6;
const PAYMENT: i64 = 1_000_000_000;

fn open(path: &Path) -> (BalanceTracker<[u8; 4], Arc<Redb>>, u64) {
    let half_life = NonZeroU64::new(1_000_000_000).unwrap();
    let settings = BalanceSettings {
        positive_rate: ExpirationRate::from_half_life(half_life),
        positive_drop: 0,
        ..BalanceSettings::default()
    };
    let store = Arc::new(Redb::open(path).unwrap());
    let count = store.get(b"count").unwrap();
    let count = count.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
    let tracker = BalanceTracker::open(store, b"market:", settings, 0).unwrap();
    (tracker, count)
}

/// Payments are made one after the other, in steps of time in which some of the balance expires.
#[test]
fn a_killed_process_keeps_every_acknowledged_balance_and_its_offset() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "the_process",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = lines.filter_map(|line| {
            let line = line.ok()?;
            let (count, balance) = line.strip_prefix("> ")?.split_once(' ')?;
            Some((count.parse::<u64>().ok()?, balance.parse::<u64>().ok()?))
        });
        let mut last = said.nth(2 + 3 * round).expect("the process works");
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(later) = said.last() {
            last = later;
        }
        // One more may have been made that had no time to be acknowledged.
        let (acknowledged, balance) = last;
        let (tracker, count) = open(&path);
        let expected = match count - acknowledged {
            0 => balance,
            1 => balance / 2 + PAYMENT.unsigned_abs(),
            more => panic!("{more} payments were made without a word"),
        };
        let kept = tracker.tokens(&[1; 4], 0).unwrap();
        assert!(kept.abs_diff(expected) <= 1, "kept {kept}, not {expected}");
    }
}

/// Not a statement of its own: what the test above runs as another process. A half-life passes between payments.
#[test]
fn the_process() {
    let Ok(path) = std::env::var(FILE) else {
        return;
    };
    let (mut tracker, made) = open(Path::new(&path));
    for (second, count) in (1..).zip(made + 1..) {
        let now_ns = second * 1_000_000_000;
        let added = tracker.operation(&[1; 4], None, now_ns, |balance| {
            balance.also().put("count", count.to_be_bytes());
            balance.add(PAYMENT)
        });
        let added = added.map_err(|error: ChangeBalanceError| error.to_string());
        let mut out = io::stdout().lock();
        // The test harness may have begun a line of its own.
        writeln!(out, "\n> {count} {}", added.unwrap().new).unwrap();
        out.flush().unwrap();
    }
}
