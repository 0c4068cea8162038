//! The store in PostgreSQL over TLS: what each `sslmode` encrypts and refuses, and where passwords come from.

use crate::{
    postgres::{self, Server, give_to_server, run, with_client},
    process::{Process, say},
};
use cheque::store::{Postgres, StoreError};
use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const ADDRESS: &str = "CHEQUE_TEST_ADDRESS";
const ROLE: &str =
    "CREATE ROLE alice LOGIN PASSWORD 'hunter2'; GRANT ALL ON SCHEMA public TO alice";

/// A server with a certificate for `localhost`, and the certificates of two roots.
struct Encrypted {
    server: Server,
    port: u16,
    /// With `root.pem`, which has issued the server's certificate, and `other.pem`.
    roots: tempfile::TempDir,
}

/// The reason to ignore these tests, which start a server of their own.
pub(crate) fn missing() -> Option<String> {
    postgres::missing().or_else(|| {
        let found = Command::new("openssl").arg("version").output().is_ok();
        (!found).then(|| "openssl is not installed; run `apt-get install openssl`".to_owned())
    })
}

/// Role: opens the store, and reports the result.
pub(crate) fn run_opener() {
    let opened = Postgres::open(&std::env::var(ADDRESS).unwrap());
    say(&opened.map_or_else(|error| error.to_string(), |_| "opened".to_owned()));
}

impl Encrypted {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Self {
        let roots = tempfile::tempdir().unwrap();
        for root in ["root", "other"] {
            make_root(roots.path(), root);
        }
        issue(roots.path(), "leaf", "localhost");
        let port = free_port();
        let settings = tcp_settings(port, &[&["ssl=on"], more].concat());
        let server = Server::start_with(&settings, |directory| {
            let data = directory.join("data");
            for (from, to) in [
                ("leaf.pem", "server.crt"),
                ("leaf.key", "server.key"),
                ("root.pem", "root.crt"),
            ] {
                fs::copy(roots.path().join(from), data.join(to)).unwrap();
                give_to_server(&data.join(to));
            }
            let access = "local all all trust\n\
                          host all alice all scram-sha-256\n\
                          hostssl all bob all cert\n\
                          host all all all trust\n";
            fs::write(data.join("pg_hba.conf"), access).unwrap();
        });
        Self {
            server,
            port,
            roots,
        }
    }

    /// The address of a new database by the host's name or number, and that of its socket.
    fn database(&self, host: &str) -> (String, String) {
        let socket = self.server.database();
        let (_, name) = socket.split_once(":///").unwrap();
        let (name, _) = name.split_once('?').unwrap();
        (
            format!(
                "postgres://postgres@{host}:{}/{name}?application_name=cheque",
                self.port
            ),
            socket,
        )
    }

    fn root(&self, name: &str) -> String {
        let path: PathBuf = self.roots.path().join(name).with_extension("pem");
        path.display().to_string()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn tcp_settings(port: u16, more: &[&str]) -> Vec<String> {
    let own = [
        "listen_addresses=localhost".to_owned(),
        format!("port={port}"),
    ];
    let more = more.iter().map(|setting| (*setting).to_owned());
    own.into_iter().chain(more).collect()
}

fn openssl(directory: &Path, arguments: &str) {
    let run = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

fn make_root(directory: &Path, name: &str) {
    openssl(
        directory,
        &format!("req -x509 {NEW_KEY} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"),
    );
}

/// Issues a certificate for a host or a user by the first root.
fn issue(directory: &Path, file: &str, subject: &str) {
    openssl(
        directory,
        &format!("req {NEW_KEY} -subj /CN={subject} -keyout {file}.key -out {file}.csr"),
    );
    let names = format!("subjectAltName=DNS:{subject}\n");
    fs::write(directory.join("names"), names).unwrap();
    let of_root = "-CA root.pem -CAkey root.key -CAcreateserial -extfile names";
    openssl(
        directory,
        &format!("x509 -req -days 2 -in {file}.csr {of_root} -out {file}.pem"),
    );
}

/// Tells for each connection of the store whether it is encrypted.
fn encryption(socket: &str) -> Vec<bool> {
    with_client(socket, async |client| {
        let query = "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
                     WHERE a.datname = current_database() AND a.application_name = 'cheque'";
        let rows = client.query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    })
}

fn refused(address: &str) -> String {
    let error = Postgres::open(address).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    error.to_string()
}

pub(crate) fn encrypts_as_sslmode_says() {
    let server = Encrypted::start();
    let root = server.root("root");
    for (settings, is_encrypted) in [
        (String::new(), true),
        ("&sslmode=prefer".to_owned(), true),
        ("&sslmode=disable".to_owned(), false),
        ("&sslmode=no-verify".to_owned(), true),
        (format!("&sslmode=verify-ca&sslrootcert={root}"), true),
        (format!("&sslmode=require&sslrootcert={root}"), true),
        (format!("&sslmode=verify-full&sslrootcert={root}"), true),
        (format!("&sslrootcert={root}"), true),
    ] {
        let (address, socket) = server.database("localhost");
        let store = Postgres::open(&format!("{address}{settings}")).unwrap();
        assert_eq!(encryption(&socket), [is_encrypted], "{settings}");
        drop(store);
    }
    // A socket needs no encryption, even where the address demands it.
    let (_, socket) = server.database("localhost");
    drop(Postgres::open(&format!("{socket}&sslmode=require")).unwrap());
}

pub(crate) fn refuses_certificates_with_another_name() {
    let server = Encrypted::start();
    let (address, _) = server.database("127.0.0.1");
    let root = server.root("root");
    for mode in ["require", "verify-full"] {
        let said = refused(&format!("{address}&sslmode={mode}&sslrootcert={root}"));
        assert!(said.contains("not valid for name"), "{said}");
        assert!(said.contains("localhost"), "{said}");
        assert!(
            said.ends_with("connect by a name of the certificate"),
            "{said}"
        );
    }
    let any_name = format!("{address}&sslmode=verify-ca&sslrootcert={root}");
    drop(Postgres::open(&any_name).unwrap());
}

pub(crate) fn refuses_certificates_of_unknown_issuers() {
    let server = Encrypted::start();
    let (address, _) = server.database("localhost");
    let other = server.root("other");
    for settings in [
        "sslmode=require".to_owned(),
        "sslmode=verify-full".to_owned(),
        format!("sslmode=require&sslrootcert={other}"),
        format!("sslmode=verify-ca&sslrootcert={other}"),
        format!("sslmode=verify-full&sslrootcert={other}"),
    ] {
        let said = refused(&format!("{address}&{settings}"));
        assert!(said.contains("UnknownIssuer"), "{settings}: {said}");
        assert!(
            said.ends_with("name the issuer's certificate in sslrootcert"),
            "{said}"
        );
    }
}

pub(crate) fn trusts_the_roots_of_the_system() {
    let server = Encrypted::start();
    let (address, _) = server.database("localhost");
    let address = format!("{address}&sslmode=require");
    for (root, result) in [("root", "opened"), ("other", "UnknownIssuer")] {
        let roots = server.root(root);
        let variables = [
            (ADDRESS, address.as_str()),
            ("SSL_CERT_FILE", roots.as_str()),
        ];
        let said = Process::start("tls_opener", &variables).line().unwrap();
        assert!(said.contains(result), "{root}: {said}");
    }
}

pub(crate) fn refuses_a_server_without_tls() {
    let port = free_port();
    let server = Server::start_with(&tcp_settings(port, &[]), |_| {});
    let address = format!("postgres://postgres@localhost:{port}/postgres");
    for mode in ["require", "verify-full", "no-verify"] {
        let said = refused(&format!("{address}?sslmode={mode}"));
        assert!(said.contains("server does not support TLS"), "{said}");
    }
    for mode in ["prefer", "disable"] {
        drop(Postgres::open(&format!("{address}?sslmode={mode}")).unwrap());
    }
    drop(server);
}

/// Old servers offer versions of TLS that nobody should use.
pub(crate) fn goes_on_without_tls_only_if_that_is_preferred() {
    let versions = [
        "ssl_min_protocol_version=TLSv1",
        "ssl_max_protocol_version=TLSv1.1",
    ];
    let server = Encrypted::start_with(&versions);
    let (address, socket) = server.database("localhost");
    let said = refused(&format!("{address}&sslmode=no-verify"));
    assert!(said.contains("TLS handshake"), "{said}");
    let store = Postgres::open(&address).unwrap();
    assert_eq!(encryption(&socket), [false]);
    drop(store);
}

/// The server offers `SCRAM-SHA-256-PLUS`, and a client that demands it fails without the certificate's hash.
pub(crate) fn binds_the_login_to_the_encrypted_connection() {
    let server = Encrypted::start();
    let (address, socket) = server.database("localhost");
    run(&socket, ROLE);
    let access = address.replace("postgres@", "alice:hunter2@");
    drop(
        Postgres::open(&format!(
            "{access}&sslmode=no-verify&channel_binding=require"
        ))
        .unwrap(),
    );
    let said = refused(&format!("{access}&sslmode=disable&channel_binding=require"));
    assert!(said.contains("channel binding"), "{said}");
}

pub(crate) fn logs_in_by_environment_and_password_file() {
    let server = Encrypted::start();
    let (address, socket) = server.database("localhost");
    run(&socket, ROLE);
    let address = address.replace("postgres@", "alice@");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    fs::write(&file, "localhost:*:*:alice:hunter2\n").unwrap();
    let open = |name: &str, value: &str| {
        let variables = [(ADDRESS, address.as_str()), ("HOME", "/"), (name, value)];
        Process::start("tls_opener", &variables).line().unwrap()
    };
    let (own, path) = (home.path().to_str().unwrap(), file.to_str().unwrap());
    assert_eq!(open("PGPASSWORD", "hunter2"), "opened");
    let wrong = open("PGPASSWORD", "hunter3");
    assert!(wrong.contains("password authentication failed"), "{wrong}");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let refused = open("PGPASSFILE", path);
    assert!(
        refused.contains("readable by others") && refused.contains(path),
        "{refused}"
    );
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(open("PGPASSFILE", path), "opened");
    assert_eq!(open("HOME", own), "opened");
    let without = open("PGPASSFILE", "/nonexistent");
    assert!(without.contains("password missing"), "{without}");
}

/// The server takes no password of `bob`, but the certificate that its root has issued for him.
pub(crate) fn logs_in_by_client_certificate() {
    let server = Encrypted::start_with(&["ssl_ca_file=root.crt"]);
    let (address, socket) = server.database("localhost");
    run(
        &socket,
        "CREATE ROLE bob LOGIN; GRANT ALL ON SCHEMA public TO bob",
    );
    let address = address.replace("postgres@", "bob@");
    let files = server.roots.path();
    for user in ["bob", "eve"] {
        issue(files, user, user);
    }
    let path = |name: &str| files.join(name).display().to_string();
    let named = |certificate: &str, key: &str| {
        let (certificate, key) = (path(certificate), path(key));
        format!("{address}&sslmode=no-verify&sslcert={certificate}&sslkey={key}")
    };
    let without = refused(&address);
    assert!(without.contains("valid client certificate"), "{without}");
    let store = Postgres::open(&named("bob.pem", "bob.key")).unwrap();
    assert_eq!(encryption(&socket), [true]);
    drop(store);
    let other = refused(&named("eve.pem", "eve.key"));
    assert!(
        other.contains("certificate authentication failed"),
        "{other}"
    );
    let own = Permissions::from_mode(0o600);
    fs::write(files.join("no.key"), "a note").unwrap();
    fs::set_permissions(files.join("no.key"), own).unwrap();
    for (certificate, key, said) in [
        ("bob.pem", "eve.key", "do not belong together"),
        ("bob.pem", "no.key", "has no key"),
        ("bob.key", "bob.key", "has no certificate"),
        ("bob.pem", "none.key", "none.key"),
    ] {
        let error = Postgres::open(&named(certificate, key)).unwrap_err();
        assert!(matches!(error, StoreError::BadTls { .. }), "{error}");
        assert!(error.to_string().contains(said), "{said}: {error}");
    }

    let (certificate, key) = (path("bob.pem"), path("bob.key"));
    let open = |certificate: &str| {
        let variables = [
            (ADDRESS, address.as_str()),
            ("PGSSLCERT", certificate),
            ("PGSSLKEY", key.as_str()),
        ];
        Process::start("tls_opener", &variables).line().unwrap()
    };
    assert_eq!(open(&certificate), "opened");
    let half = open("");
    assert!(half.contains("sslkey is set without sslcert"), "{half}");
    fs::set_permissions(files.join("bob.key"), Permissions::from_mode(0o644)).unwrap();
    let readable = open(&certificate);
    assert!(readable.contains("readable by others"), "{readable}");
    assert!(readable.contains("bob.key"), "{readable}");
}
