//! Many threads at once, checked with each kind of store.

use crate::support::{change, increment, number, rows, set};
use cheque::store::{Store, Swap, Table};
use std::{sync::Barrier, thread};

pub(crate) fn counts_increments_of_many_threads_exactly_once(store: &dyn Store) {
    const THREADS: u64 = 8;
    const TIMES: u64 = 50;
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
    let count = store.get(Table::Positions, b"count").unwrap();
    assert_eq!(number(count.as_deref()), THREADS * TIMES);
}

pub(crate) fn keeps_writes_of_other_threads_on_a_conflict(store: &dyn Store) {
    const THREADS: u64 = 8;
    const TIMES: u64 = 60;
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
                    // Every second thread always fails: a single change of its swap conflicts.
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
                        // An acknowledged write is visible to all threads at once.
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
}

pub(crate) fn conserves_the_sum_of_transfers_in_any_key_order(store: &dyn Store) {
    const THREADS: u8 = 8;
    const TIMES: u8 = 60;
    const EACH: u64 = 3;
    let key = |account: u8| [account % 4];
    let table = Table::Accounts;
    for account in 0..4 {
        set(store, table, &key(account), &EACH.to_be_bytes());
    }
    // An account without money has no row, so rows appear and disappear.
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
}
