//! What every store must do. Each statement is run against each kind of store.

use cheque::store::{Change, MAX_KEY, Memory, Redb, Store, StoreError, Swap, Table};
use std::{ops::ControlFlow, sync::Barrier, thread};

/// Runs one statement against each kind of store, each time with an empty one.
pub(crate) fn each_store(check: impl Fn(&dyn Store)) {
    check(&Memory::new());
    let directory = tempfile::tempdir().unwrap();
    check(&Redb::open(directory.path().join("store.redb")).unwrap());
    #[cfg(feature = "postgres")]
    if let Some(server) = crate::postgres::server() {
        check(&cheque::store::Postgres::open(&server.database()).unwrap());
    }
}

pub(crate) fn set(store: &dyn Store, table: Table, key: &[u8], new: &[u8]) {
    let old = store.get(table, key).unwrap();
    let swap = store.compare_and_set(table, key, old.as_deref(), new);
    assert_eq!(swap.unwrap(), Swap::Done);
}

pub(crate) fn rows(store: &dyn Store, table: Table, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .scan(table, prefix, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

/// Adds one to a number by compare-and-set, again and again until nobody else was faster.
pub(crate) fn increment(store: &dyn Store, key: &[u8]) -> u64 {
    let table = Table::Received;
    let mut old = store.get(table, key).unwrap();
    loop {
        let new = number(old.as_deref()) + 1;
        let bytes = new.to_be_bytes();
        match store
            .compare_and_set(table, key, old.as_deref(), &bytes)
            .unwrap()
        {
            Swap::Done => return new,
            Swap::Conflict { index: 0, found } => {
                assert_ne!(found, old, "a conflict names another value");
                assert!(number(found.as_deref()) >= new, "it never goes backwards");
                old = found;
            }
            Swap::Conflict { index, .. } => panic!("there is no change {index}"),
        }
    }
}

pub(crate) fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

const fn change<'a>(
    table: Table,
    key: &'a [u8],
    old: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
) -> Change<'a> {
    Change {
        table,
        key,
        old,
        new,
    }
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
            set(store, table, b"key", table.name().as_bytes());
        }
        for table in Table::ALL {
            let value = store.get(table, b"key").unwrap().unwrap();
            assert_eq!(value, table.name().as_bytes());
            assert_eq!(rows(store, table, b"").len(), 1);
        }
    });
}

#[test]
fn several_changes_happen_together_or_not_at_all() {
    each_store(|store| {
        set(store, Table::Deposits, b"a", b"1");
        let changes = [
            change(Table::Deposits, b"a", Some(b"1"), Some(b"2")),
            change(Table::Trees, b"b", Some(b"other"), Some(b"3")),
            change(Table::Accounts, b"c", None, Some(b"4")),
        ];
        let (index, found) = (1, None);
        let refused = store.swap(&changes).unwrap();
        assert_eq!(refused, Swap::Conflict { index, found });
        assert_eq!(store.get(Table::Deposits, b"a").unwrap().unwrap(), b"1");
        assert_eq!(store.get(Table::Accounts, b"c").unwrap(), None);

        set(store, Table::Trees, b"b", b"other");
        assert_eq!(store.swap(&changes).unwrap(), Swap::Done);
        assert_eq!(store.get(Table::Deposits, b"a").unwrap().unwrap(), b"2");
        assert_eq!(store.get(Table::Trees, b"b").unwrap().unwrap(), b"3");
        assert_eq!(store.get(Table::Accounts, b"c").unwrap().unwrap(), b"4");
    });
}

#[test]
fn a_change_of_nothing_to_nothing_only_checks() {
    each_store(|store| {
        let absent = change(Table::Trees, b"absent", None, None);
        let changes = [change(Table::Trees, b"a", None, Some(b"1")), absent];
        assert_eq!(store.swap(&changes).unwrap(), Swap::Done);
        assert_eq!(store.get(Table::Trees, b"absent").unwrap(), None);
        set(store, Table::Trees, b"absent", b"there");
        let changes = [change(Table::Trees, b"a", Some(b"1"), Some(b"2")), absent];
        let found = Some(b"there".to_vec());
        let refused = store.swap(&changes).unwrap();
        assert_eq!(refused, Swap::Conflict { index: 1, found });
        assert_eq!(store.get(Table::Trees, b"a").unwrap().unwrap(), b"1");
        assert_eq!(store.swap(&[]).unwrap(), Swap::Done);
    });
}

#[test]
fn refuses_a_key_that_appears_twice_and_one_that_is_too_long() {
    each_store(|store| {
        let (long, longest) = (vec![7; MAX_KEY + 1], vec![7; MAX_KEY]);
        let first = change(Table::Trees, b"a", None, Some(b"1"));
        let elsewhere = change(Table::Accounts, b"a", None, Some(b"1"));
        let again = change(Table::Trees, b"a", Some(b"1"), Some(b"2"));
        let twice = store.swap(&[first, elsewhere, again]).unwrap_err();
        assert!(matches!(twice, StoreError::RepeatedKey { index: 2 }));
        let too_long = change(Table::Trees, &long, None, Some(b"1"));
        let refused = store.swap(&[first, too_long]).unwrap_err();
        let length = MAX_KEY + 1;
        assert!(matches!(refused, StoreError::KeyTooLong { index: 1, length: n } if n == length));
        assert!(refused.to_string().contains("1025 bytes"), "{refused}");
        assert!(rows(store, Table::Trees, b"").is_empty());
        set(store, Table::Trees, &longest, b"1");
        assert_eq!(rows(store, Table::Trees, &[7]).len(), 1);
    });
}

#[test]
fn removes_only_what_the_caller_saw() {
    each_store(|store| {
        set(store, Table::Received, b"k", b"1");
        let remove = |old: &'static [u8]| {
            let removal = change(Table::Received, b"k", Some(old), None);
            store.swap(&[removal]).unwrap()
        };
        assert!(matches!(remove(b"0"), Swap::Conflict { index: 0, .. }));
        assert_eq!(remove(b"1"), Swap::Done);
        assert_eq!(store.get(Table::Received, b"k").unwrap(), None);
        assert!(rows(store, Table::Received, b"").is_empty());
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
            set(store, table, key, key);
        }
        set(store, Table::Received, &[1, 7], b"elsewhere");
        let keys = |prefix| -> Vec<_> {
            let found = rows(store, table, prefix).into_iter();
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
fn keys_and_values_are_any_bytes() {
    each_store(|store| {
        let table = Table::Received;
        let mut keys: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
        keys.extend([
            vec![],
            b"\0\0".to_vec(),
            b"'; DROP TABLE cheque_rows; --".to_vec(),
            b"\\x00".to_vec(),
            vec![0xff; 72],
        ]);
        for key in &keys {
            let value: Vec<u8> = key.iter().rev().copied().chain([0, 255]).collect();
            set(store, table, key, &value);
            assert_eq!(store.get(table, key).unwrap(), Some(value));
        }
        keys.sort();
        let found = rows(store, table, b"").into_iter();
        assert_eq!(found.map(|(key, _)| key).collect::<Vec<_>>(), keys);
    });
}

#[test]
fn values_of_many_megabytes_come_back_whole() {
    each_store(|store| {
        let value = |seed: u8| -> Vec<u8> {
            let mut word = u64::from(seed) + 1;
            let next = |_| {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (word >> 56) as u8
            };
            (0..6 << 20).map(next).collect()
        };
        let (first, second) = (value(1), value(2));
        for (old, new) in [(None, &first), (Some(&first), &second)] {
            let old = old.map(Vec::as_slice);
            let swap = store.compare_and_set(Table::Trees, b"big", old, new);
            assert_eq!(swap.unwrap(), Swap::Done);
            assert!(store.get(Table::Trees, b"big").unwrap().unwrap() == **new);
        }
        let conflict = store.compare_and_set(Table::Trees, b"big", Some(&first), b"");
        assert!(
            matches!(conflict.unwrap(), Swap::Conflict { found: Some(found), .. } if found == second)
        );
    });
}

#[test]
fn a_scan_of_many_rows_misses_none() {
    const ROWS: u32 = 20_000;
    each_store(|store| {
        let keys: Vec<_> = (0..ROWS).map(u32::to_be_bytes).collect();
        for part in keys.chunks(1_000) {
            let changes: Vec<_> = part
                .iter()
                .map(|key| change(Table::Accounts, key, None, Some(key)))
                .collect();
            assert_eq!(store.swap(&changes).unwrap(), Swap::Done);
        }
        set(store, Table::Received, b"another", b"table");
        let found = rows(store, Table::Accounts, b"");
        let expected = keys.iter().map(|key| (key.to_vec(), key.to_vec()));
        assert!(found.into_iter().eq(expected));
    });
}

#[test]
fn a_scan_shows_one_moment_while_its_callback_writes() {
    each_store(|store| {
        let table = Table::Outbox;
        set(store, table, b"a", b"1");
        let mut seen = Vec::new();
        store
            .scan(table, b"", &mut |key, _| {
                set(store, table, b"b", b"2");
                seen.push(key.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(seen, [b"a"]);
        assert_eq!(rows(store, table, b"").len(), 2);
    });
}

#[test]
fn a_scan_of_everything_shows_one_moment_of_all_tables_in_order() {
    each_store(|store| {
        for table in Table::ALL {
            set(store, table, b"b", b"1");
            set(store, table, b"a", b"1");
        }
        let mut seen = Vec::new();
        let mut visit = |table: Table, key: &[u8], value: &[u8]| {
            for table in Table::ALL {
                set(store, table, b"later", b"1");
            }
            assert_eq!(value, b"1");
            seen.push((table, key.to_vec()));
            ControlFlow::Continue(())
        };
        store.scan_all(&mut visit).unwrap();
        let both = |table| [(table, b"a".to_vec()), (table, b"b".to_vec())];
        let expected: Vec<_> = Table::ALL.into_iter().flat_map(both).collect();
        assert_eq!(seen, expected);
        let mut count = 0;
        let mut visit = |_: Table, _: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Break(())
        };
        store.scan_all(&mut visit).unwrap();
        assert_eq!(count, 1);
    });
}

#[test]
fn scans_see_both_halves_of_every_swap_or_neither() {
    each_store(|store| {
        for table in [Table::Deposits, Table::Outbox] {
            set(store, table, b"half", &0u64.to_be_bytes());
        }
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for count in 0..200u64 {
                    let (old, new) = (count.to_be_bytes(), (count + 1).to_be_bytes());
                    let half = |table| change(table, b"half", Some(&old), Some(&new));
                    let both = [half(Table::Outbox), half(Table::Deposits)];
                    assert_eq!(store.swap(&both).unwrap(), Swap::Done);
                }
            });
            let mut last = 0;
            while !writer.is_finished() {
                let mut seen = Vec::new();
                let mut visit = |_: Table, _: &[u8], value: &[u8]| {
                    seen.push(number(Some(value)));
                    ControlFlow::Continue(())
                };
                store.scan_all(&mut visit).unwrap();
                assert_eq!(seen[0], seen[1]);
                assert!(seen[0] >= last, "it never goes backwards");
                last = seen[0];
            }
        });
    });
}

#[test]
fn counts_every_increment_of_many_threads_exactly_once() {
    const THREADS: u64 = 8;
    const TIMES: u64 = 50;
    each_store(|store| {
        let start = Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..TIMES {
                        increment(store, b"count");
                    }
                });
            }
        });
        let count = store.get(Table::Received, b"count").unwrap();
        assert_eq!(number(count.as_deref()), THREADS * TIMES);
    });
}

#[test]
fn a_conflict_of_one_thread_does_not_touch_the_writes_of_others() {
    const THREADS: u64 = 8;
    const TIMES: u64 = 60;
    each_store(|store| {
        set(store, Table::Trees, b"fixed", b"value");
        let start = Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let start = &start;
                scope.spawn(move || {
                    let key = thread.to_be_bytes();
                    start.wait();
                    for time in 0..TIMES {
                        let old = (time > 0).then(|| time.to_be_bytes());
                        let old = old.as_ref().map(<[u8; 8]>::as_slice);
                        let new = (time + 1).to_be_bytes();
                        let own = change(Table::Accounts, &key, old, Some(&new));
                        // Every second thread always fails, with a part that would fit and one that does not.
                        let wrong = change(Table::Trees, b"fixed", Some(b"wrong"), None);
                        let right = change(Table::Trees, b"fixed", Some(b"value"), Some(b"value"));
                        if thread % 2 == 1 {
                            let never = change(Table::Accounts, &key, None, Some(&new));
                            let found = Some(b"value".to_vec());
                            let swap = store.swap(&[never, wrong]).unwrap();
                            assert_eq!(swap, Swap::Conflict { index: 1, found });
                        } else if thread % 4 == 0 {
                            assert_eq!(store.swap(&[own]).unwrap(), Swap::Done);
                        } else {
                            assert_eq!(store.swap(&[own, right]).unwrap(), Swap::Done);
                        }
                        if thread % 2 == 0 {
                            // What was acknowledged is there for everybody at once.
                            let seen = store.get(Table::Accounts, &key).unwrap();
                            assert_eq!(seen.as_deref(), Some(&new[..]));
                        }
                    }
                });
            }
        });
        for thread in 0..THREADS {
            let value = store.get(Table::Accounts, &thread.to_be_bytes()).unwrap();
            let expected = (thread % 2 == 0).then_some(TIMES);
            assert_eq!(value.map(|value| number(Some(&value))), expected);
        }
    });
}

#[test]
fn transfers_conserve_the_sum_whatever_the_order_of_their_keys() {
    const THREADS: u8 = 8;
    const TIMES: u8 = 60;
    const EACH: u64 = 3;
    let key = |account: u8| [account % 4];
    each_store(|store| {
        let table = Table::Accounts;
        for account in 0..4 {
            set(store, table, &key(account), &EACH.to_be_bytes());
        }
        // An account without money is no row, so rows come and go.
        let balance = |old: Option<&[u8]>| old.map_or(0, |old| number(Some(old)));
        let row = |balance: u64| (balance > 0).then(|| balance.to_be_bytes());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for time in 0..TIMES {
                        let (from, to) = (key(thread + time), key(thread + 3 * time + 1));
                        if from == to {
                            continue;
                        }
                        loop {
                            let old_from = store.get(table, &from).unwrap();
                            let old_to = store.get(table, &to).unwrap();
                            let Some(less) = balance(old_from.as_deref()).checked_sub(1) else {
                                break;
                            };
                            let more = balance(old_to.as_deref()) + 1;
                            let (less, more) = (row(less), row(more));
                            let less = less.as_ref().map(<[u8; 8]>::as_slice);
                            let more = more.as_ref().map(<[u8; 8]>::as_slice);
                            let take = change(table, &from, old_from.as_deref(), less);
                            let put = change(table, &to, old_to.as_deref(), more);
                            if store.swap(&[take, put]).unwrap() == Swap::Done {
                                break;
                            }
                        }
                    }
                });
            }
        });
        let left = rows(store, table, b"").into_iter();
        let sum: u64 = left.map(|(_, value)| number(Some(&value))).sum();
        assert_eq!(sum, 4 * EACH);
    });
}
