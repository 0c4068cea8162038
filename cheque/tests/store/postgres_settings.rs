//! The store in PostgreSQL: durability settings of the server, and secrets in its address.

use crate::{
    postgres::{Server, run},
    support::{set, two_handles},
};
use cheque::store::{Postgres, Store, StoreError, Swap, Table};

pub(crate) fn refuses_a_server_without_fsync() {
    let server = Server::start();
    let address = server.database();
    drop(Postgres::open(&address).unwrap());
    server.run("ALTER SYSTEM SET fsync = off");
    server.run("SELECT pg_reload_conf()");
    let refused = loop {
        // The server applies the setting after a delay.
        if let Err(error) = Postgres::open(&address) {
            break error;
        }
    };
    let fsync = matches!(
        refused,
        StoreError::NotDurable {
            setting: "fsync",
            ..
        }
    );
    assert!(fsync, "{refused}");
}

pub(crate) fn enforces_synchronous_commit() {
    let server = Server::shared();
    let (store, _, address) = two_handles(&server);
    let name = address.split('/').next_back().unwrap();
    let name = address.split("cheque_test_").nth(1).unwrap_or(name);
    let name: String = name.chars().take_while(|c| *c != '?').collect();
    drop(store);
    let off = "SET synchronous_commit = off";
    run(
        &address,
        &format!("ALTER DATABASE cheque_test_{name} {off}"),
    );
    let store = Postgres::open(&address).unwrap();
    set(&store, Table::Trees, b"key", b"value");
    // A trigger writes the setting in force into every row.
    run(
        &address,
        "CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.value = convert_to(current_setting('synchronous_commit'), 'UTF8'); RETURN NEW; END $$;
        CREATE TRIGGER seen BEFORE UPDATE ON cheque_rows FOR EACH ROW EXECUTE FUNCTION seen()",
    );
    let swap = store.compare_and_set(Table::Trees, b"key", Some(b"value"), b"?");
    assert_eq!(swap.unwrap(), Swap::Done);
    let value = store.get(Table::Trees, b"key").unwrap().unwrap();
    assert_eq!(value, b"on");
}

pub(crate) fn hides_user_and_password_in_errors() {
    let texts = [
        "postgres://alice:hunter2@127.0.0.1:1/db",
        "postgres://alice:hunter2@127.0.0.1:1/db?sslmode=require",
        "postgres://alice:hunter2@127.0.0.1:1/db?hunter2=hunter2",
        "postgres://alice:hunter2@h%zz/db",
        "postgres://alice:hunter2@host:hunter2/db",
        "alice hunter2",
        "postgres://",
    ];
    for text in texts {
        let error = Postgres::open(text).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!said.contains("alice"), "{said}");
    }
    let refused = Postgres::open(texts[0]).unwrap_err();
    assert!(
        matches!(refused, StoreError::Unreachable { .. }),
        "{refused}"
    );
    let said = refused.to_string();
    assert!(
        said.starts_with("postgres://127.0.0.1:1/db cannot be reached"),
        "{said}"
    );
    let nonsense = Postgres::open(texts[5]).unwrap_err();
    assert!(matches!(nonsense, StoreError::BadAddress), "{nonsense}");
}

pub(crate) fn hides_user_and_password_of_an_open_store() {
    let server = Server::shared();
    let store = Postgres::open(&server.database()).unwrap();
    let said = format!("{store:?}");
    assert!(
        !said.contains("user") && !said.contains("password"),
        "{said}"
    );
    assert!(!store.place().display().to_string().contains("user"));
}
