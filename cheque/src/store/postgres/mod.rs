//! A store in a PostgreSQL database.

mod address;
mod channel_binding;
mod client_certificate;
mod connection;
mod environment;
mod error;
mod passfile;
mod pool;
mod reader;
mod scan;
mod schema;
mod tls;
mod write;

use crate::store::{
    backup::check_not_half_restored,
    change::{Change, Swap},
    commit_queue::{Batch, CommitQueue},
    error::StoreError,
    interface::{Store, Visit, VisitAll},
    pending::Pending,
    postgres::{
        connection::{Connection, Server},
        error::ReadError,
        pool::Pool,
        reader::SharedReader,
    },
    table::Table,
};
use std::{cell::Cell, fmt, path::Path, sync::Arc};

/// The number of concurrent commits, each on a connection of its own: the server works on the next batch while it
/// writes the last to disk.
const COMMITTERS: usize = 2;

/// A [`Store`] in a PostgreSQL database, for any number of processes at once.
///
/// Each write is committed before it returns, in a batch with concurrent writes of other threads and tasks. Dropping
/// the store waits for started writes.
///
/// Rows are in the table `cheque_rows`, the format of the tables in `cheque_store`, both in the first schema of the
/// search path that the role may use. Rows hold secrets, and the database stores them unencrypted.
///
/// **Connections.** A handle has a connection for single reads, two for writes, and another for each running scan, made
/// when needed. The next call after a loss reconnects. A write during a loss fails with [`StoreError::Unknown`]; a read
/// is repeated once. A server without an answer for 30 s counts as lost; the address may set another bound by
/// `tcp_user_timeout`. Connecting may take twice the address's `connect_timeout`, by default 2 * 10 s.
///
/// **Encryption.** `sslmode` of the address decides, and never for a socket of this machine: `disable`; `prefer`, the
/// default, encrypts if the server offers TLS and checks no certificate; `require` and `verify-full` demand a certificate
/// with the host's name, issued by a root of the file `sslrootcert`, else of the system; `verify-ca` demands a certificate of
/// that file with any name; `no-verify` any certificate. libpq's `require` checks none: an attacker between store and server
/// could then answer in the server's place, and the store holds the records of money.
///
/// **Passwords** not in the address are those of `PGPASSWORD`, or of the file `PGPASSFILE`, by default `~/.pgpass`.
///
/// **Requirements.** Connections must keep settings and prepared statements, so a pooler must not share them between transactions. The server must be
/// the primary. Confirmed writes are as durable as the server's settings: `fsync = off` is rejected, and
/// `synchronous_commit = off` overridden for these connections.
pub struct Postgres {
    /// Dropped first, so that queued writes end before the connections.
    queue: CommitQueue,
    reader: SharedReader,
    pool: Arc<Pool>,
}

impl Postgres {
    /// The newest format of the tables that this library writes and reads.
    pub const FORMAT: u32 = schema::FORMAT;

    /// Opens the store at `address`, and creates or migrates its tables.
    ///
    /// Addresses have libpq's syntax: `postgres://user:password@host:port/database`, or
    /// `postgres:///database?host=/var/run/postgresql&user=name` for a local socket. Errors show neither user nor
    /// password.
    ///
    /// # Errors
    ///
    /// Rejects newer tables, tables of other programs, a half-restored store, and servers that may lose confirmed
    /// writes. Fails if the server cannot be reached, or not as `sslmode` demands.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        let server = Server::new(address)?;
        let first = server.open()?;
        Self::on(server, first)
    }

    /// Opens the store at `address` without creating or migrating tables, for programs that only read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Absent`] without tables, [`StoreError::Older`] with older ones; otherwise as [`Postgres::open`].
    pub fn open_existing(address: &str) -> Result<Self, StoreError> {
        let server = Server::new(address)?;
        let first = server.open_existing()?;
        Self::on(server, first)
    }

    fn on(server: Server, first: Connection) -> Result<Self, StoreError> {
        let pool = Arc::new(Pool::new(server));
        let (writers, place) = (pool.clone(), pool.server.place());
        let commit = move |batch: &Batch<'_>| writers.commit(batch);
        let queue =
            CommitQueue::new(place, COMMITTERS, commit).map_err(|source| StoreError::Io {
                path: place.to_path_buf(),
                source: source.into(),
            })?;
        let store = Self {
            queue,
            reader: SharedReader::new(Arc::new(first)),
            pool,
        };
        check_not_half_restored(&store, store.place())?;
        Ok(store)
    }

    /// Returns host, port and name of the database, without user and password.
    pub fn place(&self) -> &Path {
        self.pool.server.place()
    }

    /// Returns the shared connection for single reads.
    fn reader(&self) -> Result<Arc<Connection>, StoreError> {
        let is_closed = |open: &Connection| open.client.is_closed();
        self.reader.get(is_closed, || self.pool.server.connect())
    }

    /// Replaces the connection for single reads if it is still the lost one.
    fn reader_after(&self, lost: &Arc<Connection>) -> Result<Arc<Connection>, StoreError> {
        self.reader.forget(lost);
        self.reader()
    }

    fn failed(&self, error: ReadError) -> StoreError {
        StoreError::Engine {
            path: self.place().to_path_buf(),
            source: Arc::new(error),
        }
    }

    fn try_get(
        &self,
        reader: &Connection,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, ReadError> {
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
        let timeout = self.pool.server.answer_timeout();
        let first = scan::scan(&mut connection, tables, prefix, timeout, &mut each);
        match self.pool.server.block_on(first) {
            // The connection was lost before the scan.
            Err(error) if error.is_loss() && !begun.get() => {
                connection = self.pool.server.connect()?;
                let again = scan::scan(&mut connection, tables, prefix, timeout, &mut each);
                let again = self.pool.server.block_on(again);
                again.map_err(|error| self.failed(error))?;
            }
            result => result.map_err(|error| self.failed(error))?,
        }
        self.pool.give_back(connection);
        Ok(())
    }
}

/// Hides the records, which are secret.
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
        self.queue.swap(changes)
    }

    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        Some(self.queue.begin(changes))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.try_scan(&[table], prefix, &mut |_, key, value| each(key, value))
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.try_scan(&Table::ALL, &[], each)
    }
}
