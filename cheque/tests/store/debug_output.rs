//! `Debug` output, which ends up in logs, shows no keys and values of a store.

use crate::support::set;
use cheque::store::{Change, Memory, Redb, Store, Swap, Table};
use std::{fmt::Debug, path::Path};

/// Bytes found nowhere else: not in a name, a length or a path.
const SECRET: &[u8] = &[0xfe; 33];

/// Fails if a byte of [`SECRET`] appears in a value's `Debug`, in any of the usual ways to write bytes. The store's
/// place has a random name and may be shown.
fn assert_hides_secret(value: &dyn Debug, place: &Path) {
    let place = place.display().to_string();
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let text = text.replace(&place, "");
        for byte in ["254", "fe", "FE", "\u{fe}"] {
            assert!(!text.contains(byte), "{text}");
        }
    }
}

pub(crate) fn shows_lengths_of_keys_and_values_only(store: &dyn Store) {
    let change = Change {
        table: Table::Trees,
        key: SECRET,
        old: Some(SECRET),
        new: Some(SECRET),
    };
    assert_hides_secret(&change, Path::new("none"));
    assert_eq!(
        format!("{change:?}"),
        "Change { table: Trees, key: 33 bytes, old: Some(33 bytes), new: Some(33 bytes) }"
    );
    set(store, Table::Trees, SECRET, SECRET);
    let conflict = store.compare_and_set(Table::Trees, SECRET, None, b"new");
    let conflict = conflict.unwrap();
    assert_hides_secret(&conflict, Path::new("none"));
    assert_eq!(
        format!("{conflict:?}"),
        "Conflict { index: 0, found: Some(33 bytes) }"
    );
    let found = Some(SECRET.to_vec());
    assert_eq!(conflict, Swap::Conflict { index: 0, found });
}

fn assert_hides_contents(store: impl Store + Debug, place: &Path) {
    set(&store, Table::Trees, SECRET, SECRET);
    assert_hides_secret(&store, place);
}

pub(crate) fn hides_contents_of_local_stores() {
    assert_hides_contents(Memory::new(), Path::new("none"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    assert_hides_contents(Redb::open(&path).unwrap(), &path);
}

#[cfg(feature = "postgres")]
pub(crate) fn hides_contents_of_database() {
    let server = crate::postgres::Server::shared();
    let store = cheque::store::Postgres::open(&server.database()).unwrap();
    let place = store.place().to_owned();
    assert_hides_contents(store, &place);
}
