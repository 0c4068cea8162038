//! Connecting to nodes.

use crate::node::{
    endpoint::{Endpoint, Patience},
    error::NodeError,
    failover::{Nodes, chain_id},
};
use alloy::{
    providers::{DynProvider, Provider, RootProvider},
    rpc::client::RpcClient,
    transports::TransportErrorKind,
};
use std::{sync::Arc, time::Duration};

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 4;

/// The same where another node can be asked instead.
const TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(10);
const RETRIES_OF_SEVERAL: u32 = 1;

/// Connects to the node at an http, https, ws or wss URL.
///
/// What fails on the way to the node, and what the node refuses for coming too fast, is tried a few times more. What the
/// node answers is not: a refusal is an answer. Every request that this crate makes may be repeated without harm, signed
/// transactions included. A WebSocket that is cut is opened anew by the next request.
pub async fn connect(url: &str) -> Result<DynProvider, NodeError> {
    connect_one(url, TIMEOUT).await
}

/// Connects to several nodes of one chain, at least one of which has to answer now; the order is that of preference.
///
/// One node answers everything until it fails: by a broken or garbled answer, by taking longer than 10 s, or by refusing
/// for coming too fast twice in a row. Then the next one does, after it was asked for its chain. Answers of two nodes are
/// never mixed within one look at the chain: a look that loses its node fails, and the next one has another node. Signed
/// transactions go to all of them.
///
/// A node of another chain than the first that answers is refused as [`NodeError::MixedChains`], and passed over if it
/// shows later. This does not compare what the nodes say beyond that.
pub async fn connect_all<U: AsRef<str>>(urls: &[U]) -> Result<DynProvider, NodeError> {
    match urls {
        [url] => connect(url.as_ref()).await,
        _ => connect_within(urls, TIMEOUT_OF_SEVERAL).await,
    }
}

/// Like [`connect_all`], with another limit of how long a node may take to answer.
pub async fn connect_within<U: AsRef<str>>(
    urls: &[U],
    timeout: Duration,
) -> Result<DynProvider, NodeError> {
    if let [url] = urls {
        return connect_one(url.as_ref(), timeout).await;
    }
    let patience = Patience {
        timeout,
        retries: RETRIES_OF_SEVERAL,
        silence: false,
    };
    let endpoint = |url: &U| Ok(Arc::new(Endpoint::new(url.as_ref(), patience)?));
    let endpoints: Vec<_> = urls
        .iter()
        .map(endpoint)
        .collect::<Result<_, NodeError>>()?;
    let chain_id = common_chain(&endpoints).await?;
    Ok(provider(Nodes::several(endpoints, chain_id)))
}

async fn connect_one(url: &str, timeout: Duration) -> Result<DynProvider, NodeError> {
    let patience = Patience {
        timeout,
        retries: RETRIES,
        silence: true,
    };
    let endpoint = Endpoint::new(url, patience)?;
    endpoint.connect().await?;
    Ok(provider(Nodes::one(endpoint)))
}

/// The chain of all nodes that answer.
async fn common_chain(endpoints: &[Arc<Endpoint>]) -> Result<u64, NodeError> {
    let asked: Vec<_> = endpoints
        .iter()
        .map(|endpoint| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move { chain_id(&endpoint).await })
        })
        .collect();
    let mut first: Option<(usize, u64)> = None;
    let mut failed = None;
    for (number, answer) in (1..).zip(asked) {
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
    // Nodes are asked for blocks, receipts and heads by this crate, so nothing depends on whether they are near.
    RootProvider::new(RpcClient::new(nodes, false)).erased()
}
