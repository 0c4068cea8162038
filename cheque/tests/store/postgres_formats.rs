//! The store in PostgreSQL, opened on tables of other formats and of other programs, or on none.

use crate::{
    postgres::{Server, run, with_client},
    support::{rows, set, two_handles},
};
use cheque::store::{Postgres, Store, StoreError, Table};

pub(crate) fn refuses_a_newer_format_and_names_the_remedy() {
    let server = Server::shared();
    let (store, _, address) = two_handles(&server);
    let newer = Postgres::FORMAT + 1;
    run(
        &address,
        &format!("UPDATE cheque_store SET format = {newer}"),
    );
    let refused = Postgres::open(&address).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found, known, .. } if found == known + 1));
    assert!(refused.to_string().contains("use a newer program"));
    // A handle opened earlier detects the newer format when its connections are replaced.
    run(
        &address,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let late = loop {
        // The first write may have been in flight on a cut connection.
        match store.compare_and_set(Table::Trees, b"late", None, b"1") {
            Err(StoreError::Unknown { .. }) => {}
            other => break other,
        }
    };
    let late = late.unwrap_err();
    assert!(matches!(late, StoreError::Unreachable { .. }), "{late}");
    assert!(late.to_string().contains("use a newer program"), "{late}");
}

pub(crate) fn upgrades_an_older_format_to_the_newest() {
    let server = Server::shared();
    let address = server.database();
    // Format 0, without rows, would be the state of an interrupted creation; a real creation is atomic.
    run(
        &address,
        "CREATE TABLE cheque_store (only_row boolean PRIMARY KEY DEFAULT true, format integer NOT NULL);
        INSERT INTO cheque_store (format) VALUES (0)",
    );
    let store = Postgres::open(&address).unwrap();
    set(&store, Table::Trees, b"key", b"value");
    drop(store);
    let format = with_client(&address, async |client| {
        let row = client.query_one("SELECT format FROM cheque_store", &[]);
        row.await.unwrap().get::<_, i32>(0)
    });
    assert_eq!(u32::try_from(format), Ok(Postgres::FORMAT));
    let again = Postgres::open(&address).unwrap();
    assert_eq!(rows(&again, Table::Trees, b"").len(), 1);
}

pub(crate) fn refuses_foreign_tables_and_leaves_them_unchanged() {
    let server = Server::shared();
    for theirs in [
        "CREATE TABLE cheque_rows (number integer)",
        "CREATE TABLE cheque_store (name text)",
        "CREATE TABLE cheque_store (format integer)",
        "CREATE TABLE cheque_store (format integer); INSERT INTO cheque_store VALUES (-1)",
    ] {
        let address = server.database();
        run(&address, theirs);
        let refused = Postgres::open(&address).unwrap_err();
        assert!(
            matches!(refused, StoreError::Foreign { .. }),
            "{theirs}: {refused}"
        );
        assert_eq!(tables(&address), 1);
    }
}

/// Counts the tables of a database.
fn tables(address: &str) -> i64 {
    with_client(address, async |client| {
        let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        client.query_one(count, &[]).await.unwrap().get(0)
    })
}

pub(crate) fn opens_no_existing_store_in_an_empty_database() {
    let server = Server::shared();
    let address = server.database();
    let refused = Postgres::open_existing(&address).unwrap_err();
    assert!(matches!(refused, StoreError::Absent { .. }), "{refused}");
    assert_eq!(tables(&address), 0);
}

pub(crate) fn opens_an_existing_store_with_its_rows() {
    let server = Server::shared();
    let address = server.database();
    let store = Postgres::open(&address).unwrap();
    set(&store, Table::Trees, b"key", b"value");
    let existing = Postgres::open_existing(&address).unwrap();
    assert_eq!(rows(&existing, Table::Trees, b"").len(), 1);
}

pub(crate) fn opens_no_existing_store_of_an_older_format() {
    let server = Server::shared();
    let address = server.database();
    run(
        &address,
        "CREATE TABLE cheque_store (only_row boolean PRIMARY KEY DEFAULT true, format integer NOT NULL);
        INSERT INTO cheque_store (format) VALUES (0)",
    );
    let refused = Postgres::open_existing(&address).unwrap_err();
    let older =
        matches!(refused, StoreError::Older { found: 0, known, .. } if known == Postgres::FORMAT);
    assert!(older, "{refused}");
    assert_eq!(tables(&address), 1);
    drop(Postgres::open(&address).unwrap());
    drop(Postgres::open_existing(&address).unwrap());
}

pub(crate) fn opens_no_existing_store_in_foreign_tables() {
    let server = Server::shared();
    let address = server.database();
    run(&address, "CREATE TABLE cheque_rows (number integer)");
    let refused = Postgres::open_existing(&address).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
}
