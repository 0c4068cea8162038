//! Compare-and-set and swap, checked with each kind of store.

use crate::support::{change, rows, set};
use cheque::store::{MAX_KEY, Store, StoreError, Swap, Table};

pub(crate) fn writes_only_over_the_expected_value(store: &dyn Store) {
    let (table, key) = (Table::Positions, b"key".as_slice());
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
}

pub(crate) fn keeps_equal_keys_of_each_table_apart(store: &dyn Store) {
    for table in Table::ALL {
        set(store, table, b"key", table.name().as_bytes());
    }
    for table in Table::ALL {
        let value = store.get(table, b"key").unwrap().unwrap();
        assert_eq!(value, table.name().as_bytes());
        assert_eq!(rows(store, table, b"").len(), 1);
    }
}

pub(crate) fn makes_all_changes_of_a_swap_or_none(store: &dyn Store) {
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
}

pub(crate) fn checks_for_absence_without_writing(store: &dyn Store) {
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
}

pub(crate) fn refuses_repeated_and_too_long_keys(store: &dyn Store) {
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
}

pub(crate) fn removes_only_the_expected_value(store: &dyn Store) {
    set(store, Table::Positions, b"k", b"1");
    let remove = |old: &'static [u8]| {
        let removal = change(Table::Positions, b"k", Some(old), None);
        store.swap(&[removal]).unwrap()
    };
    assert!(matches!(remove(b"0"), Swap::Conflict { index: 0, .. }));
    assert_eq!(remove(b"1"), Swap::Done);
    assert_eq!(store.get(Table::Positions, b"k").unwrap(), None);
    assert!(rows(store, Table::Positions, b"").is_empty());
}

pub(crate) fn stores_any_bytes_as_keys_and_values(store: &dyn Store) {
    let table = Table::Positions;
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
}

pub(crate) fn returns_values_of_many_megabytes_unchanged(store: &dyn Store) {
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
}
