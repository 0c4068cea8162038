//! Forwarding: hands a client's request to the upstream, and the upstream's answer back, both as streams.
//!
//! Neither body is collected. Each wait has a limit. Path and query reach the upstream byte for byte, for the price was for
//! them. Headers of one connection, of payments, and of claimed identities
//! stop here.

mod body;
mod error;
mod headers;
mod link;
#[cfg(test)]
mod tests;
mod upgrade;

pub use body::AnswerBody;
pub use error::{ForwardError, UpstreamError};

use crate::wire::Reported;
use body::{Progress, Upload};
use bytes::Bytes;
use cheque::Amount;
pub use headers::{Origin, Paid};
pub use link::UpstreamBody;

use headers::{clean_answer, clean_request};
use http::{Request, Response, Uri, Version, uri::Scheme};
use http_body::Body;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use link::{Given, Link, Source};
use rustls::{ClientConfig, crypto::aws_lc_rs};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{error::Error, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tower::Service;

/// Idle connections to the upstream are closed after this time, before most servers close them.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The largest part of an answer that is read at a time over HTTP/1.1, in bytes, and its largest header.
const MAX_READ: usize = 64 << 10;

/// Connections to the upstream that are kept between requests.
const MAX_POOLED: usize = 1_024;

/// The limits of an upstream. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardLimits {
    /// The time for a connection.
    pub connect: Duration,
    /// The time from the last byte of the request to the answer's header.
    pub first_byte: Duration,
    /// The longest pause within a body, in both directions.
    pub idle: Duration,
    /// The bytes of a request's body.
    pub max_upload: u64,
}

impl Default for ForwardLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            max_upload: 16 << 20,
        }
    }
}

/// The service that is sold: one address behind the gateway, or a service of the same process. Cheap to clone; clones share
/// connections.
#[derive(Clone, Debug)]
pub struct Upstream {
    link: Link,
    /// None for a service of the same process.
    base: Option<Uri>,
    limits: ForwardLimits,
}

/// The upstream's answer.
#[derive(Debug)]
pub struct Answer {
    /// Status, headers for the client, and the body.
    pub response: Response<AnswerBody>,
    /// The upstream's word on the price.
    pub reported: Reported,
}

impl Upstream {
    /// Returns the upstream at `address`: `http://` (HTTP/1.1), `h2c://` (HTTP/2 without TLS) or `https://` (either, as the
    /// upstream prefers). A path in it precedes the path of each request. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`] for another address, or if the system has no certificates.
    pub fn new(address: &Uri, limits: ForwardLimits) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError::Address(address.to_string());
        let (scheme, is_h2c) = match address.scheme_str() {
            Some("http") => (Scheme::HTTP, false),
            Some("h2c") => (Scheme::HTTP, true),
            Some("https") => (Scheme::HTTPS, false),
            _ => return Err(wrong()),
        };
        if address.query().is_some() {
            return Err(UpstreamError::Query(address.to_string()));
        }
        let authority = address.authority().ok_or_else(wrong)?.clone();
        let path = address.path().trim_end_matches('/');
        let path = if path.is_empty() { "/" } else { path };
        let base = Uri::builder().scheme(scheme).authority(authority);
        let base = base.path_and_query(path).build().map_err(|_| wrong())?;

        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_nodelay(true);
        plain.set_connect_timeout(Some(limits.connect));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls.clone());
        let connector = connector.https_or_http().enable_all_versions();
        let connector = connector.wrap_connector(plain.clone());
        let of_sockets = HttpsConnectorBuilder::new().with_tls_config(tls);
        let of_sockets = of_sockets.https_or_http().enable_http1();
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(MAX_POOLED)
            .http1_max_buf_size(MAX_READ);
        let sockets = builder.build(of_sockets.wrap_connector(plain));
        let client = builder.http2_only(is_h2c).build(connector);
        Ok(Self {
            link: Link::Address {
                client: Box::new(client),
                sockets: Box::new(sockets),
            },
            base: Some(base),
            limits,
        })
    }

    /// Returns a service of the same process as an upstream. It opens no WebSockets.
    pub fn of_service<S, B>(service: S, limits: ForwardLimits) -> Self
    where
        S: Service<Request<UpstreamBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<Source>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Source>,
    {
        Self {
            link: Link::of_service(service),
            base: None,
            limits,
        }
    }

    /// True if the upstream can open WebSockets.
    pub(crate) const fn opens_sockets(&self) -> bool {
        matches!(self.link, Link::Address { .. })
    }

    /// Sends a request and waits for the answer's header. `paid` is the payment that the upstream is told of.
    ///
    /// # Errors
    ///
    /// [`ForwardError`] if there is no answer.
    pub async fn send<B>(
        &self,
        request: Request<B>,
        origin: &Origin,
        paid: Option<&Paid>,
    ) -> Result<Answer, ForwardError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (mut head, body) = request.into_parts();
        let declared = body.size_hint().lower();
        if declared > self.limits.max_upload {
            return Err(ForwardError::UploadTooLarge);
        }
        head.uri = self.target(&head.uri).ok_or(ForwardError::Target)?;
        head.version = Version::HTTP_11;
        clean_request(&mut head.headers, origin, paid);
        let progress = Progress::new(body.is_end_stream());
        let body = Upload::new(
            body,
            self.limits.max_upload,
            self.limits.idle,
            progress.clone(),
        );
        let request = Request::from_parts(head, body.boxed_unsync());
        let answer = self.first_byte(self.link.request(request), &progress);
        Ok(self.answer(answer.await?, paid))
    }

    /// Prepares the upstream's answer for the client.
    fn answer(&self, answer: Response<Given>, paid: Option<&Paid>) -> Answer {
        let mut response = answer.map(|body| AnswerBody::new(body, self.limits.idle));
        let reserved = paid.map_or(Amount::ZERO, |paid| paid.reserved);
        let reported = clean_answer(response.headers_mut(), reserved);
        Answer { response, reported }
    }

    /// Waits for the header of an answer.
    async fn first_byte<T>(
        &self,
        answer: impl Future<Output = Result<T, ForwardError>>,
        progress: &Progress,
    ) -> Result<T, ForwardError> {
        let mut answer = std::pin::pin!(answer);
        loop {
            let until = self.latest_answer(progress);
            if until <= Instant::now() {
                return Err(ForwardError::TimedOut);
            }
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = sleep_until(until) => {}
            }
        }
    }

    /// The time by which the answer has to begin. An upload that the client lets stall ends before, by its own limit, so that
    /// this limit ends one that the upstream does not read.
    fn latest_answer(&self, progress: &Progress) -> Instant {
        let upload = progress.get();
        let after = if upload.is_complete {
            Duration::ZERO
        } else {
            self.limits.idle
        };
        upload.last + after + self.limits.first_byte
    }

    /// The upstream's address of a request, with the same bytes of path and query. None without a path, as of `OPTIONS *`.
    fn target(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path_and_query()?.as_str();
        if !path.starts_with('/') {
            return None;
        }
        let Some(base) = &self.base else {
            return path.parse().ok();
        };
        let mut parts = base.clone().into_parts();
        let base = base.path().trim_end_matches('/');
        parts.path_and_query = Some(format!("{base}{path}").parse().ok()?);
        Uri::from_parts(parts).ok()
    }
}
