//! Writes begun without blocking.

use crate::support::number;
use cheque::store::{Change, MAX_KEY, Pending, Redb, Store, StoreError, Swap, Table};
use std::thread;

const fn change<'a>(key: &'a [u8], old: Option<&'a [u8]>, new: &'a [u8]) -> Change<'a> {
    Change {
        table: Table::Positions,
        key,
        old,
        new: Some(new),
    }
}

fn begin(store: &dyn Store, changes: &[Change<'_>]) -> Pending {
    store
        .begin(changes)
        .expect("a write that begins without blocking")
}

pub(crate) fn ends_a_begun_write_like_a_swap(store: &dyn Store) {
    let end = |changes: &[Change<'_>]| pollster::block_on(begin(store, changes));
    assert_eq!(end(&[]).unwrap(), Swap::Done);
    assert_eq!(end(&[change(b"key", None, b"1")]).unwrap(), Swap::Done);
    let both = [change(b"key", Some(b"1"), b"2"), change(b"new", None, b"1")];
    assert_eq!(end(&both).unwrap(), Swap::Done);
    let conflict = Swap::Conflict {
        index: 1,
        found: Some(b"2".to_vec()),
    };
    let outdated = [
        change(b"other", None, b"1"),
        change(b"key", Some(b"1"), b"3"),
    ];
    assert_eq!(end(&outdated).unwrap(), conflict);
    assert_eq!(store.get(Table::Positions, b"other").unwrap(), None);

    let twice = end(&[change(b"key", None, b""); 2]);
    assert!(matches!(twice, Err(StoreError::RepeatedKey { index: 1 })));
    let long = end(&[change(&[0; MAX_KEY + 1], None, b"")]);
    assert!(matches!(long, Err(StoreError::KeyTooLong { index: 0, .. })));
}

pub(crate) fn makes_one_of_many_writes_begun_from_the_same_value(store: &dyn Store) {
    let mut old: Option<Vec<u8>> = None;
    for round in 1..=20 {
        let new = u64::to_be_bytes(round);
        let change = change(b"count", old.as_deref(), &new);
        let begun: Vec<_> = (0..20).map(|_| begin(store, &[change])).collect();
        let ends = begun
            .into_iter()
            .map(|write| pollster::block_on(write).unwrap());
        let (done, conflicts): (Vec<_>, Vec<_>) = ends.partition(|end| *end == Swap::Done);
        assert_eq!((done.len(), conflicts.len()), (1, 19));
        for conflict in conflicts {
            let found = Some(new.to_vec());
            assert_eq!(conflict, Swap::Conflict { index: 0, found });
        }
        old = Some(new.to_vec());
    }
    assert_eq!(number(old.as_deref()), 20);
}

pub(crate) fn makes_a_begun_write_without_a_waiter(store: &dyn Store) {
    drop(begin(store, &[change(b"key", None, b"1")]));
    while store.get(Table::Positions, b"key").unwrap().is_none() {
        thread::yield_now();
    }
}

pub(crate) fn writes_begun_changes_before_the_store_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for number in 0..20_u8 {
        let store = Redb::open(&path).unwrap();
        drop(begin(&store, &[change(&[number], None, b"1")]));
        drop(store);
        let store = Redb::open(&path).unwrap();
        assert!(store.get(Table::Positions, &[number]).unwrap().is_some());
    }
}
