//! What the store in a PostgreSQL database adds: many processes, a server that goes away, tables of other versions.

use crate::{
    conformance::{increment, number, rows, set},
    kills::kill_again_and_again,
    postgres::{Server, own_server, run, server, with_client},
};
use cheque::store::{Change, Postgres, Store, StoreError, Swap, Table};
use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

const WORKER: &str = "CHEQUE_TEST_WORKER";
const WORKERS: u64 = 8;
const TIMES: u64 = 40;
const KEYS: u64 = 3;

/// Not a statement of its own: what is run as another process.
#[test]
fn worker() {
    let Ok(address) = std::env::var(WORKER) else {
        return;
    };
    let store = Postgres::open(&address).unwrap();
    // Two threads each, so that groups of one process meet those of another.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for time in 0..TIMES {
                    increment(&store, &(time % KEYS).to_be_bytes());
                }
            });
        }
    });
}

fn start_worker(address: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shared::worker"])
        .env(WORKER, address)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn eight_processes_that_start_at_once_count_every_increment_exactly_once() {
    let Some(server) = server() else { return };
    let address = server.database();
    let workers: Vec<_> = (0..WORKERS).map(|_| start_worker(&address)).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let store = Postgres::open(&address).unwrap();
    let counts = rows(&store, Table::Received, b"").into_iter();
    let counts: Vec<_> = counts.map(|(_, value)| number(Some(&value))).collect();
    assert_eq!(counts.len() as u64, KEYS);
    assert_eq!(counts.iter().sum::<u64>(), 2 * WORKERS * TIMES);
}

#[test]
fn killed_again_and_again_a_database_keeps_every_acknowledged_write() {
    let Some(server) = server() else { return };
    kill_again_and_again(&server.database());
}

#[test]
fn swaps_of_the_same_keys_in_any_order_never_wait_for_each_other_for_ever() {
    let Some(server) = server() else { return };
    let address = server.database();
    let stores: Vec<_> = (0..4).map(|_| Postgres::open(&address).unwrap()).collect();
    let keys: Vec<_> = (0..6u8).map(|key| [key]).collect();
    thread::scope(|scope| {
        for (number, store) in stores.iter().enumerate() {
            for thread in 0..2 {
                let keys = &keys;
                scope.spawn(move || {
                    for time in 0..30 {
                        // Makes all rows or removes all, beginning at another one each time.
                        let mut order = keys.clone();
                        order.rotate_left((number + time) % keys.len());
                        if thread == 1 {
                            order.reverse();
                        }
                        let there = store.get(Table::Trees, &keys[0]).unwrap();
                        let (old, new) = match there {
                            None => (None, Some(&b"x"[..])),
                            Some(_) => (Some(&b"x"[..]), None),
                        };
                        let changes: Vec<_> = order
                            .iter()
                            .map(|key| Change {
                                table: Table::Trees,
                                key,
                                old,
                                new,
                            })
                            .collect();
                        // Somebody else may have been faster.
                        let _ = store.swap(&changes).unwrap();
                        let left = rows(store, Table::Trees, b"").len();
                        assert!(left == 0 || left == keys.len(), "{left} rows");
                    }
                });
            }
        }
    });
}

/// The address of a database on a server that stays where it is.
fn two_handles(server: &Server) -> (Postgres, Postgres, String) {
    let address = server.database();
    let first = Postgres::open(&address).unwrap();
    let second = Postgres::open(&address).unwrap();
    (first, second, address)
}

#[test]
fn what_one_handle_acknowledges_the_other_sees_at_once() {
    let Some(server) = server() else { return };
    let (first, second, _) = two_handles(&server);
    for count in 0..50 {
        let (one, other) = match count % 2 {
            0 => (&first, &second),
            _ => (&second, &first),
        };
        let new = increment(one, b"count");
        let seen = other.get(Table::Received, b"count").unwrap();
        assert_eq!(number(seen.as_deref()), new);
    }
}

#[test]
fn after_a_crash_of_the_server_everything_acknowledged_is_there_and_calls_connect_again() {
    const THREADS: u64 = 8;
    let Some(mut server) = own_server() else {
        return;
    };
    let address = server.database();
    let store = Postgres::open(&address).unwrap();
    let acknowledged: Vec<_> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    for _ in 0..3 {
        let stop = AtomicBool::new(false);
        let written = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (store, newest) = (&store, &acknowledged[thread as usize]);
                let (stop, written) = (&stop, &written);
                scope.spawn(move || {
                    let key = thread.to_be_bytes();
                    // What is there, as nobody knows it after a failure.
                    let mut old = None;
                    let mut known = false;
                    while !stop.load(Ordering::SeqCst) {
                        if !known {
                            let Ok(found) = store.get(Table::Received, &key) else {
                                continue;
                            };
                            let found_number = number(found.as_deref());
                            let said = newest.load(Ordering::SeqCst);
                            let possible = said..=said + 1;
                            assert!(possible.contains(&found_number), "{found_number}, {said}");
                            newest.store(found_number, Ordering::SeqCst);
                            (old, known) = (found, true);
                        }
                        let count = number(old.as_deref()) + 1;
                        let new = count.to_be_bytes();
                        match store.compare_and_set(Table::Received, &key, old.as_deref(), &new) {
                            Ok(swap) => {
                                // Nobody else writes this row, but what nobody knew of may have come to an end only
                                // after it was looked for. It wrote the same.
                                let late = Swap::Conflict {
                                    index: 0,
                                    found: Some(new.to_vec()),
                                };
                                assert!(swap == Swap::Done || swap == late, "{swap:?}");
                                newest.store(count, Ordering::SeqCst);
                                written.fetch_add(1, Ordering::SeqCst);
                                old = Some(new.to_vec());
                            }
                            Err(StoreError::Unknown { .. }) => known = false,
                            Err(StoreError::Unreachable { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
            let wait_for = |count| {
                while written.load(Ordering::SeqCst) < count {
                    thread::yield_now();
                }
            };
            wait_for(200);
            server.crash_and_restart();
            wait_for(written.load(Ordering::SeqCst) + 200);
            stop.store(true, Ordering::SeqCst);
        });
    }
    for (thread, newest) in (0u64..).zip(&acknowledged) {
        let kept = store.get(Table::Received, &thread.to_be_bytes()).unwrap();
        assert_eq!(number(kept.as_deref()), newest.load(Ordering::SeqCst));
    }
}

#[test]
fn a_write_on_a_connection_that_is_cut_is_reported_as_unknown_or_done() {
    let Some(server) = server() else { return };
    let (store, _, address) = two_handles(&server);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut newest = 0;
    for _ in 0..20 {
        set(&store, Table::Received, b"count", &u64::to_be_bytes(newest));
        run(&address, cut);
        let (old, new) = (u64::to_be_bytes(newest), u64::to_be_bytes(newest + 1));
        match store.compare_and_set(Table::Received, b"count", Some(&old), &new) {
            Ok(swap) => assert_eq!(swap, Swap::Done),
            Err(error) => assert!(matches!(error, StoreError::Unknown { .. }), "{error}"),
        }
        let found = store.get(Table::Received, b"count").unwrap();
        let found = number(found.as_deref());
        assert!(found == newest || found == newest + 1);
        newest = found;
    }
}

#[test]
fn a_scan_does_not_keep_others_from_their_connections() {
    let Some(server) = server() else { return };
    let (store, _, _) = two_handles(&server);
    for key in 0..8u8 {
        set(&store, Table::Trees, &[key], b"value");
    }
    fn nested(store: &Postgres, depth: u32) -> usize {
        let mut count = 0;
        let mut visit = |_: &[u8], _: &[u8]| {
            count += 1;
            if depth > 0 {
                set(store, Table::Outbox, &depth.to_be_bytes(), b"from within");
                count += nested(store, depth - 1);
                return std::ops::ControlFlow::Break(());
            }
            std::ops::ControlFlow::Continue(())
        };
        store.scan(Table::Trees, b"", &mut visit).unwrap();
        count
    }
    // More scans within each other than there are connections kept.
    assert_eq!(nested(&store, 12), 12 + 8);
}

#[tokio::test]
async fn works_and_ends_within_a_task_too() {
    let Some(server) = tokio::task::spawn_blocking(server).await.unwrap() else {
        return;
    };
    let database = server.clone();
    let address = tokio::task::spawn_blocking(move || database.database());
    let store = Postgres::open(&address.await.unwrap()).unwrap();
    set(&store, Table::Trees, b"key", b"value");
    assert_eq!(rows(&store, Table::Trees, b"").len(), 1);
    drop(store);
    tokio::task::spawn_blocking(move || drop(server))
        .await
        .unwrap();
}

#[test]
fn refuses_a_newer_format_and_says_what_to_do() {
    let Some(server) = server() else { return };
    let (store, _, address) = two_handles(&server);
    let newer = Postgres::FORMAT + 1;
    run(
        &address,
        &format!("UPDATE cheque_store SET format = {newer}"),
    );
    let refused = Postgres::open(&address).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found, known, .. } if found == known + 1));
    assert!(refused.to_string().contains("use a newer program"));
    // A handle that is open already notices when it connects again.
    run(
        &address,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let late = loop {
        // The first one may have been on its way when the connection went.
        match store.compare_and_set(Table::Trees, b"late", None, b"1") {
            Err(StoreError::Unknown { .. }) => {}
            other => break other,
        }
    };
    let late = late.unwrap_err();
    assert!(matches!(late, StoreError::Unreachable { .. }), "{late}");
    assert!(late.to_string().contains("use a newer program"), "{late}");
}

#[test]
fn brings_an_older_format_to_the_newest_and_keeps_its_rows() {
    let Some(server) = server() else { return };
    let address = server.database();
    // Format 0 is what an interrupted creation would have left, if it could be interrupted: no rows yet.
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

#[test]
fn refuses_tables_of_other_programs_and_leaves_them_alone() {
    let Some(server) = server() else { return };
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
        let tables = with_client(&address, async |client| {
            let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
            client.query_one(count, &[]).await.unwrap().get::<_, i64>(0)
        });
        assert_eq!(tables, 1);
    }
}

#[test]
fn refuses_a_server_that_loses_what_it_confirms() {
    let Some(server) = own_server() else { return };
    let address = server.database();
    drop(Postgres::open(&address).unwrap());
    server.run("ALTER SYSTEM SET fsync = off");
    server.run("SELECT pg_reload_conf()");
    let refused = loop {
        // The server takes the setting over when it gets to it.
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

#[test]
fn overrules_a_database_that_confirms_before_it_has_written() {
    let Some(server) = server() else { return };
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
    // Every row tells under which setting it was written.
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

#[test]
fn never_shows_user_or_password() {
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
    let Some(server) = server() else { return };
    let store = Postgres::open(&server.database()).unwrap();
    let said = format!("{store:?}");
    assert!(
        !said.contains("user") && !said.contains("password"),
        "{said}"
    );
    assert!(!store.place().display().to_string().contains("user"));
}
