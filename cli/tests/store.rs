//! Backup and restore between all kinds of stores.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../cheque/tests/support/harness.rs"]
mod harness;
#[cfg(all(feature = "postgres", unix))]
#[path = "../../cheque/tests/support/postgres.rs"]
mod postgres;
mod support;

use std::{
    fs,
    path::Path,
    process::{ExitCode, Output},
};

use cheque::store::{Redb, Store, Swap, Table};
use harness::tests;
use support::{program, stderr, text};

fn main() -> ExitCode {
    harness::run(&[], || {
        let mut all = Vec::new();
        all.extend(tests![
            creates_a_named_store_only_when_told,
            refuses_to_back_up_a_missing_store,
            takes_no_other_address_for_a_directory,
            refuses_to_overwrite_a_file_or_a_store_with_records,
            restores_a_backup_into_another_directory,
        ]);
        #[cfg(unix)]
        all.extend(tests![writes_a_backup_that_only_its_owner_can_read]);
        #[cfg(feature = "postgres")]
        all.extend(tests![never_prints_a_databases_credentials]);
        #[cfg(all(feature = "postgres", unix))]
        all.extend(harness::ignore_if(
            postgres::missing(),
            tests![
                creates_no_tables_in_a_dry_run,
                moves_a_store_from_file_to_database_and_back,
            ],
        ));
        all
    })
}

/// Creates a store with records in a directory.
fn create_store(directory: &Path) {
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

fn succeeds(verb: &str, at: &str, file: &Path) -> serde_json::Value {
    let output = store(verb, at, file);
    assert!(output.status.success(), "{verb}: {}", stderr(&output));
    serde_json::from_str(&text(&output.stdout)).unwrap()
}

fn fails(verb: &str, at: &str, file: &Path) -> String {
    let output = store(verb, at, file);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    stderr(&output)
}

fn restores_a_backup_into_another_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    create_store(&one);
    let made = succeeds("backup", one.to_str().unwrap(), &first);
    assert_eq!(made["records"], 20 * Table::ALL.len());
    assert_eq!(made["bytes"], first.metadata().unwrap().len());
    assert_eq!(succeeds("restore", two.to_str().unwrap(), &first), made);
    succeeds("backup", two.to_str().unwrap(), &second);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    // No temporary file is left.
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.drain(..).count(), 4);
}

#[cfg(unix)]
fn writes_a_backup_that_only_its_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    create_store(folder.path());
    let file = folder.path().join("backup");
    succeeds("backup", folder.path().to_str().unwrap(), &file);
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn refuses_to_overwrite_a_file_or_a_store_with_records() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    create_store(folder.path());
    let file = folder.path().join("backup");
    fs::write(&file, "other data").unwrap();
    let message = fails("backup", at, &file);
    assert!(message.contains("already exists"), "{message}");
    assert_eq!(fs::read(&file).unwrap(), b"other data");
    let message = fails(
        "restore",
        folder.path().join("new").to_str().unwrap(),
        &file,
    );
    assert!(message.contains("no backup of a cheque store"), "{message}");
    let backup = folder.path().join("good");
    succeeds("backup", at, &backup);
    let message = fails("restore", at, &backup);
    assert!(message.contains("not empty"), "{message}");
}

fn refuses_to_back_up_a_missing_store() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let message = fails(
        "backup",
        nowhere.to_str().unwrap(),
        &folder.path().join("file"),
    );
    assert!(message.contains("there is no store in"), "{message}");
    assert!(!nowhere.exists());
}

/// Runs a command in a folder with its own home. Returns the exit code and stderr.
fn run_in(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = program();
    command.args(args).current_dir(folder).env("HOME", folder);
    let output = command.output().unwrap();
    (output.status.code(), stderr(&output))
}

fn takes_no_other_address_for_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    for store in [
        "mysql://me:hunter2@127.0.0.1/db",
        "sqlite:///hunter2",
        "sqlite:hunter2",
        "host=127.0.0.1 password=hunter2 dbname=cheque",
        "me:hunter2@127.0.0.1/db",
    ] {
        for verb in ["init", "restore", "backup"] {
            let file = folder.path().join("file");
            fs::write(&file, "").unwrap();
            let mut args = vec!["store", verb, "--store", store];
            args.extend((verb != "init").then_some("file"));
            let (code, message) = run_in(folder.path(), &args);
            assert_eq!(code, Some(1), "{store}: {message}");
            assert!(
                message.contains("postgres://USER@HOST/NAME"),
                "{store}: {message}"
            );
            assert!(!message.contains("hunter2"), "{message}");
            fs::remove_file(&file).unwrap();
            let left = fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, 0, "{store} made a file");
        }
    }
}

fn creates_a_named_store_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("named");
    let store = ["--store", named.to_str().unwrap()];
    let node = support::Node::start();
    let payer = node.machine(0);
    payer.deploy();
    let list = format!("{}=0.1ether", payer.address);
    let create = [
        "deposit",
        "create",
        "--allowance",
        &list,
        "--draw-in",
        "10m",
    ];
    let proof = cheque::Proof::Step {
        deposit: Default::default(),
        k: 1,
        x: Default::default(),
    };
    let proof = proof.to_string();
    let verbs: [&[&str]; 8] = [
        &create,
        &["deposit", "list"],
        &["deposit", "watch", "--all"],
        &["holdings"],
        &["receive", &proof],
        &["store", "backup", "file"],
        &["payer", "run", "--listen", "127.0.0.1:0"],
        &["payee", "run", "--listen", "127.0.0.1:0"],
    ];
    for verb in verbs {
        let message = payer.fails(1, &[verb, &store].concat());
        assert!(
            message.contains("there is no store in"),
            "{verb:?}: {message}"
        );
        assert!(
            message.contains("`cheque store init`"),
            "{verb:?}: {message}"
        );
        assert!(!named.exists(), "{verb:?}");
    }
    // The default store has no name to mistype, but a service without its records loses money.
    let message = payer.fails(1, &["payee", "run", "--listen", "127.0.0.1:0"]);
    assert!(message.contains("name yours with --store"), "{message}");
    assert!(!payer.store().exists());

    let init = |created: bool| {
        let made = payer.json(&[&["store", "init"][..], &store].concat());
        assert_eq!(made["created"], created, "{made}");
    };
    init(true);
    init(false);
    payer.ok(&[&create[..], &store].concat());
    let other = folder.path().join("other");
    let told = ["--store", other.to_str().unwrap(), "--create-store"];
    payer.ok(&[&create[..], &told].concat());
    payer.ok(&create);
    assert!(payer.store().join("cheque.redb").exists());
}

#[cfg(all(feature = "postgres", unix))]
fn moves_a_store_from_file_to_database_and_back() {
    let server = postgres::Server::shared();
    let folder = tempfile::tempdir().unwrap();
    create_store(folder.path());
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let made = succeeds("backup", folder.path().to_str().unwrap(), &first);
    let database = server.database();
    assert_eq!(
        succeeds("restore", &database, &first)["records"],
        made["records"]
    );
    succeeds("backup", &database, &second);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let message = fails("restore", &database, &first);
    assert!(message.contains("not empty"), "{message}");
}

#[cfg(all(feature = "postgres", unix))]
fn creates_no_tables_in_a_dry_run() {
    let server = postgres::Server::shared();
    let database = server.database();
    let tables = || {
        postgres::with_client(&database, async |client| {
            let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
            client.query_one(count, &[]).await.unwrap().get::<_, i64>(0)
        })
    };
    let node = support::Node::start();
    let payer = node.machine(0);
    payer.deploy();
    let list = format!("{}=0.1ether", payer.address);
    let create = [
        "deposit",
        "create",
        "--allowance",
        &list,
        "--draw-in",
        "10m",
    ];
    let create = [&create[..], &["--store", &database]].concat();
    let dry = [&create[..], &["--create-store", "--dry-run"]].concat();
    assert_eq!(payer.json(&dry)["transaction"]["sent"], false);
    assert_eq!(tables(), 0);
    // A database without a store may be the wrong one.
    for args in [create.clone(), [&create[..], &["--dry-run"]].concat()] {
        let message = payer.fails(1, &args);
        assert!(
            message.contains("there is no store in postgres://"),
            "{message}"
        );
    }
    assert_eq!(tables(), 0);
    let message = fails("backup", &database, &payer.folder().join("file"));
    assert!(
        message.contains("there is no store in postgres://"),
        "{message}"
    );
    assert_eq!(tables(), 0);
}

#[cfg(feature = "postgres")]
fn never_prints_a_databases_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for address in [
        "postgres://alice:hunter2@127.0.0.1:1/db",
        "postgres://alice:hunter2@%zz/db",
    ] {
        let message = fails("backup", address, &file);
        assert!(
            !message.contains("hunter2") && !message.contains("alice"),
            "{message}"
        );
    }
}
