//! Connections to the server.

use crate::store::{error::StoreError, postgres::schema};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::AbortHandle,
};
use tokio_postgres::{
    Client, Config, NoTls, Statement,
    config::Host,
    error::{DbError, Severity},
};

/// How long connecting may take, where the address does not say.
const CONNECT: Duration = Duration::from_secs(10);

/// After how long a server that does not answer any more counts as gone, where the address does not say (its
/// `tcp_user_timeout`). A server that hangs still confirms packets, so this is a limit for answers, too.
const SILENCE: Duration = Duration::from_secs(30);

/// What the library sets where the address does not say; there is no way to ask whether it does.
const UNSET_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);

/// Plans must not depend on statistics, which are wrong while a table grows: rows are found by their key, always.
const SESSION: &str = "
    SET default_transaction_isolation = 'read committed';
    SET default_transaction_deferrable = off;
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';";

/// What the server is told about a statement that takes too long, so that it does not end much later than anybody waits
/// for it.
const LIMIT: &str = "SELECT set_config('statement_timeout', ";
const LIMIT_UNSET: &str = ", false) WHERE current_setting('statement_timeout') = '0'";

#[derive(Debug, thiserror::Error)]
#[error("the store is being closed")]
struct Gone;

/// An error of the client library, with its causes in one line.
#[derive(Debug)]
pub(super) struct Sql(pub(super) tokio_postgres::Error);

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = std::error::Error::source(&self.0);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        f.write_str(&text.replace('\n', " "))
    }
}

impl std::error::Error for Sql {}

impl Sql {
    /// Whether the connection is of no use any more, or may not be. Else the server has answered and goes on.
    pub(super) fn is_loss(&self) -> bool {
        let severity = self.0.as_db_error().map(DbError::parsed_severity);
        severity != Some(Some(Severity::Error))
    }
}

/// Why there is no connection that can be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server.
    Sql(Sql),
    /// Nobody answers.
    Silent(Silent),
    /// The store in the database, or the way the server is set up.
    Store(StoreError),
}

/// A server that has not answered in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .after.as_secs())]
pub(super) struct Silent {
    after: Duration,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error(transparent)]
    Sql(Sql),
    #[error(transparent)]
    Silent(#[from] Silent),
}

impl From<tokio_postgres::Error> for Lost {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(Sql(error))
    }
}

impl Lost {
    /// Whether the connection is of no use any more, or may not be.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Sql(error) => error.is_loss(),
            Self::Silent(_) => true,
        }
    }
}

/// One connection with its prepared statements.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) statements: Statements,
    /// Moves its bytes.
    task: AbortHandle,
}

impl Connection {
    /// Ends it without a word to a server that does not listen. Whoever else waits for an answer is told that it is gone.
    pub(super) fn cut(&self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
pub(super) struct Statements {
    pub(super) get: Statement,
    pub(super) scan: Statement,
    pub(super) compare_and_set: Statement,
    pub(super) insert: Statement,
    pub(super) lock: Statement,
    pub(super) update: Statement,
    pub(super) delete: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let (get, scan, compare_and_set, insert, lock, update, delete) = tokio::try_join!(
            client.prepare("SELECT value FROM cheque_rows WHERE tab = $1 AND key = $2"),
            client.prepare(
                "SELECT key, value FROM cheque_rows WHERE tab = $1 AND key >= $2 ORDER BY key"
            ),
            // Row by row in the order they are given in, which is that of keys (the plan is a loop over them: `SESSION`), so
            // that two workers do not wait for each other. Where they do all the same, the server undoes one of them.
            client.prepare(
                "UPDATE cheque_rows r SET value = i.new
                FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[])
                    WITH ORDINALITY AS i (tab, key, old, new, n)
                WHERE r.tab = i.tab AND r.key = i.key AND r.value = i.old RETURNING i.n"
            ),
            client.prepare(
                "INSERT INTO cheque_rows (tab, key, value)
                SELECT i.tab, i.key, i.new FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS i (tab, key, new)
                ORDER BY i.tab COLLATE \"C\", i.key ON CONFLICT DO NOTHING RETURNING tab, key"
            ),
            client.prepare(
                "SELECT i.n, r.value FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS i (tab, key, n)
                JOIN cheque_rows r ON r.tab = i.tab AND r.key = i.key ORDER BY r.tab, r.key FOR UPDATE OF r"
            ),
            client.prepare(
                "UPDATE cheque_rows r SET value = i.new
                FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS i (tab, key, new)
                WHERE r.tab = i.tab AND r.key = i.key"
            ),
            client.prepare(
                "DELETE FROM cheque_rows r USING unnest($1::text[], $2::bytea[]) AS i (tab, key)
                WHERE r.tab = i.tab AND r.key = i.key"
            ),
        )?;
        Ok(Self {
            get,
            scan,
            compare_and_set,
            insert,
            lock,
            update,
            delete,
        })
    }
}

/// What a connection does about the tables before it looks at their format.
#[derive(Clone, Copy)]
enum Tables {
    /// Makes them, or brings them to the newest format.
    Make,
    /// Says that there are none, and changes nothing.
    Find,
    /// Another connection has found them.
    Expect,
}

/// The way to the server.
pub(super) struct Server {
    config: Config,
    place: PathBuf,
    /// How long to wait for an answer.
    silence: Duration,
    /// Moves bytes between the connections and the threads that wait for them. Always there until the end.
    runtime: Option<Runtime>,
}

/// Without the address, which names the user.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.place).finish()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Unlike a plain drop, this may happen anywhere, tasks included.
            runtime.shutdown_background();
        }
    }
}

impl Server {
    pub(super) fn new(address: &str) -> Result<Self, StoreError> {
        // The library's error may quote a part of the password.
        let mut config: Config = address.parse().map_err(|_| StoreError::BadAddress)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(StoreError::BadAddress);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        let silence = config.get_tcp_user_timeout().copied().unwrap_or(SILENCE);
        config.tcp_user_timeout(silence);
        if config.get_keepalives_idle() == UNSET_KEEPALIVE {
            config.keepalives_idle(SILENCE);
        }
        if config.get_application_name().is_none() {
            config.application_name("cheque");
        }
        let place = PathBuf::from(shown(&config));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cheque-postgres")
            .enable_all()
            .build()
            .map_err(|source| StoreError::Io {
                path: place.clone(),
                source,
            })?;
        Ok(Self {
            config,
            place,
            silence,
            runtime: Some(runtime),
        })
    }

    /// Host, port and database, without user and password.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Makes the tables if need be, and the first connection.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        self.connected(Tables::Make)
    }

    /// Makes the first connection if there are tables.
    pub(super) fn open_existing(&self) -> Result<Connection, StoreError> {
        self.connected(Tables::Find)
    }

    /// Makes another connection.
    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        self.connected(Tables::Expect)
    }

    /// Waits on this thread for what the server answers on a connection, which is cut if it does not in time.
    pub(super) fn wait<T>(
        &self,
        connection: &Connection,
        answer: impl Future<Output = T>,
    ) -> Result<T, Silent> {
        let answer = self.block_on(within(self.silence, answer));
        answer.inspect_err(|_| connection.cut())
    }

    /// Runs on this thread what waits for answers of the server.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let _timers = self.runtime.as_ref().map(Runtime::enter);
        pollster::block_on(work)
    }

    /// How long to wait for an answer.
    pub(super) const fn silence(&self) -> Duration {
        self.silence
    }

    fn connected(&self, tables: Tables) -> Result<Connection, StoreError> {
        let unreachable = |cause| StoreError::Unreachable {
            path: self.place.clone(),
            cause,
        };
        let Some(runtime) = &self.runtime else {
            return Err(unreachable(Arc::new(Gone)));
        };
        let (config, place) = (self.config.clone(), self.place.clone());
        let silence = self.silence;
        let connecting =
            runtime.spawn(async move { connection(&config, &place, tables, silence).await });
        match pollster::block_on(connecting) {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(Trouble::Store(error))) => Err(error),
            Ok(Err(Trouble::Sql(error))) => Err(unreachable(Arc::new(error))),
            Ok(Err(Trouble::Silent(silent))) => Err(unreachable(Arc::new(silent))),
            Err(error) => Err(unreachable(Arc::new(error))),
        }
    }
}

/// Runs on the runtime, which goes on moving the connection's bytes.
async fn connection(
    config: &Config,
    place: &Path,
    tables: Tables,
    silence: Duration,
) -> Result<Connection, Trouble> {
    // The library's limit is for the first packet of each address only.
    let limit = config.get_connect_timeout().copied().unwrap_or(CONNECT) * 2;
    let connecting = within(limit, config.connect(NoTls)).await;
    let (mut client, connection) = connecting.map_err(Trouble::Silent)??;
    // Its end, whatever the reason, shows at the client.
    let task = tokio::spawn(connection).abort_handle();
    let settings = async {
        client.batch_execute(SESSION).await?;
        let limit = format!("{LIMIT}'{}ms'{LIMIT_UNSET}", silence.as_millis());
        client.batch_execute(&limit).await?;
        let durable = "SELECT current_setting('fsync') = 'on'";
        client.query_one(durable, &[]).await?.try_get(0)
    };
    let durable: bool = within(silence, settings).await.map_err(Trouble::Silent)??;
    if !durable {
        return Err(Trouble::Store(StoreError::NotDurable {
            path: place.to_path_buf(),
            setting: "fsync",
        }));
    }
    match tables {
        // Takes as long as it takes: others may be at it, and tables may be large.
        Tables::Make => schema::migrate(&mut client, place).await?,
        Tables::Find => schema::find(&client, place).await?,
        Tables::Expect => {}
    }
    let check = async {
        schema::check(&client, place).await?;
        Ok::<_, Trouble>(Statements::prepare(&client).await?)
    };
    let statements = within(silence, check).await.map_err(Trouble::Silent)??;
    Ok(Connection {
        client,
        statements,
        task,
    })
}

/// Waits for an answer. Needs a runtime that is entered.
pub(super) async fn within<T>(
    after: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, Silent> {
    let answer = tokio::time::timeout(after, answer).await;
    answer.map_err(|_| Silent { after })
}

fn shown(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(directory) => directory.display().to_string(),
    });
    let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
    let hosts: Vec<_> = hosts.chain(addresses).collect();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    // Where no database is named, it has the user's name.
    let database = config.get_dbname().or(config.get_user()).unwrap_or("");
    format!("postgres://{}:{port}/{database}", hosts.join(","))
}
