//! A PostgreSQL server for tests: the server named by `CHEQUE_TEST_POSTGRES`, else a private one from the installed
//! binaries.
//!
//! [`missing`] tells the harness to ignore the tests if both are absent. In CI (`CI=true`) the tests run and fail.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_postgres::{Client, NoTls};

/// The variable with the address of a server on which tests may create and drop databases:
/// `postgres://user:password@host/database`.
pub(crate) const ADDRESS: &str = "CHEQUE_TEST_POSTGRES";

const INSTALL: &str = "run `apt-get install postgresql`, or name a server in CHEQUE_TEST_POSTGRES";

/// A server that ends with the test.
pub(crate) struct Server {
    address: Address,
    private: Option<Private>,
    databases: AtomicUsize,
}

enum Address {
    /// The socket: the settings of an address.
    Socket(String),
    /// A server of the operator, and the database to connect to first.
    Given(String),
}

struct Private {
    bin: PathBuf,
    settings: Vec<String>,
    child: Option<Child>,
    /// Data and socket.
    directory: tempfile::TempDir,
}

/// The reason to ignore tests with PostgreSQL, and the remedy. `None` in CI.
pub(crate) fn missing() -> Option<String> {
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    if ci || std::env::var_os(ADDRESS).is_some() {
        return None;
    }
    let reason = absent()?;
    Some(format!("{reason}; {INSTALL}"))
}

/// The obstacle to a private server on this machine.
fn absent() -> Option<&'static str> {
    if binaries().is_none() {
        Some("PostgreSQL is not installed")
    } else if is_root() && postgres_user().is_none() {
        Some("PostgreSQL refuses to run as root, and there is no user postgres")
    } else {
        None
    }
}

impl Server {
    /// The server shared by the tests of this process. Panics without a server; see [`missing`].
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(match std::env::var(ADDRESS) {
            Ok(address) => Self::new(Address::Given(address), None),
            Err(_) => Self::start(),
        });
        *shared = Arc::downgrade(&server);
        server
    }

    /// Starts a private server for a single test. Panics without the binaries; see [`missing`].
    pub(crate) fn start() -> Self {
        Self::start_with(&[], |_| {})
    }

    /// Starts a private server with settings, after `prepare` has changed its directory.
    pub(crate) fn start_with(settings: &[String], prepare: impl FnOnce(&Path)) -> Self {
        if let Some(reason) = absent() {
            panic!("{reason}; {INSTALL}");
        }
        let bin = binaries().expect("the server's programs");
        let private = Private::start(bin, settings, prepare);
        let private = private.unwrap_or_else(|error| panic!("{error}"));
        let socket = private.socket_address();
        Self::new(Address::Socket(socket), Some(private))
    }

    const fn new(address: Address, private: Option<Private>) -> Self {
        Self {
            address,
            private,
            databases: AtomicUsize::new(0),
        }
    }

    /// The address of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = Self::name(self.databases.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("DROP DATABASE IF EXISTS {name}"));
        self.run(&format!("CREATE DATABASE {name}"));
        self.address_of(&name)
    }

    fn name(number: usize) -> String {
        format!("cheque_test_{}_{number}", std::process::id())
    }

    fn address_of(&self, database: &str) -> String {
        match &self.address {
            Address::Socket(socket) => format!("postgres:///{database}?{socket}"),
            Address::Given(address) => {
                let (server, options) = match address.split_once('?') {
                    Some((server, options)) => (server, format!("?{options}")),
                    None => (&address[..], String::new()),
                };
                let (_, rest) = server.split_once("://").expect("an address with ://");
                let scheme = server.len() - rest.len();
                let end = rest.find('/').map_or(server.len(), |slash| scheme + slash);
                format!("{}/{database}{options}", &server[..end])
            }
        }
    }

    /// Runs statements on the server itself.
    pub(crate) fn run(&self, sql: &str) {
        let address = match &self.address {
            Address::Socket(_) => self.address_of("postgres"),
            Address::Given(address) => address.clone(),
        };
        run(&address, sql);
    }

    /// Kills a private server without flushing, as a power failure would, and restarts it.
    pub(crate) fn crash_and_restart(&mut self) {
        let private = self.private.as_mut().expect("a private server");
        private.stop("immediate");
        let mut child = launch(&private.bin, private.socket(), &private.settings);
        let address = private.socket_address();
        wait(&mut child, private.socket(), &address).expect("the server starts again");
        private.child = Some(child);
    }

    /// Stops or continues all processes of a private server. Stopped, they keep their connections and answer nothing.
    pub(crate) fn freeze(&self, hang: bool) {
        let private = self.private.as_ref().expect("a private server");
        let main = private.child.as_ref().expect("a running server").id();
        let children = format!("/proc/{main}/task/{main}/children");
        let children = fs::read_to_string(children).expect("the server's processes");
        let signal = if hang { "-STOP" } else { "-CONT" };
        // The main process first: otherwise more children may start.
        let sent = Command::new("kill")
            .args([signal, &main.to_string()])
            .args(children.split_whitespace())
            .status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A private server goes with its databases.
        if self.private.is_none() {
            for number in 0..self.databases.load(Ordering::Relaxed) {
                let name = Self::name(number);
                self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}

/// Runs statements in a database.
pub(crate) fn run(address: &str, sql: &str) {
    with_client(address, async |client| {
        client
            .batch_execute(sql)
            .await
            .expect("the statements succeed");
    });
}

/// Runs `work` with a connection of its own.
pub(crate) fn with_client<T>(address: &str, work: impl AsyncFnOnce(&Client) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(address, NoTls)
            .await
            .expect("a connection");
        tokio::spawn(connection);
        work(&client).await
    })
}

impl Private {
    fn start(
        bin: PathBuf,
        settings: &[String],
        prepare: impl FnOnce(&Path),
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let directory = tempfile::Builder::new().prefix("cheque-pg-").tempdir();
        let directory = directory.map_err(failed)?;
        if let Some((user, group)) = postgres_user() {
            chown(directory.path(), Some(user), Some(group)).map_err(failed)?;
        }
        // The user of the tests needs the socket.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).map_err(failed)?;
        let made = as_postgres(&bin.join("initdb"))
            .args(["--auth", "trust", "--username", "postgres", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C", "--pgdata"])
            .arg(directory.path().join("data"))
            .output()
            .map_err(failed)?;
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr);
            return Err(format!("initdb fails: {}", why.trim()));
        }
        prepare(directory.path());
        let settings = settings.to_vec();
        let child = launch(&bin, directory.path(), &settings);
        let mut started = Self {
            bin,
            settings,
            child: Some(child),
            directory,
        };
        let address = started.socket_address();
        let child = started.child.as_mut().expect("a running server");
        wait(child, started.directory.path(), &address)?;
        Ok(started)
    }

    /// The settings of an address that reach the server by its socket.
    fn socket_address(&self) -> String {
        let mut settings = self.settings.iter();
        let port = settings.find_map(|setting| setting.strip_prefix("port="));
        let directory = self.socket().display();
        let port = port.unwrap_or("5432");
        format!("host={directory}&port={port}&user=postgres")
    }

    fn socket(&self) -> &Path {
        self.directory.path()
    }

    fn stop(&mut self, mode: &str) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let stopped = as_postgres(&self.bin.join("pg_ctl"))
            .args(["stop", "--silent", "--wait", "--mode", mode, "--pgdata"])
            .arg(self.socket().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = child.kill();
        }
        let _ = child.wait();
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.stop("immediate");
    }
}

/// Starts the server with a socket, and a port only if the settings name an address.
fn launch(bin: &Path, directory: &Path, settings: &[String]) -> Child {
    let log = fs::File::create(directory.join("log")).expect("a log file");
    as_postgres(&bin.join("postgres"))
        .arg("-D")
        .arg(directory.join("data"))
        .arg("-k")
        .arg(directory)
        .args(["-c", "listen_addresses=", "-c", "max_connections=200"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the server starts")
}

fn wait(child: &mut Child, directory: &Path, socket: &str) -> Result<(), String> {
    let address = format!("postgres:///postgres?{socket}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for _ in 0..600 {
            if tokio_postgres::connect(&address, NoTls).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = child.try_wait() {
                let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
                return Err(format!("PostgreSQL ends with {status}: {log}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("PostgreSQL does not answer".to_owned())
    })
}

/// A command of the server. Root, as which the server refuses to run, becomes the user of its package.
fn as_postgres(program: &Path) -> Command {
    let Some((user, group)) = postgres_user() else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={user}"), format!("--regid={group}")])
        .args(["--clear-groups", "--"])
        .arg(program)
        .current_dir("/");
    command
}

/// Makes a file readable by the server alone, as it demands of a key.
pub(crate) fn give_to_server(file: &Path) {
    let own = fs::Permissions::from_mode(0o600);
    fs::set_permissions(file, own).expect("the permissions");
    if let Some((user, group)) = postgres_user() {
        chown(file, Some(user), Some(group)).expect("the owner");
    }
}

/// User and group to change to, if this process is root.
fn postgres_user() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2);
    let user = fields.next()?.parse().ok()?;
    Some((user, fields.next()?.parse().ok()?))
}

fn is_root() -> bool {
    let own = fs::metadata("/proc/self").map(|process| process.uid());
    own.is_ok_and(|user| user == 0)
}

/// The directory of the server's programs.
fn binaries() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_binaries).clone()
}

fn find_binaries() -> Option<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output();
    let told = told.ok().map(|output| output.stdout);
    let told = told.and_then(|path| String::from_utf8(path).ok());
    let told = told.map(|path| PathBuf::from(path.trim()));
    // Debian has one directory for each version, outside the search path.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort_by_key(|path| {
        let version = path.parent().and_then(Path::file_name);
        let number = version.and_then(OsStr::to_str);
        std::cmp::Reverse(number.and_then(|text| text.parse::<u32>().ok()))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).collect();
    let mut all = told.into_iter().chain(versions).chain(on_path);
    all.find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
}
