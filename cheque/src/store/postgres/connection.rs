//! Connections to the server, with their settings and prepared statements.

use crate::store::{
    error::StoreError,
    postgres::{
        address::Address,
        environment::Environment,
        error::{AnswerTimeout, Closing, ConnectError, Unauthorized},
        passfile::PassfileError,
        schema,
        tls::{Connector, TlsStream, is_handshake_error},
    },
};
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
    Client, Config, Socket, Statement,
    config::{Host, SslMode},
};

/// The default bound on connecting, if the address has no `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The default bound on an answer, if the address has no `tcp_user_timeout`. Bounds answers as well as packets, because
/// a server that hangs still acknowledges packets.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The client library's default. An address that sets the same value cannot be told from one without the setting.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);

/// Settings of each session. Rows are always found by their key: plans must not depend on statistics, which are wrong
/// while a table grows.
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

/// Bounds statements at the server, so that none ends much later than its caller stops waiting.
const LIMIT: &str = "SELECT set_config('statement_timeout', ";
const LIMIT_UNSET: &str = ", false) WHERE current_setting('statement_timeout') = '0'";

/// A connection with its prepared statements.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) statements: Statements,
    /// The task that moves the connection's bytes.
    task: AbortHandle,
}

impl Connection {
    /// Closes the connection without a message to the server. Other waiters on the connection get an error.
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
            // Locks row by row in the order given, which is that of keys (by `SESSION`, the plan is a loop over them),
            // so that two workers do not deadlock. If they still do, the server rolls one of them back.
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

/// The step before the check of the tables' format.
#[derive(Clone, Copy)]
enum Tables {
    /// Create missing tables, and migrate older ones.
    Migrate,
    /// Fail if the tables are missing, and change nothing.
    Require,
    /// None: an earlier connection has found the tables.
    Assume,
}

/// The server's address, and the runtime of its connections.
pub(super) struct Server {
    config: Config,
    connector: Connector,
    /// The reason why the password file was left alone.
    passfile: Option<Arc<PassfileError>>,
    place: PathBuf,
    /// The bound on each answer.
    answer_timeout: Duration,
    /// Moves bytes between connections and waiting threads. `None` during the drop only.
    runtime: Option<Runtime>,
}

/// Hides the address, which names the user.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.place).finish()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A plain drop panics inside a task.
            runtime.shutdown_background();
        }
    }
}

impl Server {
    pub(super) fn new(address: &str) -> Result<Self, StoreError> {
        let address = Address::parse(address, &Environment::read())?;
        let mut config = address.config;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let answer_timeout = config.get_tcp_user_timeout().copied();
        let answer_timeout = answer_timeout.unwrap_or(ANSWER_TIMEOUT);
        config.tcp_user_timeout(answer_timeout);
        if config.get_keepalives_idle() == DEFAULT_KEEPALIVE {
            config.keepalives_idle(ANSWER_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("cheque");
        }
        let place = PathBuf::from(display_address(&config));
        if config.get_hosts().is_empty() {
            // A certificate is checked by the name of the host.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cheque-postgres")
            .enable_all()
            .build()
            .map_err(|source| StoreError::Io {
                path: place.clone(),
                source: source.into(),
            })?;
        Ok(Self {
            config,
            connector: address.connector,
            passfile: address.passfile,
            place,
            answer_timeout,
            runtime: Some(runtime),
        })
    }

    /// Returns host, port and database, without user and password.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Makes the first connection, and creates or migrates the tables.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        self.connect_with(Tables::Migrate)
    }

    /// Makes the first connection, and fails if the tables are missing.
    pub(super) fn open_existing(&self) -> Result<Connection, StoreError> {
        self.connect_with(Tables::Require)
    }

    /// Makes another connection.
    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        self.connect_with(Tables::Assume)
    }

    /// Waits on this thread for an answer on a connection, and cuts the connection at the timeout.
    pub(super) fn wait<T>(
        &self,
        connection: &Connection,
        answer: impl Future<Output = T>,
    ) -> Result<T, AnswerTimeout> {
        let answer = self.block_on(with_timeout(self.answer_timeout, answer));
        answer.inspect_err(|_| connection.cut())
    }

    /// Runs a future that waits for answers on this thread.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let _timers = self.runtime.as_ref().map(Runtime::enter);
        pollster::block_on(work)
    }

    /// Returns the bound on each answer.
    pub(super) const fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    fn connect_with(&self, tables: Tables) -> Result<Connection, StoreError> {
        let unreachable = |cause| StoreError::Unreachable {
            path: self.place.clone(),
            cause,
        };
        let Some(runtime) = &self.runtime else {
            return Err(unreachable(Arc::new(Closing)));
        };
        let (config, place) = (self.config.clone(), self.place.clone());
        let (connector, timeout) = (self.connector.clone(), self.answer_timeout);
        let connecting = runtime.spawn(async move {
            new_connection(&config, connector, &place, tables, timeout).await
        });
        match pollster::block_on(connecting) {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(ConnectError::Store(error))) => Err(error),
            Ok(Err(ConnectError::Sql(error))) => Err(match &self.passfile {
                Some(passfile) if error.to_string().contains("password") => {
                    unreachable(Arc::new(Unauthorized {
                        error,
                        passfile: passfile.clone(),
                    }))
                }
                _ => unreachable(Arc::new(error)),
            }),
            Ok(Err(ConnectError::Timeout(timeout))) => Err(unreachable(Arc::new(timeout))),
            Err(error) => Err(unreachable(Arc::new(error))),
        }
    }
}

/// Connects. As in libpq, `sslmode=prefer` goes on without TLS if that cannot begin.
async fn connect(
    config: &Config,
    connector: Connector,
) -> Result<Connected, tokio_postgres::Error> {
    let connected = config.connect(connector.clone()).await;
    match connected {
        Err(error) if config.get_ssl_mode() == SslMode::Prefer && is_handshake_error(&error) => {
            let mut plain = config.clone();
            plain.ssl_mode(SslMode::Disable).connect(connector).await
        }
        connected => connected,
    }
}

/// A client, and the connection whose bytes the caller moves.
type Connected = (
    Client,
    tokio_postgres::Connection<Socket, TlsStream<Socket>>,
);

/// Makes a connection. Must run on the runtime, which keeps moving the connection's bytes.
async fn new_connection(
    config: &Config,
    connector: Connector,
    place: &Path,
    tables: Tables,
    answer_timeout: Duration,
) -> Result<Connection, ConnectError> {
    // The client library bounds the first packet to each address only.
    let limit = config.get_connect_timeout().copied();
    let limit = limit.unwrap_or(CONNECT_TIMEOUT) * 2;
    let connecting = with_timeout(limit, connect(config, connector)).await;
    let (mut client, connection) = connecting.map_err(ConnectError::Timeout)??;
    // The client sees the end of the connection, whatever the reason.
    let task = tokio::spawn(connection).abort_handle();
    let settings = async {
        client.batch_execute(SESSION).await?;
        let limit = format!("{LIMIT}'{}ms'{LIMIT_UNSET}", answer_timeout.as_millis());
        client.batch_execute(&limit).await?;
        let durable = "SELECT current_setting('fsync') = 'on'";
        client.query_one(durable, &[]).await?.try_get(0)
    };
    let settings = with_timeout(answer_timeout, settings).await;
    let durable: bool = settings.map_err(ConnectError::Timeout)??;
    if !durable {
        return Err(ConnectError::Store(StoreError::NotDurable {
            path: place.to_path_buf(),
            setting: "fsync",
        }));
    }
    match tables {
        // Without a timeout: another worker may be migrating, and tables may be large.
        Tables::Migrate => schema::migrate(&mut client, place).await?,
        Tables::Require => schema::require(&client, place).await?,
        Tables::Assume => {}
    }
    let check = async {
        schema::check(&client, place).await?;
        Ok::<_, ConnectError>(Statements::prepare(&client).await?)
    };
    let check = with_timeout(answer_timeout, check).await;
    let statements = check.map_err(ConnectError::Timeout)??;
    Ok(Connection {
        client,
        statements,
        task,
    })
}

/// Waits for an answer, at most for the time `after`. Must be called inside a runtime.
pub(super) async fn with_timeout<T>(
    after: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, AnswerTimeout> {
    let answer = tokio::time::timeout(after, answer).await;
    answer.map_err(|_| AnswerTimeout { after })
}

/// Formats an address without user and password.
fn display_address(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(directory) => directory.display().to_string(),
    });
    let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
    let hosts: Vec<_> = hosts.chain(addresses).collect();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    // An address without a database means the one with the user's name.
    let database = config.get_dbname().or(config.get_user()).unwrap_or("");
    format!("postgres://{}:{port}/{database}", hosts.join(","))
}
