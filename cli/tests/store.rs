//! Backups: what goes in comes out, between all kinds of stores.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;
#[cfg(all(feature = "postgres", unix))]
#[path = "../../cheque/tests/postgres/mod.rs"]
mod postgres;

use std::{fs, path::Path, process::Output};

use cheque::store::{Redb, Store, Swap, Table};
use common::{program, stderr, text};

/// A directory with a store in it.
fn filled(directory: &Path) {
    let store = Redb::open(directory.join("cheque.redb")).unwrap();
    for table in Table::ALL {
        for key in 0..20u8 {
            let swap = store.compare_and_set(table, &[key], None, table.name().as_bytes());
            assert_eq!(swap.unwrap(), Swap::Done);
        }
    }
}

fn store(verb: &str, store: &str, file: &Path) -> Output {
    let mut command = program();
    command.args(["--json", "store", verb, "--store", store]);
    command.arg(file).output().unwrap()
}

fn done(verb: &str, place: &str, file: &Path) -> serde_json::Value {
    let output = store(verb, place, file);
    assert!(output.status.success(), "{verb}: {}", stderr(&output));
    serde_json::from_str(&text(&output.stdout)).unwrap()
}

fn refused(verb: &str, place: &str, file: &Path) -> String {
    let output = store(verb, place, file);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    stderr(&output)
}

#[test]
fn a_backup_restores_into_another_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    filled(&one);
    let made = done("backup", one.to_str().unwrap(), &first);
    assert_eq!(made["records"], 20 * Table::ALL.len());
    assert_eq!(made["bytes"], first.metadata().unwrap().len());
    assert_eq!(done("restore", two.to_str().unwrap(), &first), made);
    done("backup", two.to_str().unwrap(), &second);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    // Neither temporary files nor anything else is left.
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.drain(..).count(), 4);
}

#[cfg(unix)]
#[test]
fn a_backup_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let file = folder.path().join("backup");
    done("backup", folder.path().to_str().unwrap(), &file);
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn refuses_to_write_over_a_file_or_into_a_store_with_records() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    filled(folder.path());
    let file = folder.path().join("backup");
    fs::write(&file, "something dear").unwrap();
    let said = refused("backup", place, &file);
    assert!(said.contains("exists already"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), b"something dear");
    let said = refused(
        "restore",
        folder.path().join("new").to_str().unwrap(),
        &file,
    );
    assert!(said.contains("no backup of a cheque store"), "{said}");
    let backup = folder.path().join("good");
    done("backup", place, &backup);
    let said = refused("restore", place, &backup);
    assert!(said.contains("not empty"), "{said}");
}

#[test]
fn there_is_no_backup_of_a_store_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let said = refused(
        "backup",
        nowhere.to_str().unwrap(),
        &folder.path().join("file"),
    );
    assert!(said.contains("there is no store in"), "{said}");
    assert!(!nowhere.exists());
}

#[cfg(all(feature = "postgres", unix))]
#[test]
fn moves_a_store_from_a_file_to_a_database_and_back() {
    let Some(server) = postgres::server() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let made = done("backup", folder.path().to_str().unwrap(), &first);
    let database = server.database();
    assert_eq!(
        done("restore", &database, &first)["records"],
        made["records"]
    );
    done("backup", &database, &second);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let said = refused("restore", &database, &first);
    assert!(said.contains("not empty"), "{said}");
}

#[cfg(all(feature = "postgres", unix))]
#[test]
fn a_command_that_only_looks_leaves_an_empty_database_empty() {
    let Some(server) = postgres::server() else {
        return;
    };
    let database = server.database();
    let tables = || {
        postgres::with_client(&database, async |client| {
            let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
            client.query_one(count, &[]).await.unwrap().get::<_, i64>(0)
        })
    };
    let node = common::Node::start();
    let payer = node.machine(0);
    payer.ok(&["deploy"]);
    let list = format!("{}=0.1ether", payer.address);
    let create = ["deposit", "create", "--allowance", &list, "--draw-in", "30"];
    let create = [&create[..], &["--store", &database, "--dry-run"]].concat();
    assert_eq!(payer.json(&create)["transaction"]["sent"], false);
    assert_eq!(tables(), 0);
    let said = refused("backup", &database, &payer.folder().join("file"));
    assert!(said.contains("there is no store in postgres://"), "{said}");
    assert_eq!(tables(), 0);
}

#[cfg(feature = "postgres")]
#[test]
fn an_address_with_a_password_is_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for address in [
        "postgres://alice:hunter2@127.0.0.1:1/db",
        "postgres://alice:hunter2@%zz/db",
    ] {
        let said = refused("backup", address, &file);
        assert!(
            !said.contains("hunter2") && !said.contains("alice"),
            "{said}"
        );
    }
}
