//! TLS and HTTP/2.

use super::*;
use crate::service::http::{Tls, TlsError};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use std::{fs, path::PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A folder with the files of a certificate, which can be replaced.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Writes a new certificate for `localhost`, and returns it.
    fn renew(&self) -> CertificateDer<'static> {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        fs::write(self.certificate(), cert.pem()).unwrap();
        fs::write(self.key(), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }
}

/// Connects to a server whose certificate is this one. Offers these protocols.
async fn connect(
    server: &Server,
    certificate: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = server.connect().await;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Asks by HTTP/2. Returns the status of the answer, and the connection.
async fn ask_http2<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: T,
    path: &str,
) -> (u16, JoinHandle<()>) {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(async move {
        let _ = connection.await;
    });
    let request = Request::get(format!("https://localhost{path}"));
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = timeout(SOON, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    // The sender goes with the task, so that the connection is idle and not closed by its client.
    let connection = tokio::spawn(async move {
        let _open = sender;
        let _ = connection.await;
    });
    (status, connection)
}

#[tokio::test]
async fn speaks_both_versions_of_http_within_tls() {
    let files = Files::new();
    let certificate = files.renew();
    let tls = Tls::read(&files.certificate(), &files.key()).unwrap();
    let server = HttpServer::new(limits(10), Refusals::default()).with_tls(tls);
    let server = start_with(server).await;
    let both: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let stream = connect(&server, &certificate, &both).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(ask_http2(stream, "/trusted").await.0, 200);

    let mut old = connect(&server, &certificate, &both[1..]).await.unwrap();
    let request = b"GET /trusted HTTP/1.1\r\nhost: localhost\r\n\r\n";
    old.write_all(request).await.unwrap();
    let mut answer = [0; 12];
    old.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");

    let mut plain = server.connect().await;
    let said = ask(&mut plain, "/trusted").await.unwrap_or_default();
    assert!(!said.starts_with("HTTP"), "{said}");
}

#[tokio::test]
async fn has_the_new_certificate_after_a_reload() {
    let files = Files::new();
    let first = files.renew();
    let tls = Tls::read(&files.certificate(), &files.key()).unwrap();
    let server = HttpServer::new(limits(10), Refusals::default()).with_tls(tls.clone());
    let server = start_with(server).await;
    let second = files.renew();
    assert!(connect(&server, &first, &[]).await.is_ok());
    tls.reload().unwrap();
    assert!(connect(&server, &first, &[]).await.is_err());
    assert!(connect(&server, &second, &[]).await.is_ok());

    // What cannot be used changes nothing.
    let key = fs::read(files.key()).unwrap();
    files.renew();
    fs::write(files.key(), key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Key { .. })));
    fs::write(files.certificate(), "").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Empty(_))));
    fs::remove_file(files.key()).unwrap();
    fs::remove_file(files.certificate()).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::File { .. })));
    assert!(connect(&server, &second, &[]).await.is_ok());
}

#[tokio::test]
async fn closes_a_handshake_that_is_never_finished() {
    let files = Files::new();
    files.renew();
    let short = HttpLimits {
        first_header: Duration::from_millis(200),
        ..limits(10)
    };
    let tls = Tls::read(&files.certificate(), &files.key()).unwrap();
    let server = start_with(HttpServer::new(short, Refusals::default()).with_tls(tls)).await;
    let mut silent = server.connect().await;
    // The first bytes of a client's hello.
    silent.write_all(&[22, 3, 1, 0, 200]).await.unwrap();
    assert!(is_closed(&mut silent).await);
}

#[tokio::test]
async fn closes_an_idle_connection_of_http_2() {
    let short = HttpLimits {
        idle: Duration::from_millis(200),
        ..limits(10)
    };
    let server = start(short).await;
    let (status, connection) = ask_http2(server.connect().await, "/trusted").await;
    assert_eq!(status, 200);
    timeout(SOON, connection).await.expect("an end").unwrap();
}

/// Its flow control stops the server before the socket is full, so no write waits.
#[tokio::test]
async fn closes_a_connection_of_http_2_with_an_unread_answer() {
    let short = HttpLimits {
        unread: Duration::from_millis(100),
        ..limits(10)
    };
    let server = start(short).await;
    let stream = TokioIo::new(server.connect().await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://localhost/large").body(Empty::<bytes::Bytes>::new());
    let asked = sender.send_request(request.unwrap());
    // The body is kept and not read.
    let _unread = timeout(SOON, asked).await.unwrap().unwrap();
    let ended = timeout(SOON, connection).await.expect("an end");
    assert!(ended.unwrap().is_err(), "cut off");
}
