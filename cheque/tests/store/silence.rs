//! A PostgreSQL server that takes connections and does not answer.

use crate::{
    conformance::{rows, set},
    postgres::own_server,
};
use cheque::store::{Postgres, Store, StoreError, Table};
use std::{net::TcpListener, ops::ControlFlow, thread};

#[test]
fn a_server_that_only_takes_connections_is_unreachable() {
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

#[test]
fn a_server_that_hangs_blocks_nobody_for_ever_and_loses_nothing() {
    let Some(server) = own_server() else { return };
    let address = server.database();
    let limits = "tcp_user_timeout=1&connect_timeout=1";
    let separator = if address.contains('?') { '&' } else { '?' };
    let store = Postgres::open(&format!("{address}{separator}{limits}")).unwrap();
    set(&store, Table::Received, b"before", b"1");

    server.freeze(true);
    thread::scope(|scope| {
        let writer = |key: &'static [u8]| {
            let store = &store;
            scope.spawn(move || store.compare_and_set(Table::Received, key, None, b"2"))
        };
        // More than are written at once, so that some wait for others.
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
    let error = store.get(Table::Received, b"before").unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    let each = &mut |_: &[u8], _: &[u8]| ControlFlow::Continue(());
    store.scan(Table::Received, b"", each).unwrap_err();

    server.freeze(false);
    let before = store.get(Table::Received, b"before").unwrap();
    assert_eq!(before.as_deref(), Some(&b"1"[..]));
    // What was unknown is there or not, and can be done again either way.
    for key in [&b"a"[..], b"b", b"c", b"d"] {
        loop {
            let old = store.get(Table::Received, key).unwrap();
            assert!(old.is_none() || old.as_deref() == Some(b"2"));
            let swap = store.compare_and_set(Table::Received, key, old.as_deref(), b"3");
            if swap.unwrap() == cheque::store::Swap::Done {
                break;
            }
        }
    }
    assert_eq!(rows(&store, Table::Received, b"").len(), 5);
}
