//! The connection to a node, with its timeout and retries.

use crate::{
    http_client::{client_for, proxy_for, reason_of, words_of},
    node::{
        batches::{BatchSize, ask_batch, blames_batch},
        dialect::read_answer,
        error::{NodeError, status_of},
        redact::{Secrets, without_secrets},
    },
};
use alloy::{
    providers::{Provider, RootProvider},
    pubsub::Subscription,
    rpc::{
        client::{ClientBuilder, RpcClient},
        json_rpc::{ErrorPayload, RequestPacket, ResponsePacket, ResponsePayload, RpcError},
        types::Header,
    },
    transports::{
        TransportError, TransportErrorKind,
        http::{
            Http,
            reqwest::{self, Client, Url},
        },
        layers::{RateLimitRetryPolicy, RetryPolicy},
        ws::WsConnect,
    },
};
use std::{fmt, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tower::Service;

const BACKOFF: Duration = Duration::from_millis(300);

/// The longest pause that a node may request. A node that requests more counts as failed.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Timeout and retries of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    /// True to retry a request after a timeout, too.
    pub(crate) retry_timeouts: bool,
}

/// A node did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .after.as_secs())]
pub(crate) struct TimedOut {
    after: Duration,
}

/// No answer came from a node.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {reason}{}", .proxy.as_deref().map(|proxy| format!(", {}", through(proxy))).unwrap_or_default())]
pub(crate) struct Unreachable {
    /// Scheme, host and port of the node.
    host: String,
    reason: String,
    /// Host and port of the proxy.
    proxy: Option<String>,
}

/// The connection to a node.
pub(crate) struct Endpoint {
    transport: Transport,
    limits: Limits,
    /// Scheme, host and port.
    host: String,
    secrets: Secrets,
    batch_size: BatchSize,
}

/// Omits the URL, which may contain keys.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.limits).finish()
    }
}

enum Transport {
    Http {
        http: Http<Client>,
        /// Host and port of the proxy before the node.
        proxy: Option<String>,
    },
    Socket {
        connect: WsConnect,
        open: Mutex<Option<RpcClient>>,
    },
}

impl Endpoint {
    /// Creates the endpoint of an http, https, ws or wss URL. Does not connect.
    pub(crate) fn new(url: &str, limits: Limits) -> Result<Self, NodeError> {
        let refused = |url: String| NodeError::Url { url };
        let parsed: Url = url.parse().map_err(|_| refused(String::new()))?;
        let transport = match parsed.scheme() {
            "http" | "https" => {
                let client = client_for(&parsed).build();
                let client = client.map_err(TransportErrorKind::custom)?;
                let proxy = proxy_for(&parsed);
                let http = Http::with_client(client, parsed.clone());
                Transport::Http { http, proxy }
            }
            "ws" | "wss" => Transport::Socket {
                // A single attempt restores a cut connection. More would delay the error, on which the caller decides.
                connect: WsConnect::new(url).with_max_retries(1),
                open: Mutex::default(),
            },
            scheme => {
                let host = parsed.host_str().unwrap_or_default();
                return Err(refused(format!("{scheme}://{host}")));
            }
        };
        Ok(Self {
            transport,
            limits,
            host: without_secrets(parsed.as_str()),
            secrets: Secrets::of(&parsed),
            batch_size: BatchSize::default(),
        })
    }

    /// Opens the WebSocket. Does nothing for HTTP.
    pub(crate) async fn connect(&self) -> Result<(), TransportError> {
        self.with_timeout(async {
            match &self.transport {
                Transport::Http { .. } => Ok(()),
                Transport::Socket { connect, open } => open_socket(connect, open).await.map(drop),
            }
        })
        .await
    }

    /// Sends a request, and retries after transport errors and rate limits. Sends a batch in parts if the node wants that.
    ///
    /// An error is a transport error or a rate limit. Any other error of the node is an answer, and returned as `Ok`.
    pub(crate) async fn ask(
        &self,
        request: &RequestPacket,
    ) -> Result<ResponsePacket, TransportError> {
        let answer = match request {
            RequestPacket::Single(_) => self.ask_patiently(request.clone()).await,
            RequestPacket::Batch(requests) => {
                let ask = |packet| self.ask_patiently(packet);
                // On the heap, because single requests are asked more often.
                Box::pin(ask_batch(&self.batch_size, requests, ask)).await
            }
        };
        let proxy = match &self.transport {
            Transport::Http { proxy, .. } => proxy.as_deref(),
            Transport::Socket { .. } => None,
        };
        match answer {
            Ok(answer) => Ok(self.without_secrets(answer, proxy)),
            Err(error) => Err(self
                .secrets
                .hide_in_error(explained(error, &self.host, proxy))),
        }
    }

    /// Hides secrets in the errors of an answer. Names the proxy where an HTTP status is all that is known of an error.
    fn without_secrets(&self, mut answer: ResponsePacket, proxy: Option<&str>) -> ResponsePacket {
        let answers = match &mut answer {
            ResponsePacket::Single(single) => std::slice::from_mut(single),
            ResponsePacket::Batch(batch) => batch.as_mut_slice(),
        };
        for answer in answers {
            if let ResponsePayload::Failure(refusal) = &mut answer.payload {
                let said = self.secrets.hide(&refusal.message);
                let proxy = proxy.filter(|_| status_of(refusal).is_some());
                refusal.message = after_proxy(proxy, said).into();
            }
        }
        answer
    }

    async fn ask_patiently(
        &self,
        request: RequestPacket,
    ) -> Result<ResponsePacket, TransportError> {
        let mut tries = 0;
        loop {
            let error = match self.ask_once(request.clone()).await {
                Err(error) => error,
                Ok(answer) => {
                    let limited = answer.iter_errors().find(|refusal| is_rate_limit(refusal));
                    let Some(limited) = limited.cloned() else {
                        return Ok(answer);
                    };
                    TransportError::ErrorResp(limited)
                }
            };
            let pause = rate_limits().backoff_hint(&error).unwrap_or(BACKOFF);
            let retries = match request {
                RequestPacket::Single(_) => self.limits.retries,
                // A node that refuses batches refuses them again.
                RequestPacket::Batch(_) if is_server_error(&error) => self.limits.retries.min(1),
                RequestPacket::Batch(_) => self.limits.retries,
            };
            if tries >= retries || pause > MAX_BACKOFF || !self.is_retryable(&error) {
                return Err(error);
            }
            tries += 1;
            sleep(pause).await;
        }
    }

    /// Returns the largest batch that the node was found to answer, if it has refused a larger one.
    pub(crate) fn batch_limit(&self) -> Option<usize> {
        self.batch_size.learned(Instant::now())
    }

    /// Subscribes to new heads. `None` over HTTP, which has no subscriptions.
    pub(crate) async fn heads(&self) -> Option<Result<Subscription<Header>, TransportError>> {
        let Transport::Socket { connect, open } = &self.transport else {
            return None;
        };
        let subscribed = self.with_timeout(async {
            let client = open_socket(connect, open).await?;
            RootProvider::<alloy::network::Ethereum>::new(client)
                .subscribe_blocks()
                .await
        });
        Some(subscribed.await)
    }

    async fn ask_once(&self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        match &self.transport {
            Transport::Http { http, .. } => {
                let answered = self.with_timeout(http.clone().call(request.clone())).await;
                read_answer(&request, answered)
            }
            Transport::Socket { connect, open } => {
                let answer = self.with_timeout(async {
                    let client = open_socket(connect, open).await?;
                    client.transport().clone().call(request).await
                });
                let answer = answer.await;
                if answer.is_err() {
                    // The next request opens a new socket. Pending requests of other tasks hold the old socket until they
                    // are answered.
                    *open.lock().await = None;
                }
                answer
            }
        }
    }

    async fn with_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let after = self.limits.timeout;
        let timed_out = |_| Err(TransportErrorKind::custom(TimedOut { after }));
        timeout(after, work).await.unwrap_or_else(timed_out)
    }

    fn is_retryable(&self, error: &TransportError) -> bool {
        match error {
            RpcError::Transport(kind) if is_timeout(kind) => self.limits.retry_timeouts,
            RpcError::Transport(kind) => match kind.as_http_error() {
                Some(http) => http.status >= 500 || rate_limits().should_retry(error),
                None => !kind.is_non_retryable(),
            },
            _ => rate_limits().should_retry(error),
        }
    }
}

/// Names the reason of a lost request, and the proxy that it went through.
fn explained(error: TransportError, host: &str, proxy: Option<&str>) -> TransportError {
    let kind = match error {
        RpcError::Transport(kind) => kind,
        error => return error,
    };
    if let Some(http) = kind.as_http_error() {
        // Nobody can tell whether the node or the proxy has answered.
        return TransportErrorKind::http_error_with_retry_after(
            http.status,
            after_proxy(proxy, words_of(&http.body)),
            kind.retry_after(),
        );
    }
    let TransportErrorKind::Custom(source) = &kind else {
        return RpcError::Transport(kind);
    };
    let reason = match source.downcast_ref::<reqwest::Error>() {
        Some(error) => reason_of(error),
        None => source.to_string(),
    };
    TransportErrorKind::custom(Unreachable {
        host: host.to_owned(),
        reason,
        proxy: proxy.map(str::to_owned),
    })
}

/// Puts the proxy before another server's words, which may be cut at their end.
fn after_proxy(proxy: Option<&str>, words: String) -> String {
    match proxy {
        None => words,
        Some(proxy) if words.is_empty() => through(proxy),
        Some(proxy) => format!("{}: {words}", through(proxy)),
    }
}

fn through(proxy: &str) -> String {
    format!(
        "through the proxy {proxy} of the environment (if that is wrong, name the node's host in NO_PROXY)"
    )
}

/// True for a refusal that a later request may not get. An answer that is too large for the node stays so.
fn is_rate_limit(refusal: &ErrorPayload) -> bool {
    let is_too_large = ["more than", "range"]
        .iter()
        .any(|word| refusal.message.contains(word));
    refusal.is_retry_err() && !is_too_large && !blames_batch(refusal)
}

/// True for an HTTP status by which the node or a server before it has failed.
fn is_server_error(error: &TransportError) -> bool {
    let kind = error.as_transport_err();
    kind.and_then(TransportErrorKind::as_http_error)
        .is_some_and(|http| http.status >= 500)
}

async fn open_socket(
    connect: &WsConnect,
    open: &Mutex<Option<RpcClient>>,
) -> Result<RpcClient, TransportError> {
    let mut open = open.lock().await;
    if let Some(client) = &*open {
        return Ok(client.clone());
    }
    let client = ClientBuilder::default().ws(connect.clone()).await?;
    Ok(open.insert(client).clone())
}

fn is_timeout(kind: &TransportErrorKind) -> bool {
    kind.as_custom().is_some_and(|error| error.is::<TimedOut>())
}

/// Recognizes the rate-limit errors of the common node providers, each of which has a wording of its own.
fn rate_limits() -> RateLimitRetryPolicy {
    RateLimitRetryPolicy::default()
}
