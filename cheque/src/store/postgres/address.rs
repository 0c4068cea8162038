//! The address of a database: the client library's settings, and those of TLS and passwords.

use crate::store::{
    error::StoreError,
    postgres::{
        client_certificate::CertificateFiles,
        environment::{Environment, is_set},
        passfile::{Login, PassfileError, password_in},
        tls::{Check, Connector},
    },
};
use percent_encoding::percent_decode_str;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_postgres::{
    Config,
    config::{Host, SslMode, SslNegotiation},
};

/// A parsed address.
#[derive(Debug)]
pub(super) struct Address {
    /// The client library's settings, with the password.
    pub(super) config: Config,
    pub(super) connector: Connector,
    /// The reason why the password file was left alone, if no other password is known.
    pub(super) passfile: Option<Arc<PassfileError>>,
}

/// How `sslmode` has a connection encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server offers TLS.
    Prefer,
    /// Encrypted, or refused.
    Require(Check),
}

impl Address {
    /// Parses an address, reads the password file if the address and the environment have no password, the certificates
    /// that are trusted, and that of this client.
    pub(super) fn parse(text: &str, environment: &Environment) -> Result<Self, StoreError> {
        let (text, own) = Own::taken_from(text)?;
        // The client library's error may quote a part of the password.
        let mut config: Config = text.parse().map_err(|_| StoreError::BadAddress)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(StoreError::BadAddress);
        }
        let mode = match own.mode {
            Some(mode) => mode,
            // Roots are named to be used.
            None if own.roots.is_some() => Mode::Require(Check::Name),
            None => match config.get_ssl_mode() {
                SslMode::Disable => Mode::Disable,
                SslMode::Require => Mode::Require(Check::Name),
                _ => Mode::Prefer,
            },
        };
        let (ssl_mode, check) = match mode {
            Mode::Disable => (SslMode::Disable, Check::Nothing),
            Mode::Prefer => (SslMode::Prefer, Check::Nothing),
            Mode::Require(check) => (SslMode::Require, check),
        };
        config.ssl_mode(ssl_mode);
        if is_local(&config) {
            // As in libpq, a socket of this machine is not encrypted, whatever the mode.
            config.ssl_mode(SslMode::Disable);
        }
        let is_named = own.files.certificate.is_some() || own.files.key.is_some();
        if mode == Mode::Disable && is_named {
            return Err(bad(
                "sslcert and sslkey are of no use with sslmode=disable; remove them, or write sslmode=verify-full",
            ));
        }
        let client = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => {
                let client = own.files.or_of(environment).read();
                client.map_err(|error| bad(&error.to_string()))?
            }
        };
        let is_direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        let connector = Connector::new(check, own.roots.as_deref(), client, is_direct);
        let connector = connector.map_err(|error| bad(&error.to_string()))?;
        let passfile = set_password(&mut config, own.passfile, environment);
        Ok(Self {
            config,
            connector,
            passfile: passfile.err().map(Arc::new),
        })
    }
}

/// Sets the password by libpq's order: the address, the environment, the password file.
fn set_password(
    config: &mut Config,
    passfile: Option<PathBuf>,
    environment: &Environment,
) -> Result<(), PassfileError> {
    if config.get_password().is_some() {
        return Ok(());
    }
    if let Some(password) = environment.password.as_ref().filter(is_set) {
        config.password(password.as_encoded_bytes());
        return Ok(());
    }
    let named = passfile.or_else(|| {
        environment
            .passfile
            .as_ref()
            .filter(is_set)
            .map(PathBuf::from)
    });
    let home = || environment.home.as_ref().filter(is_set).map(Path::new);
    let Some(path) = named.or_else(|| Some(home()?.join(".pgpass"))) else {
        return Ok(());
    };
    let own = whoami::username().unwrap_or_default();
    let user = config.get_user().unwrap_or(&own);
    let database = config.get_dbname().unwrap_or(user);
    let logins: Vec<_> = hosts(config)
        .map(|(host, port)| Login {
            host,
            port: port.to_string(),
            database: database.to_owned(),
            user: user.to_owned(),
        })
        .collect();
    if let Some(password) = password_in(&path, &logins)? {
        config.password(password);
    }
    Ok(())
}

/// Lists the hosts of an address with their ports, by the names of a password file.
fn hosts(config: &Config) -> impl Iterator<Item = (String, u16)> {
    let names = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(directory) => match directory.to_str() {
            // The default directories of libpq, in its source and on Debian.
            Some("/tmp" | "/run/postgresql" | "/var/run/postgresql") => "localhost".to_owned(),
            _ => directory.display().to_string(),
        },
    });
    let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
    let names = names.chain(addresses);
    let ports = config.get_ports();
    names.enumerate().map(|(index, name)| {
        let port = ports.get(index).or(ports.first());
        (name, port.copied().unwrap_or(5432))
    })
}

/// True if all hosts are sockets of this machine.
fn is_local(config: &Config) -> bool {
    let mut hosts = config.get_hosts().iter();
    config.get_hostaddrs().is_empty() && hosts.all(|host| !matches!(host, Host::Tcp(_)))
}

fn bad(reason: &str) -> StoreError {
    StoreError::BadTls {
        reason: reason.to_owned(),
    }
}

/// The settings that the client library does not know.
#[derive(Debug, Default)]
struct Own {
    mode: Option<Mode>,
    roots: Option<PathBuf>,
    files: CertificateFiles,
    passfile: Option<PathBuf>,
}

impl Own {
    /// Takes the settings out of a URL. Leaves text in another form as it is.
    fn taken_from(text: &str) -> Result<(String, Self), StoreError> {
        let mut own = Self::default();
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        // A password may have a question mark. The client library ends it at the first sign of this kind.
        let credentials = text.find('@').unwrap_or(0);
        let query = text[credentials..].find('?').map(|at| credentials + at);
        let Some(query) = query.filter(|_| is_url) else {
            return Ok((text.to_owned(), own));
        };
        let mut left = Vec::new();
        for setting in text[query + 1..].split('&') {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| StoreError::BadAddress)?;
            match name {
                "sslmode" => own.mode = Some(mode(&value)?),
                // The system's roots are the default.
                "sslrootcert" if value == "system" => {
                    own.mode.get_or_insert(Mode::Require(Check::Name));
                }
                "sslrootcert" => own.roots = Some(PathBuf::from(&*value)),
                "sslcert" => own.files.certificate = Some(PathBuf::from(&*value)),
                "sslkey" => own.files.key = Some(PathBuf::from(&*value)),
                "passfile" => own.passfile = Some(PathBuf::from(&*value)),
                _ => left.push(setting),
            }
        }
        let mut text = text[..query].to_owned();
        if !left.is_empty() {
            text = format!("{text}?{}", left.join("&"));
        }
        Ok((text, own))
    }
}

fn mode(value: &str) -> Result<Mode, StoreError> {
    Ok(match value {
        "disable" => Mode::Disable,
        "prefer" => Mode::Prefer,
        "require" | "verify-full" => Mode::Require(Check::Name),
        "verify-ca" => Mode::Require(Check::Issuer),
        "no-verify" => Mode::Require(Check::Nothing),
        _ => {
            return Err(bad(
                "sslmode is unknown; write disable, prefer, no-verify, verify-ca, require or verify-full",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Address, StoreError> {
        Address::parse(text, &Environment::default())
    }

    #[test]
    fn reads_how_the_connection_is_encrypted() {
        use SslMode::{Disable, Prefer, Require};
        for (settings, mode, check) in [
            ("", Prefer, Check::Nothing),
            ("?sslmode=prefer", Prefer, Check::Nothing),
            ("?sslmode=disable", Disable, Check::Nothing),
            (
                "?connect_timeout=3&sslmode=no-verify",
                Require,
                Check::Nothing,
            ),
            (
                "?sslmode=require&channel_binding=require",
                Require,
                Check::Name,
            ),
            ("?sslmode=verify-full", Require, Check::Name),
            ("?sslrootcert=system", Require, Check::Name),
        ] {
            let address = parsed(&format!("postgres://u:p?w@host/db{settings}")).unwrap();
            assert_eq!(address.config.get_ssl_mode(), mode, "{settings}");
            assert_eq!(address.connector.check(), check, "{settings}");
            assert_eq!(address.config.get_password(), Some(&b"p?w"[..]));
            assert_eq!(address.config.get_dbname(), Some("db"), "{settings}");
        }
        let words = parsed("host=host user=u sslmode=require").unwrap();
        assert_eq!(words.config.get_ssl_mode(), Require);
        assert_eq!(words.connector.check(), Check::Name);
    }

    #[test]
    fn encrypts_no_socket_of_this_machine() {
        let address = parsed("postgres:///db?host=/run/postgresql&sslmode=require").unwrap();
        assert_eq!(address.config.get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn refuses_settings_that_contradict_each_other() {
        for (settings, said) in [
            ("sslmode=allow", "sslmode is unknown"),
            ("sslmode=", "sslmode is unknown"),
            (
                "sslmode=prefer&sslrootcert=/ca.pem",
                "checks no certificate",
            ),
            (
                "sslmode=disable&sslrootcert=/ca.pem",
                "checks no certificate",
            ),
            (
                "sslmode=no-verify&sslrootcert=/ca.pem",
                "checks no certificate",
            ),
            ("sslmode=verify-ca", "verify-ca needs sslrootcert"),
            ("sslmode=disable&sslcert=/c.pem", "of no use"),
            ("sslcert=/c.pem", "without sslkey"),
            ("sslcert=/c.pem&sslkey=/no/such.key", "/no/such.key"),
            ("sslrootcert=/no/such.pem", "/no/such.pem"),
        ] {
            let refused = parsed(&format!("postgres://host/db?{settings}")).unwrap_err();
            assert!(matches!(refused, StoreError::BadTls { .. }), "{refused}");
            assert!(refused.to_string().contains(said), "{refused}");
        }
    }

    #[test]
    fn takes_the_certificate_of_address_or_environment() {
        let environment = Environment {
            certificate: Some("/no/variable.pem".into()),
            key: Some("/no/variable.key".into()),
            ..Environment::default()
        };
        let refused = |text: &str| {
            let refused = Address::parse(text, &environment).unwrap_err();
            refused.to_string()
        };
        let of_variable = refused("postgres://u@host/db");
        assert!(of_variable.contains("/no/variable.key"), "{of_variable}");
        let of_address = refused("postgres://u@host/db?sslkey=/no/own.key");
        assert!(of_address.contains("/no/own.key"), "{of_address}");
        // Variables are for all programs: no use is no error.
        for text in [
            "postgres:///db?host=/run",
            "postgres://host/db?sslmode=disable",
        ] {
            assert!(Address::parse(text, &environment).is_ok(), "{text}");
        }
    }

    #[test]
    fn takes_the_password_of_address_environment_or_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".pgpass");
        std::fs::write(&file, "host:5432:db:u:of file\n").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let own = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&file, own).unwrap();
        }
        let home = Some(directory.path().into());
        let in_home = Environment {
            home: home.clone(),
            ..Environment::default()
        };
        let with_variable = Environment {
            password: Some("of variable".into()),
            home: home.clone(),
            ..Environment::default()
        };
        let with_empty = Environment {
            password: Some("".into()),
            passfile: Some(file.clone().into()),
            ..Environment::default()
        };
        let named = format!("postgres://u@host/db?passfile={}", file.display());
        for (text, environment, password) in [
            ("postgres://u:own@host/db", &with_variable, Some("own")),
            ("postgres://u@host/db", &with_variable, Some("of variable")),
            ("postgres://u@host/db", &in_home, Some("of file")),
            ("postgres://u@host/db", &with_empty, Some("of file")),
            ("postgres://u@host:5433/db", &in_home, None),
            ("postgres://u@host/db", &Environment::default(), None),
            (&named, &Environment::default(), Some("of file")),
        ] {
            let address = Address::parse(text, environment).unwrap();
            let found = address.config.get_password();
            assert_eq!(found, password.map(str::as_bytes), "{text} {environment:?}");
        }
    }
}
