//! Rules of every store, and balances after a killed process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../cheque/tests/support/harness.rs"]
mod harness;
#[path = "../../cheque/tests/support/process.rs"]
mod process;

use cheque::store::Redb;
use cheque_market::{
    balance::{BalanceSettings, BalanceTracker, ChangeBalanceError},
    store::{Batch, ChequeStore, Memory, Store},
    value::ExpirationRate,
};
use harness::tests;
use process::{Process, say};
use std::{num::NonZeroU64, ops::ControlFlow, path::Path, process::ExitCode, sync::Arc};

const STORE: &str = "CHEQUE_TEST_STORE";
const PREFIX: &[u8] = b"market:";

fn main() -> ExitCode {
    harness::run(&[("payer", run_payer)], || {
        tests![
            follows_the_rules_of_a_store,
            keeps_acknowledged_balance_and_offset_after_a_kill,
            keeps_rows_of_both_tables_when_reopened,
        ]
    })
}

/// Opens the market's rows in the redb file at `path`.
fn store_at(path: &Path) -> ChequeStore {
    ChequeStore::new(Arc::new(Redb::open(path).unwrap()), PREFIX)
}

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

fn rows(store: &impl Store, prefix: &str, from: &str, max: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let visit = &mut |key: &[u8], value: &[u8]| {
        found.push((text(key), text(value)));
        match found.len() == max {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    store
        .scan(prefix.as_bytes(), from.as_bytes(), visit)
        .unwrap();
    found
}

fn check_rules(store: &impl Store) {
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
    let keys = |prefix, from, max| -> Vec<String> {
        let found = rows(store, prefix, from, max);
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys("", "", 9), ["a", "b", "b1", "b2", "c"]);
    assert_eq!(keys("b", "", 9), ["b", "b1", "b2"]);
    assert_eq!(keys("b", "11", 9), ["b2"]);
    assert_eq!(keys("b", "", 2), ["b", "b1"]);
    assert!(keys("d", "", 9).is_empty());
    // A scan sees a single snapshot, and the callback may use the store.
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

fn follows_the_rules_of_a_store() {
    let directory = tempfile::tempdir().unwrap();
    check_rules(&Memory::new());
    check_rules(&store_at(&directory.path().join("market.redb")));
    let in_memory = Arc::new(cheque::store::Memory::new());
    check_rules(&ChequeStore::new(in_memory, PREFIX));
}

fn keeps_rows_of_both_tables_when_reopened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    let store = store_at(&path);
    let rows = [("market:a", "1"), ("market:pay:cheque/1:record", "2")];
    store
        .write(&batch(&rows.map(|(key, value)| (key, Some(value)))))
        .unwrap();
    let second = Redb::open(&path).unwrap_err();
    assert!(
        matches!(second, cheque::store::StoreError::Locked { .. }),
        "{second}"
    );
    drop(store);
    let store = store_at(&path);
    for (key, value) in rows {
        assert_eq!(
            store.get(key.as_bytes()).unwrap().unwrap(),
            value.as_bytes()
        );
    }
}

const ROUNDS: usize = 6;
const PAYMENT: i64 = 1_000_000_000;

fn open(path: &Path) -> (BalanceTracker<[u8; 4], ChequeStore>, u64) {
    let half_life = NonZeroU64::new(1_000_000_000).unwrap();
    let settings = BalanceSettings {
        positive_rate: ExpirationRate::from_half_life(half_life),
        positive_drop: 0,
        ..BalanceSettings::default()
    };
    let store = store_at(path);
    let count = store.get(b"count").unwrap();
    let count = count.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
    let tracker = BalanceTracker::open(store, PREFIX, settings, 0).unwrap();
    (tracker, count)
}

/// A process makes one payment after another. Between two payments a part of the balance expires.
fn keeps_acknowledged_balance_and_offset_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    for round in 0..ROUNDS {
        let mut payer = Process::start("payer", &[(STORE, path.to_str().unwrap())]);
        let lines = 3 + 3 * round;
        let said = payer.kill_after(lines, 0);
        assert!(said.len() >= lines, "the process ended early: {said:?}");
        let (acknowledged, balance) = said.last().unwrap().split_once(' ').unwrap();
        let acknowledged: u64 = acknowledged.parse().unwrap();
        let balance: u64 = balance.parse().unwrap();
        // The process may have stored another payment without an acknowledgement.
        let (tracker, count) = open(&path);
        let expected = match count - acknowledged {
            0 => balance,
            1 => balance / 2 + PAYMENT.unsigned_abs(),
            more => panic!("{more} payments were stored without an acknowledgement"),
        };
        let kept = tracker.tokens(&[1; 4], 0).unwrap();
        assert!(
            kept.abs_diff(expected) <= 1,
            "kept {kept} instead of {expected}"
        );
    }
}

/// Role: makes and acknowledges one payment after another until killed. A half-life passes between payments.
fn run_payer() {
    let path = std::env::var(STORE).unwrap();
    let (mut tracker, made) = open(Path::new(&path));
    for (second, count) in (1..).zip(made + 1..) {
        let now_ns = second * 1_000_000_000;
        let added = tracker.operation(&[1; 4], None, now_ns, |balance| {
            balance.extra_writes().put("count", count.to_be_bytes());
            balance.add(PAYMENT)
        });
        let added = added.map_err(|error: ChangeBalanceError| error.to_string());
        say(&format!("{count} {}", added.unwrap().new));
    }
}
