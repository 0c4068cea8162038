//! Every kind of store, and shorthands for rows.

use crate::harness::Test;
use cheque::store::{Change, Memory, Redb, Store, Swap, Table};
use std::ops::{ControlFlow, Deref};

/// A kind of store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Memory,
    Redb,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// An empty store, with everything to be dropped after the store.
pub(crate) struct Opened {
    store: Box<dyn Store>,
    _directory: Option<tempfile::TempDir>,
    #[cfg(feature = "postgres")]
    _server: Option<std::sync::Arc<crate::postgres::Server>>,
}

impl Deref for Opened {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl Kind {
    const ALL: &[Self] = &[
        Self::Memory,
        Self::Redb,
        #[cfg(feature = "postgres")]
        Self::Postgres,
    ];

    /// Opens an empty store of this kind.
    pub(crate) fn open(self) -> Opened {
        let mut opened = Opened {
            store: Box::new(Memory::new()),
            _directory: None,
            #[cfg(feature = "postgres")]
            _server: None,
        };
        match self {
            Self::Memory => {}
            Self::Redb => {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("store.redb");
                opened.store = Box::new(Redb::open(path).unwrap());
                opened._directory = Some(directory);
            }
            #[cfg(feature = "postgres")]
            Self::Postgres => {
                let server = crate::postgres::Server::shared();
                let store = cheque::store::Postgres::open(&server.database());
                opened.store = Box::new(store.unwrap());
                opened._server = Some(server);
            }
        }
        opened
    }

    /// The reason to ignore tests of this kind.
    fn missing(self) -> Option<String> {
        match self {
            Self::Memory | Self::Redb => None,
            #[cfg(feature = "postgres")]
            Self::Postgres => crate::postgres::missing(),
        }
    }
}

/// A check of a kind of store, with its name.
pub(crate) type Check = (&'static str, Box<dyn Fn(Kind) + Send + Sync>);

/// Lists checks `fn(&dyn Store)`, each run with an empty store.
macro_rules! checks {
    ($($check:path),* $(,)?) => {
        vec![$((
            stringify!($check),
            Box::new(|kind: crate::support::Kind| $check(&*kind.open())) as Box<_>,
        )),*]
    };
}
pub(crate) use checks;

/// Makes a test of each check with each kind of store.
pub(crate) fn each_store(checks: Vec<Check>) -> impl Iterator<Item = Test> {
    checks.into_iter().flat_map(|(name, check)| {
        let check = std::sync::Arc::new(check);
        Kind::ALL.iter().map(move |&kind| {
            let check = check.clone();
            let name = format!("{name}::{kind:?}").to_lowercase();
            Test::new(name, move || check(kind)).ignored_if(kind.missing())
        })
    })
}

pub(crate) fn set(store: &dyn Store, table: Table, key: &[u8], new: &[u8]) {
    let old = store.get(table, key).unwrap();
    let swap = store.compare_and_set(table, key, old.as_deref(), new);
    assert_eq!(swap.unwrap(), Swap::Done);
}

pub(crate) fn rows(store: &dyn Store, table: Table, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .scan(table, prefix, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

/// Adds 1 to a number by compare-and-set, with retries on conflicts.
pub(crate) fn increment(store: &dyn Store, key: &[u8]) -> u64 {
    let table = Table::Positions;
    let mut old = store.get(table, key).unwrap();
    loop {
        let new = number(old.as_deref()) + 1;
        let bytes = new.to_be_bytes();
        match store
            .compare_and_set(table, key, old.as_deref(), &bytes)
            .unwrap()
        {
            Swap::Done => return new,
            Swap::Conflict { index: 0, found } => {
                assert_ne!(found, old, "a conflict names the expected value");
                assert!(number(found.as_deref()) >= new, "the number went backwards");
                old = found;
            }
            Swap::Conflict { index, .. } => panic!("conflict at change {index} of a single change"),
        }
    }
}

pub(crate) fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

pub(crate) const fn change<'a>(
    table: Table,
    key: &'a [u8],
    old: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
) -> Change<'a> {
    Change {
        table,
        key,
        old,
        new,
    }
}

/// Opens two handles to the same new database, and returns its address, too.
#[cfg(feature = "postgres")]
pub(crate) fn two_handles(
    server: &crate::postgres::Server,
) -> (cheque::store::Postgres, cheque::store::Postgres, String) {
    let address = server.database();
    let first = cheque::store::Postgres::open(&address).unwrap();
    let second = cheque::store::Postgres::open(&address).unwrap();
    (first, second, address)
}
