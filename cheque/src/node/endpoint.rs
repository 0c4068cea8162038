//! The connection to a node, with its timeout and retries.

use crate::node::error::NodeError;
use alloy::{
    providers::{Provider, RootProvider},
    pubsub::Subscription,
    rpc::{
        client::{ClientBuilder, RpcClient},
        json_rpc::{RequestPacket, ResponsePacket, RpcError},
        types::Header,
    },
    transports::{
        TransportError, TransportErrorKind,
        http::{
            Http,
            reqwest::{Client, Url},
        },
        layers::{RateLimitRetryPolicy, RetryPolicy},
        ws::WsConnect,
    },
};
use std::{fmt, time::Duration};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
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

/// The connection to a node.
pub(crate) struct Endpoint {
    transport: Transport,
    limits: Limits,
}

/// Omits the URL, which may contain keys.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.limits).finish()
    }
}

enum Transport {
    Http(Http<Client>),
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
                let client = Client::builder().build();
                let client = client.map_err(TransportErrorKind::custom)?;
                Transport::Http(Http::with_client(client, parsed))
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
        Ok(Self { transport, limits })
    }

    /// Opens the WebSocket. Does nothing for HTTP.
    pub(crate) async fn connect(&self) -> Result<(), TransportError> {
        self.with_timeout(async {
            match &self.transport {
                Transport::Http(_) => Ok(()),
                Transport::Socket { connect, open } => open_socket(connect, open).await.map(drop),
            }
        })
        .await
    }

    /// Sends a request, and retries after transport errors and rate limits.
    ///
    /// An error is a transport error or a rate limit. Any other error of the node is an answer, and returned as `Ok`.
    pub(crate) async fn ask(
        &self,
        request: &RequestPacket,
    ) -> Result<ResponsePacket, TransportError> {
        let mut tries = 0;
        loop {
            let error = match self.ask_once(request.clone()).await {
                Err(error) => error,
                Ok(answer) => match answer.as_error() {
                    Some(refusal) if refusal.is_retry_err() => {
                        TransportError::ErrorResp(refusal.clone())
                    }
                    _ => return Ok(answer),
                },
            };
            let pause = rate_limits().backoff_hint(&error).unwrap_or(BACKOFF);
            if tries >= self.limits.retries || pause > MAX_BACKOFF || !self.is_retryable(&error) {
                return Err(error);
            }
            tries += 1;
            sleep(pause).await;
        }
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
            Transport::Http(http) => self.with_timeout(http.clone().call(request)).await,
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
