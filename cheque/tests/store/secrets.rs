//! What a store holds is not shown by `{:?}`, which ends up in logs.

use crate::conformance::{each_store, set};
use cheque::store::{Change, Memory, Redb, Store, Swap, Table};
use std::{fmt::Debug, path::Path};

/// Bytes that appear in nothing else: no name, no length, no path.
const SECRET: &[u8] = &[0xfe; 33];

/// Fails if one byte of [`SECRET`] can be read from a value's `Debug`, in any of the usual ways to write bytes. A place
/// has a random name, and may be shown.
fn is_not_shown_by(value: &dyn Debug, place: &Path) {
    let place = place.display().to_string();
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let text = text.replace(&place, "");
        for byte in ["254", "fe", "FE", "\u{fe}"] {
            assert!(!text.contains(byte), "{text}");
        }
    }
}

#[test]
fn changes_and_conflicts_show_lengths_instead_of_keys_and_values() {
    let change = Change {
        table: Table::Trees,
        key: SECRET,
        old: Some(SECRET),
        new: Some(SECRET),
    };
    is_not_shown_by(&change, Path::new("none"));
    assert_eq!(
        format!("{change:?}"),
        "Change { table: Trees, key: 33 bytes, old: Some(33 bytes), new: Some(33 bytes) }"
    );
    each_store(|store| {
        set(store, Table::Trees, SECRET, SECRET);
        let conflict = store.compare_and_set(Table::Trees, SECRET, None, b"new");
        let conflict = conflict.unwrap();
        is_not_shown_by(&conflict, Path::new("none"));
        assert_eq!(
            format!("{conflict:?}"),
            "Conflict { index: 0, found: Some(33 bytes) }"
        );
        let found = Some(SECRET.to_vec());
        assert_eq!(conflict, Swap::Conflict { index: 0, found });
    });
}

#[test]
fn stores_show_their_place_and_nothing_that_they_hold() {
    fn check(store: impl Store + Debug, place: &Path) {
        set(&store, Table::Trees, SECRET, SECRET);
        is_not_shown_by(&store, place);
    }
    check(Memory::new(), Path::new("none"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    check(Redb::open(&path).unwrap(), &path);
    #[cfg(feature = "postgres")]
    if let Some(server) = crate::postgres::server() {
        let store = cheque::store::Postgres::open(&server.database()).unwrap();
        let place = store.place().to_owned();
        check(store, &place);
    }
}
