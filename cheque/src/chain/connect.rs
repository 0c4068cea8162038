//! Connecting to a node.

use super::ChainError;
use alloy::{
    providers::{DynProvider, Provider, RootProvider},
    rpc::client::ClientBuilder,
    transports::{
        RpcError, TransportError, TransportErrorKind,
        http::reqwest::{Client, Url},
        layers::{RateLimitRetryPolicy, RetryBackoffLayer},
        ws::WsConnect,
    },
};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 4;
const BACKOFF_MILLIS: u64 = 300;
/// The retry layer can also spread requests over time to stay within a paid budget; this switches that off.
const UNLIMITED: u64 = 1_000_000;

/// Connects to the node at an http, https, ws or wss URL.
///
/// What fails on the way to the node, and what the node refuses for coming too fast, is tried a few times more. What the
/// node answers is not: a refusal is an answer. Every request that this crate makes may be repeated without harm, signed
/// transactions included.
pub async fn connect(url: &str) -> Result<DynProvider, ChainError> {
    let refused = |url: String| ChainError::Url { url };
    let parsed: Url = url.parse().map_err(|_| refused(String::new()))?;
    let policy = RateLimitRetryPolicy::default().or(lost_on_the_way);
    let retry = RetryBackoffLayer::new_with_policy(RETRIES, BACKOFF_MILLIS, UNLIMITED, policy);
    let client = ClientBuilder::default().layer(retry);
    let client = match parsed.scheme() {
        "http" | "https" => {
            let http = Client::builder().timeout(TIMEOUT).build();
            let http = http.map_err(TransportErrorKind::custom)?;
            client.http_with_client(http, parsed)
        }
        "ws" | "wss" => client.ws(WsConnect::new(url)).await?,
        scheme => {
            let host = parsed.host_str().unwrap_or_default();
            return Err(refused(format!("{scheme}://{host}")));
        }
    };
    Ok(RootProvider::new(client).erased())
}

fn lost_on_the_way(error: &TransportError) -> bool {
    match error {
        RpcError::Transport(TransportErrorKind::HttpError(http)) => http.status >= 500,
        RpcError::Transport(kind) => !kind.is_non_retryable() && kind.as_http_error().is_none(),
        _ => false,
    }
}
