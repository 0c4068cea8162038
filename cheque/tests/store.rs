//! What every store must do, run against all of them, and what the file on disk adds.

#![cfg(feature = "redb")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cheque::store::{Change, Memory, Redb, Store, StoreError, Swap, Table};
use std::{
    ops::ControlFlow,
    path::Path,
    process::Command,
    sync::{Arc, Barrier},
    thread,
};

/// Runs one statement against each kind of store, each time with an empty one.
fn each_store(check: impl Fn(Arc<dyn Store>)) {
    check(Arc::new(Memory::new()));
    let directory = tempfile::tempdir().unwrap();
    check(Arc::new(
        Redb::open(directory.path().join("store.redb")).unwrap(),
    ));
}

fn set(store: &dyn Store, table: Table, key: &[u8], new: &[u8]) {
    let old = store.get(table, key).unwrap();
    let swap = store.compare_and_set(table, key, old.as_deref(), new);
    assert_eq!(swap.unwrap(), Swap::Done);
}

fn rows(store: &dyn Store, table: Table, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .scan(table, prefix, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn compare_and_set_writes_only_over_what_the_caller_saw() {
    each_store(|store| {
        let (table, key) = (Table::Received, b"key".as_slice());
        assert_eq!(store.get(table, key).unwrap(), None);
        let conflict = |found: Option<&[u8]>| Swap::Conflict {
            index: 0,
            found: found.map(<[u8]>::to_vec),
        };
        let swap =
            |old: Option<&[u8]>, new: &[u8]| store.compare_and_set(table, key, old, new).unwrap();
        assert_eq!(swap(Some(b"x"), b"1"), conflict(None));
        assert_eq!(swap(Some(b""), b"1"), conflict(None));
        assert_eq!(swap(None, b""), Swap::Done);
        assert_eq!(swap(None, b"1"), conflict(Some(b"")));
        assert_eq!(swap(Some(b""), b"1"), Swap::Done);
        assert_eq!(swap(Some(b"0"), b"2"), conflict(Some(b"1")));
        assert_eq!(store.get(table, key).unwrap().unwrap(), b"1");
    });
}

#[test]
fn keys_of_different_tables_never_meet() {
    each_store(|store| {
        for table in Table::ALL {
            set(&*store, table, b"key", table.name().as_bytes());
        }
        for table in Table::ALL {
            let value = store.get(table, b"key").unwrap().unwrap();
            assert_eq!(value, table.name().as_bytes());
            assert_eq!(rows(&*store, table, b"").len(), 1);
        }
    });
}

#[test]
fn several_changes_happen_together_or_not_at_all() {
    each_store(|store| {
        set(&*store, Table::Deposits, b"a", b"1");
        let changes = [
            Change {
                table: Table::Deposits,
                key: b"a",
                old: Some(b"1"),
                new: Some(b"2"),
            },
            Change {
                table: Table::Trees,
                key: b"b",
                old: Some(b"other"),
                new: Some(b"3"),
            },
            Change {
                table: Table::Accounts,
                key: b"c",
                old: None,
                new: Some(b"4"),
            },
        ];
        let refused = store.swap(&changes).unwrap();
        assert_eq!(
            refused,
            Swap::Conflict {
                index: 1,
                found: None
            }
        );
        assert_eq!(store.get(Table::Deposits, b"a").unwrap().unwrap(), b"1");
        assert_eq!(store.get(Table::Accounts, b"c").unwrap(), None);

        set(&*store, Table::Trees, b"b", b"other");
        assert_eq!(store.swap(&changes).unwrap(), Swap::Done);
        assert_eq!(store.get(Table::Deposits, b"a").unwrap().unwrap(), b"2");
        assert_eq!(store.get(Table::Trees, b"b").unwrap().unwrap(), b"3");
        assert_eq!(store.get(Table::Accounts, b"c").unwrap().unwrap(), b"4");
    });
}

#[test]
fn removes_only_what_the_caller_saw() {
    each_store(|store| {
        set(&*store, Table::Received, b"k", b"1");
        let remove = |old: &'static [u8]| {
            store
                .swap(&[Change {
                    table: Table::Received,
                    key: b"k",
                    old: Some(old),
                    new: None,
                }])
                .unwrap()
        };
        assert!(matches!(remove(b"0"), Swap::Conflict { index: 0, .. }));
        assert_eq!(remove(b"1"), Swap::Done);
        assert_eq!(store.get(Table::Received, b"k").unwrap(), None);
        assert!(rows(&*store, Table::Received, b"").is_empty());
    });
}

#[test]
fn scans_a_prefix_in_the_order_of_its_keys_until_told_to_stop() {
    each_store(|store| {
        let table = Table::Accounts;
        for key in [
            &[1, 255, 255][..],
            &[1],
            &[2, 0],
            &[1, 0],
            &[1, 255],
            &[0, 9],
            &[255, 255],
            &[255],
        ] {
            set(&*store, table, key, key);
        }
        set(&*store, Table::Received, &[1, 7], b"elsewhere");
        let keys = |prefix| -> Vec<_> {
            let found = rows(&*store, table, prefix).into_iter();
            found.map(|(key, _)| key).collect()
        };
        let ones: [&[u8]; 4] = [&[1], &[1, 0], &[1, 255], &[1, 255, 255]];
        assert_eq!(keys(&[1]), ones);
        assert_eq!(keys(&[255]), [&[255][..], &[255, 255]]);
        assert_eq!(keys(&[3]), Vec::<Vec<u8>>::new());
        assert_eq!(keys(&[]).len(), 8);

        let mut seen = 0;
        let mut stop_at_second = |_: &[u8], _: &[u8]| {
            seen += 1;
            if seen == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        store.scan(table, &[1], &mut stop_at_second).unwrap();
        assert_eq!(seen, 2);
    });
}

#[test]
fn a_scan_shows_one_moment_while_its_callback_writes() {
    each_store(|store| {
        let table = Table::Outbox;
        set(&*store, table, b"a", b"1");
        let mut seen = Vec::new();
        store
            .scan(table, b"", &mut |key, _| {
                set(&*store, table, b"b", b"2");
                seen.push(key.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(seen, [b"a"]);
        assert_eq!(rows(&*store, table, b"").len(), 2);
    });
}

#[test]
fn counts_every_increment_of_many_threads_exactly_once() {
    const THREADS: u64 = 8;
    const TIMES: u64 = 50;
    each_store(|store| {
        set(&*store, Table::Received, b"count", &0u64.to_be_bytes());
        let start = Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..TIMES {
                        increment(&*store);
                    }
                });
            }
        });
        let count = store.get(Table::Received, b"count").unwrap().unwrap();
        assert_eq!(count, (THREADS * TIMES).to_be_bytes());
    });
}

fn increment(store: &dyn Store) {
    let mut old = store.get(Table::Received, b"count").unwrap();
    loop {
        let count = u64::from_be_bytes(old.as_deref().unwrap().try_into().unwrap());
        let new = (count + 1).to_be_bytes();
        match store
            .compare_and_set(Table::Received, b"count", old.as_deref(), &new)
            .unwrap()
        {
            Swap::Done => return,
            Swap::Conflict { index: 0, found } => old = found,
            Swap::Conflict { index, .. } => panic!("there is no change {index}"),
        }
    }
}

#[test]
fn a_reopened_file_has_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not/yet/there/store.redb");
    for round in 0..3u8 {
        let store = Redb::open(&path).unwrap();
        assert_eq!(store.path(), path);
        for table in Table::ALL {
            assert_eq!(rows(&store, table, b"").len(), usize::from(round));
            set(&store, table, &[round], b"value");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_new_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Redb::open(&path).unwrap());
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn a_second_instance_is_refused_while_the_first_lives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let first = Redb::open(&path).unwrap();
    let refused = Redb::open(&path).unwrap_err();
    assert!(matches!(&refused, StoreError::Locked { path: named } if *named == path));
    assert!(refused.to_string().contains("store.redb"));
    assert!(refused.to_string().contains("another process"));
    drop(first);
    Redb::open(&path).unwrap();
}

const OTHER_PROCESS: &str = "CHEQUE_TEST_STORE";

/// Not a statement of its own: what the two tests below run as another process.
#[test]
fn other_process() {
    let Some(path) = std::env::var_os(OTHER_PROCESS) else {
        return;
    };
    let store = match Redb::open(path) {
        Ok(store) => store,
        Err(StoreError::Locked { .. }) => std::process::exit(11),
        Err(_) => std::process::exit(12),
    };
    set(&store, Table::Accounts, b"left", b"behind");
    // Ends without running any destructor, as a killed process does.
    std::process::exit(13);
}

fn open_in_another_process(path: &Path) -> Option<i32> {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process"])
        .env(OTHER_PROCESS, path)
        .output()
        .unwrap()
        .status
        .code()
}

#[test]
fn a_second_process_is_refused_while_the_first_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = Redb::open(&path).unwrap();
    assert_eq!(open_in_another_process(&path), Some(11));
    drop(store);
    assert_eq!(open_in_another_process(&path), Some(13));
}

#[test]
fn a_process_that_ends_without_closing_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    assert_eq!(open_in_another_process(&path), Some(13));
    let store = Redb::open(&path).unwrap();
    let left = store.get(Table::Accounts, b"left").unwrap().unwrap();
    assert_eq!(left, b"behind");
}

#[test]
fn refuses_files_that_are_not_its_own_and_leaves_them_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("somebody-elses");
    for contents in [
        b"x".to_vec(),
        b"text of a letter\n".repeat(500),
        vec![0; 4096],
    ] {
        std::fs::write(&path, &contents).unwrap();
        let refused = Redb::open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
        assert!(refused.to_string().contains("somebody-elses"));
        assert_eq!(std::fs::read(&path).unwrap(), contents);
    }
}

#[test]
fn refuses_the_redb_files_of_other_programs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.redb");
    let table = redb::TableDefinition::<u64, u64>::new("numbers");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(table).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    drop(database);
    let refused = Redb::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
}

#[test]
fn refuses_a_newer_format_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Redb::open(&path).unwrap());
    let about = redb::TableDefinition::<&str, u32>::new("cheque-store");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(about)
        .unwrap()
        .insert("format", cheque::store::FORMAT + 1)
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let refused = Redb::open(&path).unwrap_err();
    assert!(matches!(
        refused,
        StoreError::Newer { found, known, .. } if found == known + 1
    ));
    assert!(refused.to_string().contains("use a newer program"));
}

#[test]
fn a_store_several_missing_directories_down_is_made_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/c/store.redb");
    set(&Redb::open(&path).unwrap(), Table::Trees, b"key", b"value");
    let again = Redb::open(&path).unwrap();
    let value = again.get(Table::Trees, b"key").unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
    // A file in the way is no directory.
    let refused = Redb::open(path.join("store.redb")).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
}
