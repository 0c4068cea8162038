//! A store in a PostgreSQL database.

mod connection;
mod pool;
mod scan;
mod schema;
mod write;

use crate::store::{
    Change, Store, Swap, Table, Visit, VisitAll, check_whole,
    commit_queue::{Group, Groups},
    error::StoreError,
    pending::Pending,
    postgres::{
        connection::{Connection, Lost, Server},
        pool::Pool,
    },
};
use std::{
    cell::Cell,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many groups are written at once, each on a connection of its own: while the server writes one to disk, it can
/// work on the next.
const LANES: usize = 2;

/// A [`Store`] in a PostgreSQL database, for any number of processes at once. Each write is committed before it returns,
/// with those of other threads and tasks that came at the same time. Dropping it waits for what has begun.
///
/// The rows are in the table `cheque_rows`, the format of the tables in `cheque_store`, both in the first schema of the
/// search path that the role may use. They hold secrets.
///
/// A handle has one connection for single reads, two for writes and one more for each scan under way, made when needed.
/// A connection that was lost is made anew by the next call. A write that was on its way then is
/// [`StoreError::Unknown`]; a read is repeated once. So it is with a server that does not answer any more: each answer
/// may take 30 s, or as long as the address says by `tcp_user_timeout`, and connecting twice the address's
/// `connect_timeout`, which is 10 s without.
///
/// Does not encrypt the connection: reach a server on another machine through a tunnel or a private network. Needs
/// connections that keep their settings and prepared statements, so no pooler that shares them between transactions. The
/// server has to be the one that is written to; what it confirms is as durable as its settings say. `fsync = off` is
/// refused, `synchronous_commit = off` is overruled for these connections.
pub struct Postgres {
    /// Dropped first, so that what is under way is done before connections end.
    groups: Groups,
    reader: Mutex<Option<Arc<Connection>>>,
    pool: Arc<Pool>,
}

impl Postgres {
    /// The newest format of the tables this library writes and reads.
    pub const FORMAT: u32 = schema::FORMAT;

    /// Opens the store at `address`, and makes its tables if there are none.
    ///
    /// `postgres://user:password@host:port/database`, or `postgres:///database?host=/var/run/postgresql&user=name` for a
    /// local socket; the whole of libpq's syntax but TLS. Neither user nor password are ever shown by this library.
    ///
    /// Migrates older tables. Refuses newer ones, those of other programs, and servers that lose what they confirm.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let server = Server::new(address)?;
        let first = server.open()?;
        Self::on(server, first)
    }

    /// Opens the store at `address` like [`Postgres::open`], but neither makes nor migrates tables: for whoever only
    /// wants to look. A database without tables is [`StoreError::Absent`], older ones are [`StoreError::Older`].
    pub fn open_existing(address: &str) -> Result<Self, StoreError> {
        let server = Server::new(address)?;
        let first = server.open_existing()?;
        Self::on(server, first)
    }

    fn on(server: Server, first: Connection) -> Result<Self, StoreError> {
        let pool = Arc::new(Pool::new(server));
        let (writers, place) = (pool.clone(), pool.server.place());
        let commit = move |group: &Group<'_>| writers.commit(group);
        let groups = Groups::new(place, LANES, commit).map_err(|source| StoreError::Io {
            path: place.to_path_buf(),
            source,
        })?;
        let store = Self {
            groups,
            reader: Mutex::new(Some(Arc::new(first))),
            pool,
        };
        check_whole(&store, store.place())?;
        Ok(store)
    }

    /// Where the database is: host, port and name, without user and password.
    pub fn place(&self) -> &Path {
        self.pool.server.place()
    }

    /// The connection for single reads, which all of them share.
    fn reader(&self) -> Result<Arc<Connection>, StoreError> {
        let mut reader = lock(&self.reader);
        match &*reader {
            Some(open) if !open.client.is_closed() => Ok(open.clone()),
            _ => Ok(reader.insert(Arc::new(self.pool.server.connect()?)).clone()),
        }
    }

    /// Another connection for single reads than the one that was lost.
    fn reader_after(&self, lost: &Arc<Connection>) -> Result<Arc<Connection>, StoreError> {
        let mut reader = lock(&self.reader);
        if reader.as_ref().is_some_and(|open| Arc::ptr_eq(open, lost)) {
            *reader = None;
        }
        drop(reader);
        self.reader()
    }

    fn failed(&self, error: Lost) -> StoreError {
        StoreError::Engine {
            path: self.place().to_path_buf(),
            source: error.into(),
        }
    }

    fn try_get(
        &self,
        reader: &Connection,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, Lost> {
        let query = async {
            let statement = &reader.statements.get;
            let row = reader
                .client
                .query_opt(statement, &[&table.name(), &key])
                .await?;
            row.map(|row| row.try_get(0)).transpose()
        };
        Ok(self.pool.server.wait(reader, query)??)
    }

    fn try_scan(
        &self,
        tables: &[Table],
        prefix: &[u8],
        each: &mut VisitAll<'_>,
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.take()?;
        let begun = Cell::new(false);
        let mut each = |table: Table, key: &[u8], value: &[u8]| {
            begun.set(true);
            each(table, key, value)
        };
        let silence = self.pool.server.silence();
        let first = scan::scan(&mut connection, tables, prefix, silence, &mut each);
        match self.pool.server.block_on(first) {
            // The connection had been lost before.
            Err(error) if error.is_loss() && !begun.get() => {
                connection = self.pool.server.connect()?;
                let again = scan::scan(&mut connection, tables, prefix, silence, &mut each);
                let again = self.pool.server.block_on(again);
                again.map_err(|error| self.failed(error))?;
            }
            result => result.map_err(|error| self.failed(error))?,
        }
        self.pool.give_back(connection);
        Ok(())
    }
}

/// Without what it holds, which is secret.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.place()).finish()
    }
}

impl Store for Postgres {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let reader = self.reader()?;
        match self.try_get(&reader, table, key) {
            Err(error) if error.is_loss() => {
                let reader = self.reader_after(&reader)?;
                let again = self.try_get(&reader, table, key);
                again.map_err(|error| self.failed(error))
            }
            result => result.map_err(|error| self.failed(error)),
        }
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        self.groups.swap(changes)
    }

    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        Some(self.groups.begin(changes))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.try_scan(&[table], prefix, &mut |_, key, value| each(key, value))
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.try_scan(&Table::ALL, &[], each)
    }
}

/// Nothing panics under these locks that would leave half of something.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
