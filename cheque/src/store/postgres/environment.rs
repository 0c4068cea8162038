//! The variables of libpq.

use crate::store::postgres::client_certificate::CertificateFiles;
use std::{ffi::OsString, path::PathBuf};

/// The variables of the environment that libpq reads for a password and a certificate.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) password: Option<OsString>,
    pub(super) passfile: Option<OsString>,
    pub(super) home: Option<OsString>,
    pub(super) certificate: Option<OsString>,
    pub(super) key: Option<OsString>,
}

impl Environment {
    /// Reads the variables of this process.
    pub(super) fn read() -> Self {
        Self {
            password: std::env::var_os("PGPASSWORD"),
            passfile: std::env::var_os("PGPASSFILE"),
            home: std::env::var_os("HOME"),
            certificate: std::env::var_os("PGSSLCERT"),
            key: std::env::var_os("PGSSLKEY"),
        }
    }
}

/// True for a variable with a value. As in libpq, an empty one counts as not set.
pub(super) fn is_set(value: &&OsString) -> bool {
    !value.is_empty()
}

impl CertificateFiles {
    /// Takes the files that the address does not name from the environment.
    pub(super) fn or_of(self, environment: &Environment) -> Self {
        let path = |value: &Option<OsString>| value.as_ref().filter(is_set).map(PathBuf::from);
        Self {
            certificate: self.certificate.or_else(|| path(&environment.certificate)),
            key: self.key.or_else(|| path(&environment.key)),
        }
    }
}
