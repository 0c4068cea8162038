//! A transport to several nodes of one chain.
//!
//! One node answers every request until it fails. Alloy's own fallback asks several nodes at once and takes the first
//! answer, so a snapshot of the chain would mix nodes: a purse at a block unknown to the next node, or time that goes back.

use crate::node::endpoint::Endpoint;
use alloy::{
    providers::Provider,
    pubsub::Subscription,
    rpc::{
        json_rpc::{Id, Request, RequestPacket, ResponsePacket, RpcError},
        types::Header,
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use alloy_primitives::U64;
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::mpsc;
use tower::Service;

tokio::task_local! {
    /// The node that answers in this scope.
    static PINNED: RefCell<Option<Pinned>>;
}

/// The node of a scope.
struct Pinned {
    nodes: Nodes,
    index: usize,
    /// True if the node has refused a request of the scope.
    refused: bool,
}

/// Runs `work` with all its requests answered by the same node of several
/// ([`connect_all`](crate::node::connect::connect_all)). If the node fails, so does the request, and the next scope begins
/// with another node. So it does if the node refuses a request and `work` fails: another node may have what this one lacks.
///
/// Use a scope to conclude something from several answers: two nodes may follow different forks.
///
/// # Errors
///
/// The error of `work`.
pub async fn pin_node<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    // On the heap: a scope is a large part of every task, and of its stack while the task begins.
    let work = Box::pin(work);
    let scope = async {
        let result = work.await;
        if result.is_err() {
            leave_refusing_node();
        }
        result
    };
    PINNED.scope(RefCell::new(None), scope).await
}

fn leave_refusing_node() {
    let pinned = PINNED.try_with(RefCell::take).ok().flatten();
    if let Some(pinned) = pinned.filter(|pinned| pinned.refused) {
        pinned.nodes.fail_over(pinned.index);
    }
}

/// Returns the number of requests in the largest batch that the node behind a provider of
/// [`connect`](crate::node::connect::connect) was found to answer. `None` if the node has refused no batch in the last hour.
///
/// Batches are divided accordingly, so a small number makes looks at the chain slow, and nothing fails.
pub fn batch_limit(provider: &impl Provider) -> Option<usize> {
    Nodes::of(provider)?.batch_limit()
}

/// A node follows another chain than the others.
#[derive(Debug, thiserror::Error)]
#[error("the node follows chain {found}, but the others follow chain {expected}")]
struct OtherChain {
    expected: u64,
    found: u64,
}

/// A transport to the nodes of one chain: stays with one node until it fails, then goes to the next.
#[derive(Clone, Debug)]
pub(crate) struct Nodes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nodes: Vec<Node>,
    current: AtomicUsize,
    /// The chain id of all nodes. `None` for a single node, whose chain the caller checks.
    chain_id: Option<u64>,
}

#[derive(Debug)]
struct Node {
    endpoint: Arc<Endpoint>,
    /// True if the chain id was checked since the node's last failure.
    checked: AtomicBool,
}

impl Nodes {
    /// Creates the transport to a single node.
    pub(crate) fn single(endpoint: Endpoint) -> Self {
        Self::new(vec![Arc::new(endpoint)], None)
    }

    /// Creates the transport to several nodes, any of which may be down.
    pub(crate) fn several(endpoints: Vec<Arc<Endpoint>>, chain_id: u64) -> Self {
        Self::new(endpoints, Some(chain_id))
    }

    fn new(endpoints: Vec<Arc<Endpoint>>, chain_id: Option<u64>) -> Self {
        let nodes = endpoints.into_iter().map(|endpoint| Node {
            endpoint,
            checked: AtomicBool::new(false),
        });
        Self(Arc::new(Inner {
            nodes: nodes.collect(),
            current: AtomicUsize::new(0),
            chain_id,
        }))
    }

    /// Returns the nodes behind a provider, if [`connect`](crate::node::connect) made it.
    pub(crate) fn of(provider: &impl Provider) -> Option<Self> {
        let client = provider.client();
        client.transport().as_any().downcast_ref::<Self>().cloned()
    }

    /// Returns the index of the node that answers outside of scopes.
    pub(crate) fn current(&self) -> usize {
        self.0.current.load(Ordering::Acquire)
    }

    /// Returns the largest batch that the current node was found to answer, if it has refused a larger one.
    fn batch_limit(&self) -> Option<usize> {
        self.0.nodes.get(self.current())?.endpoint.batch_limit()
    }

    /// Goes to the next node, because an answer of this scope's node cannot be true.
    pub(crate) fn distrust(&self) {
        self.fail_over(self.pinned().unwrap_or_else(|| self.current()));
    }

    /// Subscribes to new heads at the current node, and returns its index. `None` if the node has no subscriptions.
    pub(crate) async fn heads(
        &self,
    ) -> Option<(usize, Result<Subscription<Header>, TransportError>)> {
        let index = self.current();
        let heads = self.0.nodes.get(index)?.endpoint.heads().await?;
        Some((index, heads))
    }

    async fn ask(&self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let count = self.0.nodes.len();
        if count > 1 && is_transaction(&request) {
            return self.broadcast(request).await;
        }
        if let Some(index) = self.pinned() {
            let answer = self.ask_one(index, &request).await;
            if answer.as_ref().is_ok_and(is_refused) {
                self.pin(index, true);
            }
            return answer;
        }
        // The answer of a node that lacks what was asked for. The next node may have it.
        let mut lacking: Option<(usize, ResponsePacket)> = None;
        let mut last = TransportErrorKind::backend_gone();
        let first = self.current();
        for index in (0..count).map(|step| (first + step) % count) {
            match self.ask_one(index, &request).await {
                Ok(answer) if !is_refused(&answer) && !lacks_item(&request, &answer) => {
                    if let Some((before, answer)) = lacking
                        && is_refused(&answer)
                    {
                        self.switch(before, index);
                    }
                    self.pin(index, false);
                    return Ok(answer);
                }
                Ok(answer) => {
                    lacking.get_or_insert((index, answer));
                }
                Err(error) => last = error,
            }
        }
        let (index, answer) = lacking.ok_or(last)?;
        self.pin(index, is_refused(&answer));
        Ok(answer)
    }

    /// Sends a signed transaction to all nodes: a transaction known to a single node would be lost if that node fails.
    ///
    /// Returns the first acceptance; else a node's refusal, which says more than a transport error; else the first
    /// transport error.
    async fn broadcast(&self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let count = self.0.nodes.len();
        let (answers, mut received) = mpsc::channel(count);
        for index in 0..count {
            let (nodes, request, answers) = (self.clone(), request.clone(), answers.clone());
            // A task for each, so that slow nodes get the transaction even after this function has returned.
            tokio::spawn(async move {
                let answer = nodes.ask_one(index, &request).await;
                let _ = answers.send(answer).await;
            });
        }
        drop(answers);
        let mut result = Err(TransportErrorKind::backend_gone());
        while let Some(answer) = received.recv().await {
            match answer {
                Ok(accepted) if accepted.is_success() => return Ok(accepted),
                Ok(refused) => result = Ok(refused),
                Err(error) if result.is_err() => result = Err(error),
                Err(_) => {}
            }
        }
        result
    }

    async fn ask_one(
        &self,
        index: usize,
        request: &RequestPacket,
    ) -> Result<ResponsePacket, TransportError> {
        let gone = TransportErrorKind::backend_gone;
        let node = self.0.nodes.get(index).ok_or_else(gone)?;
        let answer = async {
            self.check_chain(node).await?;
            node.endpoint.ask(request).await
        };
        answer.await.inspect_err(|_| self.fail_over(index))
    }

    /// Checks the chain id of a node that has failed or was never asked: it may come back on another chain.
    async fn check_chain(&self, node: &Node) -> Result<(), TransportError> {
        let Some(expected) = self.0.chain_id else {
            return Ok(());
        };
        if node.checked.load(Ordering::Acquire) {
            return Ok(());
        }
        let found = chain_id(&node.endpoint).await?;
        if found != expected {
            return Err(TransportErrorKind::custom(OtherChain { expected, found }));
        }
        node.checked.store(true, Ordering::Release);
        Ok(())
    }

    /// Sends further requests to the node after `index`, unless another task has already switched.
    fn fail_over(&self, index: usize) {
        if let Some(node) = self.0.nodes.get(index) {
            node.checked.store(false, Ordering::Release);
        }
        self.switch(index, (index + 1) % self.0.nodes.len());
    }

    fn switch(&self, from: usize, to: usize) {
        let current = &self.0.current;
        // Fails if another task has switched before.
        let _ = current.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    fn pinned(&self) -> Option<usize> {
        let index = |pinned: &RefCell<Option<Pinned>>| {
            let pinned = pinned.borrow();
            let own = pinned.as_ref();
            own.filter(|pinned| pinned.nodes.address() == self.address())
                .map(|pinned| pinned.index)
        };
        PINNED.try_with(index).ok().flatten()
    }

    fn pin(&self, index: usize, refused: bool) {
        let pinned = Pinned {
            nodes: self.clone(),
            index,
            refused,
        };
        // Fails outside of a scope, without a node to pin.
        let _ = PINNED.try_with(|scope| scope.replace(Some(pinned)));
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Service<RequestPacket> for Nodes {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let nodes = self.clone();
        Box::pin(async move { nodes.ask(request).await })
    }
}

/// Asks a node for its chain id.
pub(crate) async fn chain_id(endpoint: &Endpoint) -> Result<u64, TransportError> {
    let request = Request::new("eth_chainId", Id::Number(0), ());
    let request = request.serialize().map_err(RpcError::SerError)?;
    let answer = endpoint.ask(&RequestPacket::Single(request)).await?;
    let payload = answer.first_payload().ok_or(RpcError::NullResp)?;
    if let Some(refusal) = payload.as_error() {
        return Err(RpcError::ErrorResp(refusal.clone()));
    }
    let id = payload.try_success_as::<U64>().ok_or(RpcError::NullResp)?;
    let id = id.map_err(|source| RpcError::deser_err(source, "a chain id"))?;
    Ok(id.to())
}

fn is_transaction(request: &RequestPacket) -> bool {
    let single = request.as_single();
    single.is_some_and(|request| request.method() == "eth_sendRawTransaction")
}

/// True if the node refused a request for a reason of its own. A revert is an answer, which all nodes give.
fn is_refused(answer: &ResponsePacket) -> bool {
    answer.iter_errors().any(|error| {
        let is_revert = error.as_revert_data().is_some() || error.message.contains("revert");
        !is_revert
    })
}

/// True if the node does not have a block, transaction or receipt.
fn lacks_item(request: &RequestPacket, answer: &ResponsePacket) -> bool {
    let is_item = |id: &Id| {
        let asked = request.requests().iter().find(|asked| asked.id() == id);
        asked.is_some_and(|asked| {
            matches!(
                asked.method(),
                "eth_getBlockByHash"
                    | "eth_getBlockByNumber"
                    | "eth_getTransactionByHash"
                    | "eth_getTransactionReceipt"
            )
        })
    };
    answer.responses().iter().any(|answer| {
        let result = answer.payload.as_success();
        result.is_some_and(|result| result.get() == "null") && is_item(&answer.id)
    })
}
