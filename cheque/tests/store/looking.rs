//! Who only wants to look makes no tables in a database, and changes none.

use crate::{
    conformance::{rows, set},
    postgres::{run, server, with_client},
};
use cheque::store::{Postgres, StoreError, Table};

fn tables(address: &str) -> i64 {
    with_client(address, async |client| {
        let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        client.query_one(count, &[]).await.unwrap().get(0)
    })
}

#[test]
fn a_look_at_an_empty_database_finds_no_store_and_leaves_it_empty() {
    let Some(server) = server() else { return };
    let address = server.database();
    let refused = Postgres::open_existing(&address).unwrap_err();
    assert!(matches!(refused, StoreError::Absent { .. }), "{refused}");
    assert_eq!(tables(&address), 0);
}

#[test]
fn a_look_finds_the_rows_that_are_there() {
    let Some(server) = server() else { return };
    let address = server.database();
    let store = Postgres::open(&address).unwrap();
    set(&store, Table::Trees, b"key", b"value");
    let look = Postgres::open_existing(&address).unwrap();
    assert_eq!(rows(&look, Table::Trees, b"").len(), 1);
}

#[test]
fn a_look_at_older_tables_says_so_and_leaves_them_as_they_are() {
    let Some(server) = server() else { return };
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

#[test]
fn a_look_refuses_tables_of_other_programs() {
    let Some(server) = server() else { return };
    let address = server.database();
    run(&address, "CREATE TABLE cheque_rows (number integer)");
    let refused = Postgres::open_existing(&address).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
}
