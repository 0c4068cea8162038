//! One node, and how often it is asked.

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

/// The longest pause that a node may ask for before it counts as one that does not answer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// How long to wait for an answer, and how often to ask again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    /// Whether to ask again a node that did not answer in time.
    pub(crate) silence: bool,
}

/// A node that did not answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .after.as_secs())]
pub(crate) struct Silent {
    after: Duration,
}

/// The way to one node.
pub(crate) struct Endpoint {
    way: Way,
    patience: Patience,
}

/// Without the URL, which may carry keys.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.patience).finish()
    }
}

enum Way {
    Http(Http<Client>),
    Socket {
        connect: WsConnect,
        open: Mutex<Option<RpcClient>>,
    },
}

impl Endpoint {
    /// The node at an http, https, ws or wss URL. Connects to nothing yet.
    pub(crate) fn new(url: &str, patience: Patience) -> Result<Self, NodeError> {
        let refused = |url: String| NodeError::Url { url };
        let parsed: Url = url.parse().map_err(|_| refused(String::new()))?;
        let way = match parsed.scheme() {
            "http" | "https" => {
                let client = Client::builder().build();
                let client = client.map_err(TransportErrorKind::custom)?;
                Way::Http(Http::with_client(client, parsed))
            }
            "ws" | "wss" => Way::Socket {
                // Whoever waits for an answer is told soon, and decides what next. One attempt mends what was only cut.
                connect: WsConnect::new(url).with_max_retries(1),
                open: Mutex::default(),
            },
            scheme => {
                let host = parsed.host_str().unwrap_or_default();
                return Err(refused(format!("{scheme}://{host}")));
            }
        };
        Ok(Self { way, patience })
    }

    /// Makes the connection, where there is such a thing.
    pub(crate) async fn connect(&self) -> Result<(), TransportError> {
        self.within(async {
            match &self.way {
                Way::Http(_) => Ok(()),
                Way::Socket { connect, open } => socket(connect, open).await.map(drop),
            }
        })
        .await
    }

    /// Asks, and asks again what was lost on the way or came too fast. An error is one of the way to the node, or says
    /// that the node is asked too often; other refusals are answers.
    pub(crate) async fn ask(
        &self,
        request: &RequestPacket,
    ) -> Result<ResponsePacket, TransportError> {
        let mut tries = 0;
        loop {
            let error = match self.once(request.clone()).await {
                Err(error) => error,
                Ok(answer) => match answer.as_error() {
                    Some(refusal) if refusal.is_retry_err() => {
                        TransportError::ErrorResp(refusal.clone())
                    }
                    _ => return Ok(answer),
                },
            };
            let pause = too_fast().backoff_hint(&error).unwrap_or(BACKOFF);
            if tries >= self.patience.retries || pause > LONGEST_BACKOFF || !self.again(&error) {
                return Err(error);
            }
            tries += 1;
            sleep(pause).await;
        }
    }

    /// New heads as the node tells them. `None`: it does not tell.
    pub(crate) async fn heads(&self) -> Option<Result<Subscription<Header>, TransportError>> {
        let Way::Socket { connect, open } = &self.way else {
            return None;
        };
        let subscribed = self.within(async {
            let client = socket(connect, open).await?;
            RootProvider::<alloy::network::Ethereum>::new(client)
                .subscribe_blocks()
                .await
        });
        Some(subscribed.await)
    }

    async fn once(&self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        match &self.way {
            Way::Http(http) => self.within(http.clone().call(request)).await,
            Way::Socket { connect, open } => {
                let answer = self.within(async {
                    let client = socket(connect, open).await?;
                    client.transport().clone().call(request).await
                });
                let answer = answer.await;
                if answer.is_err() {
                    // A new one next time. Requests of others on this one keep it until they are answered.
                    *open.lock().await = None;
                }
                answer
            }
        }
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let after = self.patience.timeout;
        let late = |_| Err(TransportErrorKind::custom(Silent { after }));
        timeout(after, work).await.unwrap_or_else(late)
    }

    fn again(&self, error: &TransportError) -> bool {
        match error {
            RpcError::Transport(kind) if is_silence(kind) => self.patience.silence,
            RpcError::Transport(kind) => match kind.as_http_error() {
                Some(http) => http.status >= 500 || too_fast().should_retry(error),
                None => !kind.is_non_retryable(),
            },
            _ => too_fast().should_retry(error),
        }
    }
}

async fn socket(
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

fn is_silence(kind: &TransportErrorKind) -> bool {
    kind.as_custom().is_some_and(|error| error.is::<Silent>())
}

/// Knows what nodes say to whom asks too often, each in its own words.
fn too_fast() -> RateLimitRetryPolicy {
    RateLimitRetryPolicy::default()
}
