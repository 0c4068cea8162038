//! Connecting to nodes.

use crate::node::{
    endpoint::{Endpoint, Limits},
    error::NodeError,
    failover::{Nodes, chain_id},
};
use alloy::{
    providers::{DynProvider, Provider, RootProvider},
    rpc::client::RpcClient,
    transports::TransportErrorKind,
};
use std::{sync::Arc, time::Duration};

/// Timeout and retries of a request to a single node.
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 4;

/// Timeout and retries of a request to one of several nodes, since another node can answer instead.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(10);
const FAILOVER_RETRIES: u32 = 1;

/// Connects to the node at an http, https, ws or wss URL.
///
/// Retries a request up to 4 times if the transport fails or the node limits the rate of requests. Other errors that the
/// node returns are final. Every request of this crate is idempotent, signed transactions included. After a WebSocket
/// breaks, the next request opens a new connection.
///
/// # Errors
///
/// [`NodeError::Url`] if the URL has another scheme, and [`NodeError::Rpc`] if a WebSocket cannot be opened. Over HTTP the
/// first request makes the connection, so this function does not find out if the node is down.
pub async fn connect(url: &str) -> Result<DynProvider, NodeError> {
    connect_one(url, TIMEOUT).await
}

/// Connects to several nodes of one chain, in order of preference. At least one node must answer now.
///
/// One node answers every request until it fails: a broken or garbled answer, more than 10 s without an answer, or two rate
/// limits in a row. Then the next node takes over, after a check of its chain id. A scope of
/// [`pin_node`](crate::node::pin_node) never mixes the answers of two nodes: if the node fails, so does the scope, and the
/// next scope uses another node. Signed transactions go to all nodes.
///
/// Does not compare the nodes' answers, except for the chain id. A node that turns up later on another chain is skipped.
///
/// # Errors
///
/// [`NodeError::MixedChains`] if two nodes follow different chains, [`NodeError::NoNode`] if `urls` is empty,
/// [`NodeError::Url`] if a URL has another scheme, and [`NodeError::Rpc`] if no node answers. For a single URL, as for
/// [`connect`].
pub async fn connect_all<U: AsRef<str>>(urls: &[U]) -> Result<DynProvider, NodeError> {
    match urls {
        [url] => connect(url.as_ref()).await,
        _ => connect_within(urls, FAILOVER_TIMEOUT).await,
    }
}

/// Connects like [`connect_all`], with `timeout` as the limit for an answer of a node.
///
/// # Errors
///
/// As for [`connect_all`].
pub async fn connect_within<U: AsRef<str>>(
    urls: &[U],
    timeout: Duration,
) -> Result<DynProvider, NodeError> {
    if let [url] = urls {
        return connect_one(url.as_ref(), timeout).await;
    }
    let limits = Limits {
        timeout,
        retries: FAILOVER_RETRIES,
        retry_timeouts: false,
    };
    let endpoint = |url: &U| Ok(Arc::new(Endpoint::new(url.as_ref(), limits)?));
    let endpoints: Vec<_> = urls
        .iter()
        .map(endpoint)
        .collect::<Result<_, NodeError>>()?;
    let chain_id = common_chain(&endpoints).await?;
    Ok(provider(Nodes::several(endpoints, chain_id)))
}

async fn connect_one(url: &str, timeout: Duration) -> Result<DynProvider, NodeError> {
    let limits = Limits {
        timeout,
        retries: RETRIES,
        retry_timeouts: true,
    };
    let endpoint = Endpoint::new(url, limits)?;
    endpoint.connect().await?;
    Ok(provider(Nodes::single(endpoint)))
}

/// Returns the chain id on which all answering nodes agree.
async fn common_chain(endpoints: &[Arc<Endpoint>]) -> Result<u64, NodeError> {
    let answers: Vec<_> = endpoints
        .iter()
        .map(|endpoint| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move { chain_id(&endpoint).await })
        })
        .collect();
    let mut first: Option<(usize, u64)> = None;
    let mut failed = None;
    for (number, answer) in (1..).zip(answers) {
        let answer = answer.await.map_err(TransportErrorKind::custom)?;
        match (answer, first) {
            (Err(error), _) => failed = Some(error),
            (Ok(chain), None) => first = Some((number, chain)),
            (Ok(chain), Some((node, of_first))) if chain != of_first => {
                return Err(NodeError::MixedChains {
                    node,
                    chain: of_first,
                    other_node: number,
                    other_chain: chain,
                });
            }
            (Ok(_), Some(_)) => {}
        }
    }
    let failed = || failed.map_or(NodeError::NoNode, NodeError::from);
    first.map(|(_, chain)| chain).ok_or_else(failed)
}

fn provider(nodes: Nodes) -> DynProvider {
    // `false`: the nodes are not local. The flag only sets alloy's poll interval, and this crate polls by itself.
    RootProvider::new(RpcClient::new(nodes, false)).erased()
}
