//! The store in PostgreSQL while its server crashes, cuts connections or hangs.

use crate::{
    postgres::{Server, run},
    support::{number, rows, set, two_handles},
};
use cheque::store::{Postgres, Store, StoreError, Swap, Table};
use std::{
    net::TcpListener,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

pub(crate) fn keeps_acknowledged_writes_and_reconnects_after_a_crash() {
    const THREADS: u64 = 8;
    let mut server = Server::start();
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
                    // The stored value, read again after each failure.
                    let mut old = None;
                    let mut known = false;
                    while !stop.load(Ordering::SeqCst) {
                        if !known {
                            let Ok(found) = store.get(Table::Positions, &key) else {
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
                        match store.compare_and_set(Table::Positions, &key, old.as_deref(), &new) {
                            Ok(swap) => {
                                // Only this thread writes the row. A write of unknown outcome may have committed the same
                                // value after the row was read again.
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
        let kept = store.get(Table::Positions, &thread.to_be_bytes()).unwrap();
        assert_eq!(number(kept.as_deref()), newest.load(Ordering::SeqCst));
    }
}

pub(crate) fn reports_write_on_a_cut_connection_as_unknown_or_done() {
    let server = Server::shared();
    let (store, _, address) = two_handles(&server);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut newest = 0;
    for _ in 0..20 {
        set(
            &store,
            Table::Positions,
            b"count",
            &u64::to_be_bytes(newest),
        );
        run(&address, cut);
        let (old, new) = (u64::to_be_bytes(newest), u64::to_be_bytes(newest + 1));
        match store.compare_and_set(Table::Positions, b"count", Some(&old), &new) {
            Ok(swap) => assert_eq!(swap, Swap::Done),
            Err(error) => assert!(matches!(error, StoreError::Unknown { .. }), "{error}"),
        }
        let found = store.get(Table::Positions, b"count").unwrap();
        let found = number(found.as_deref());
        assert!(found == newest || found == newest + 1);
        newest = found;
    }
}

pub(crate) fn reports_a_silent_server_as_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut clients = Vec::new();
        while let Ok((client, _)) = listener.accept() {
            clients.push(client);
        }
    });
    let address = format!("postgres://user@127.0.0.1:{port}/store?connect_timeout=1");
    let refused = Postgres::open(&address).unwrap_err();
    assert!(
        matches!(refused, StoreError::Unreachable { .. }),
        "{refused}"
    );
}

pub(crate) fn returns_errors_while_the_server_hangs_and_loses_nothing() {
    let server = Server::start();
    let address = server.database();
    let limits = "tcp_user_timeout=1&connect_timeout=1";
    let separator = if address.contains('?') { '&' } else { '?' };
    let store = Postgres::open(&format!("{address}{separator}{limits}")).unwrap();
    set(&store, Table::Positions, b"before", b"1");

    server.freeze(true);
    thread::scope(|scope| {
        let writer = |key: &'static [u8]| {
            let store = &store;
            scope.spawn(move || store.compare_and_set(Table::Positions, key, None, b"2"))
        };
        // More writers than commits at a time, so that some writers wait for others.
        let keys: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
        let writers = keys.map(writer);
        for writer in writers {
            let error = writer.join().unwrap().unwrap_err();
            let open = matches!(
                error,
                StoreError::Unknown { .. } | StoreError::Unreachable { .. }
            );
            assert!(open, "{error}");
        }
    });
    let error = store.get(Table::Positions, b"before").unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    let each = &mut |_: &[u8], _: &[u8]| ControlFlow::Continue(());
    store.scan(Table::Positions, b"", each).unwrap_err();

    server.freeze(false);
    let before = store.get(Table::Positions, b"before").unwrap();
    assert_eq!(before.as_deref(), Some(&b"1"[..]));
    // Each write of unknown outcome was made or not. The writers can retry in both cases.
    for key in [&b"a"[..], b"b", b"c", b"d"] {
        loop {
            let old = store.get(Table::Positions, key).unwrap();
            assert!(old.is_none() || old.as_deref() == Some(b"2"));
            let swap = store.compare_and_set(Table::Positions, key, old.as_deref(), b"3");
            if swap.unwrap() == Swap::Done {
                break;
            }
        }
    }
    assert_eq!(rows(&store, Table::Positions, b"").len(), 5);
}
