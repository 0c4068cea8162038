//! The store in PostgreSQL, shared by processes, handles and tasks.

use crate::{
    postgres::Server,
    process::Process,
    support::{increment, number, rows, set, two_handles},
};
use cheque::store::{Change, Postgres, Store, Table};
use std::thread;

const DATABASE: &str = "CHEQUE_TEST_DATABASE";
const WORKERS: u64 = 8;
const TIMES: u64 = 40;
const KEYS: u64 = 3;

/// Role: increments the keys from two threads, so that commits of several threads in each process compete.
pub(crate) fn run_worker() {
    let store = Postgres::open(&std::env::var(DATABASE).unwrap()).unwrap();
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

pub(crate) fn counts_increments_of_eight_processes_exactly_once() {
    let server = Server::shared();
    let address = server.database();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| Process::start("worker", &[(DATABASE, &address)]))
        .collect();
    for mut worker in workers {
        worker.finish();
    }
    let store = Postgres::open(&address).unwrap();
    let counts = rows(&store, Table::Positions, b"").into_iter();
    let counts: Vec<_> = counts.map(|(_, value)| number(Some(&value))).collect();
    assert_eq!(counts.len() as u64, KEYS);
    assert_eq!(counts.iter().sum::<u64>(), 2 * WORKERS * TIMES);
}

pub(crate) fn swaps_same_keys_in_any_order_without_deadlock() {
    let server = Server::shared();
    let address = server.database();
    let stores: Vec<_> = (0..4).map(|_| Postgres::open(&address).unwrap()).collect();
    let keys: Vec<_> = (0..6u8).map(|key| [key]).collect();
    thread::scope(|scope| {
        for (number, store) in stores.iter().enumerate() {
            for thread in 0..2 {
                let keys = &keys;
                scope.spawn(move || {
                    for time in 0..30 {
                        // Writes all rows or removes all, each time beginning at another row.
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
                        // A conflict is fine: another thread was faster.
                        let _ = store.swap(&changes).unwrap();
                        let left = rows(store, Table::Trees, b"").len();
                        assert!(left == 0 || left == keys.len(), "{left} rows");
                    }
                });
            }
        }
    });
}

pub(crate) fn shows_acknowledged_writes_to_other_handles_at_once() {
    let server = Server::shared();
    let (first, second, _) = two_handles(&server);
    for count in 0..50 {
        let (writer, reader) = match count % 2 {
            0 => (&first, &second),
            _ => (&second, &first),
        };
        let new = increment(writer, b"count");
        let seen = reader.get(Table::Positions, b"count").unwrap();
        assert_eq!(number(seen.as_deref()), new);
    }
}

pub(crate) fn nests_more_scans_than_it_keeps_connections() {
    let server = Server::shared();
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
    assert_eq!(nested(&store, 12), 12 + 8);
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn opens_and_closes_within_an_async_task() {
    let server = tokio::task::spawn_blocking(Server::shared).await.unwrap();
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
