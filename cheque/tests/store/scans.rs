//! Scans, checked with each kind of store.

use crate::support::{change, number, rows, set};
use cheque::store::{Store, Swap, Table};
use std::{ops::ControlFlow, thread};

pub(crate) fn scans_prefix_in_key_order_until_stopped(store: &dyn Store) {
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
    set(store, Table::Positions, &[1, 7], b"elsewhere");
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
}

pub(crate) fn scans_every_one_of_many_rows(store: &dyn Store) {
    const ROWS: u32 = 20_000;
    let keys: Vec<_> = (0..ROWS).map(u32::to_be_bytes).collect();
    for part in keys.chunks(1_000) {
        let changes: Vec<_> = part
            .iter()
            .map(|key| change(Table::Accounts, key, None, Some(key)))
            .collect();
        assert_eq!(store.swap(&changes).unwrap(), Swap::Done);
    }
    set(store, Table::Positions, b"another", b"table");
    let found = rows(store, Table::Accounts, b"");
    let expected = keys.iter().map(|key| (key.to_vec(), key.to_vec()));
    assert!(found.into_iter().eq(expected));
}

pub(crate) fn scans_a_snapshot_while_the_callback_writes(store: &dyn Store) {
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
}

pub(crate) fn scans_a_snapshot_of_all_tables_in_order(store: &dyn Store) {
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
}

pub(crate) fn scans_both_halves_of_every_swap_or_neither(store: &dyn Store) {
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
            assert!(
                seen[0] >= last,
                "a scan showed an older state than the scan before"
            );
            last = seen[0];
        }
    });
}
