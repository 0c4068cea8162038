//! The certificate by which this client proves to a server who it is, and its key.

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The files of a certificate and its key, by libpq's names.
#[derive(Clone, Debug, Default)]
pub(super) struct CertificateFiles {
    /// `sslcert`: the certificate, then those of issuers between it and the root.
    pub(super) certificate: Option<PathBuf>,
    /// `sslkey`
    pub(super) key: Option<PathBuf>,
}

/// A certificate with its chain, and the key.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// The reason why a client's certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("{set} is set without {missing}; name the files of certificate and key")]
    Half {
        set: &'static str,
        missing: &'static str,
    },
    #[error("the key in {path} is readable by others; run chmod 600 on it")]
    OpenKey { path: PathBuf },
    #[error("cannot read the key in {path}: {reason}")]
    Key { path: PathBuf, reason: String },
    #[error("cannot read the certificates in {path}: {reason}")]
    Chain { path: PathBuf, reason: String },
}

impl CertificateFiles {
    /// Reads the files. `None` if none is named.
    ///
    /// Like libpq, refuses a key that other users may read; a key of root may be readable by its group.
    pub(super) fn read(&self) -> Result<Option<ClientCertificate>, CertificateError> {
        let half = |set, missing| Err(CertificateError::Half { set, missing });
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(_), None) => half("sslcert", "sslkey"),
            (None, Some(_)) => half("sslkey", "sslcert"),
            (Some(certificate), Some(key)) => {
                let key = read_key(key)?;
                let chain = read_chain(certificate)?;
                Ok(Some(ClientCertificate { chain, key }))
            }
        }
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let failed = |reason: String| CertificateError::Chain {
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(path);
    let chain = chain.and_then(|chain| chain.collect::<Result<Vec<_>, _>>());
    let chain = chain.map_err(|error| failed(error.to_string()))?;
    if chain.is_empty() {
        return Err(failed("the file has no certificate".to_owned()));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let failed = |reason: String| CertificateError::Key {
        path: path.to_owned(),
        reason,
    };
    let about = fs::metadata(path).map_err(|error: io::Error| failed(error.to_string()))?;
    if !about.is_file() {
        return Err(failed("it is no regular file".to_owned()));
    }
    #[cfg(unix)]
    if is_open(&about) {
        return Err(CertificateError::OpenKey {
            path: path.to_owned(),
        });
    }
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        PemError::NoItemsFound => failed(
            "the file has no key, or one with a passphrase; remove the passphrase".to_owned(),
        ),
        error => failed(error.to_string()),
    })
}

/// True if libpq would refuse a key with these permissions.
#[cfg(unix)]
fn is_open(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let forbidden = match about.uid() {
        0 => 0o037,
        _ => 0o077,
    };
    about.mode() & forbidden != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_both_files() {
        let file = Some(PathBuf::from("/no/such.pem"));
        for (certificate, key, said) in [
            (file.clone(), None, "sslcert is set without sslkey"),
            (None, file.clone(), "sslkey is set without sslcert"),
            (file.clone(), file, "/no/such.pem"),
        ] {
            let refused = CertificateFiles { certificate, key }.read().unwrap_err();
            assert!(refused.to_string().contains(said), "{refused}");
        }
        assert!(CertificateFiles::default().read().unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn refuses_a_key_that_others_may_read() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let file = tempfile::NamedTempFile::new().unwrap();
        let is_root = file.as_file().metadata().unwrap().uid() == 0;
        for (mode, is_refused) in [
            (0o600, false),
            (0o400, false),
            (0o640, !is_root),
            (0o660, true),
            (0o604, true),
            (0o644, true),
        ] {
            let mode_of = fs::Permissions::from_mode(mode);
            fs::set_permissions(file.path(), mode_of).unwrap();
            let refused = read_key(file.path()).unwrap_err();
            let is_open = matches!(refused, CertificateError::OpenKey { .. });
            assert_eq!(is_open, is_refused, "{mode:o}: {refused}");
        }
    }
}
