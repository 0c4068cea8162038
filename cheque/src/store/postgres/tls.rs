//! TLS to the server, and the check of its certificate.

use crate::store::postgres::{
    channel_binding::server_end_point, client_certificate::ClientCertificate,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use rustls_platform_verifier::Verifier as SystemVerifier;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;

/// The part of a certificate that is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Check {
    /// None. Keeps listeners out, and nobody who answers in the server's place.
    Nothing,
    /// Its issuer is a trusted root.
    Issuer,
    /// Its issuer is a trusted root, and its name that of the host.
    Name,
}

/// The settings of TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error(
        "sslrootcert is set, but this sslmode checks no certificate; write sslmode=verify-full"
    )]
    UnusedRoots,
    #[error(
        "sslmode=verify-ca needs sslrootcert: anybody can get a certificate of a public issuer"
    )]
    NoRoots,
    #[error("cannot read the certificates in {path}: {reason}")]
    Roots { path: PathBuf, reason: String },
    #[error("sslcert and sslkey do not belong together: {0}")]
    Client(TlsError),
    #[error("cannot prepare TLS: {0}")]
    Tls(#[from] TlsError),
}

/// Makes the TLS sessions of connections.
#[derive(Clone)]
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    check: Check,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.check).finish()
    }
}

impl Connector {
    /// Creates a connector that trusts the roots of a file, or those of the system. Shows `client` to a server that asks for a
    /// certificate.
    pub(super) fn new(
        check: Check,
        roots: Option<&Path>,
        client: Option<ClientCertificate>,
        is_direct: bool,
    ) -> Result<Self, SettingsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match (check, roots) {
            (Check::Nothing, None) => Arc::new(AnyCertificate(provider.clone())),
            (Check::Nothing, Some(_)) => return Err(SettingsError::UnusedRoots),
            (Check::Issuer, None) => return Err(SettingsError::NoRoots),
            (Check::Issuer, Some(file)) => Arc::new(AnyName(of_file(file, &provider)?)),
            (Check::Name, Some(file)) => of_file(file, &provider)?,
            (Check::Name, None) => Arc::new(SystemVerifier::new(provider.clone())?),
        };
        let config = ClientConfig::builder_with_provider(provider);
        let config = config
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match client {
            None => config.with_no_client_auth(),
            Some(client) => config
                .with_client_auth_cert(client.chain, client.key)
                .map_err(SettingsError::Client)?,
        };
        if is_direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        let config = Arc::new(config);
        Ok(Self { config, check })
    }

    /// Returns the part of a certificate that is checked.
    #[cfg(test)]
    pub(super) const fn check(&self) -> Check {
        self.check
    }
}

/// Trusts the issuers in a file of PEM certificates.
fn of_file(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, SettingsError> {
    let failed = |reason: String| SettingsError::Roots {
        path: path.to_owned(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path);
    for certificate in certificates.map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        let added = roots.add(certificate);
        added.map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("the file has no certificate".to_owned()));
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    verifier.map_err(|error| failed(error.to_string()))
}

/// Accepts any certificate whose key the server has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts certificates of trusted issuers for any host.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified = self
            .0
            .verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            // The name is checked last.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        Ok(Handshake {
            connector: self.config.clone().into(),
            host: host.to_owned(),
        })
    }
}

/// The begin of a TLS session with a host.
pub(super) struct Handshake {
    connector: TlsConnector,
    host: String,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TlsStream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.host).map_err(io::Error::other)?;
            let connected = self.connector.connect(name, stream).await;
            connected.map(TlsStream).map_err(explained)
        })
    }
}

/// A TLS session that could not begin.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct HandshakeError(String);

/// True if TLS could not begin, on a connection that was made.
pub(super) fn is_handshake_error(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    let error = source.and_then(|error| error.downcast_ref::<io::Error>());
    error
        .and_then(io::Error::get_ref)
        .is_some_and(|error| error.is::<HandshakeError>())
}

/// Adds the next step to the refusal of a certificate.
fn explained(error: io::Error) -> io::Error {
    let refusal = error.get_ref().and_then(|error| error.downcast_ref());
    let step = match refusal {
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "name the issuer's certificate in sslrootcert"
        }
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "connect by a name of the certificate",
        _ => return io::Error::new(error.kind(), HandshakeError(error.to_string())),
    };
    io::Error::new(error.kind(), HandshakeError(format!("{error}; {step}")))
}

/// An encrypted connection.
pub(super) struct TlsStream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for TlsStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificates = session.peer_certificates().unwrap_or_default();
        let bound = certificates
            .first()
            .and_then(|certificate| server_end_point(certificate));
        bound.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
