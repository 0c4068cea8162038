//! Errors of requests to a node.

use crate::{node::redact::without_secrets, protocol::revert::Revert};
use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use std::sync::Arc;

/// The reason why a request to a node failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The URL has a scheme other than http, https, ws and wss.
    #[error("{url:?} is not the URL of a node; give an http, https, ws or wss URL")]
    Url {
        /// The given URL up to its host, since URLs may contain keys. Empty without a host.
        url: String,
    },
    /// The list of nodes is empty.
    #[error("no node was named; give the URL of at least one")]
    NoNode,
    /// The named nodes follow different chains.
    #[error(
        "node {node} follows chain {chain}, but node {other_node} follows chain {other_chain}; name nodes of one chain"
    )]
    MixedChains {
        /// The first node that answers, counted from 1.
        node: usize,
        /// Its chain.
        chain: u64,
        /// Another node, counted from 1.
        other_node: usize,
        /// Its chain.
        other_chain: u64,
    },
    /// The node could not be reached, or refused the request.
    #[error("the request to the node failed: {0}")]
    Rpc(#[source] Arc<TransportError>),
    /// A contract reverted the call.
    #[error("{0}")]
    Reverted(Revert),
}

impl From<TransportError> for NodeError {
    fn from(error: TransportError) -> Self {
        if let RpcError::ErrorResp(response) = &error
            && let Some(data) = response.as_revert_data()
        {
            return Self::Reverted(Revert(data));
        }
        // Transport errors may repeat the node's URL, which may contain keys.
        Self::Rpc(Arc::new(match error {
            RpcError::Transport(TransportErrorKind::Custom(source)) => {
                TransportErrorKind::custom_str(&without_secrets(&source.to_string()))
            }
            RpcError::Transport(
                TransportErrorKind::HttpError(http)
                | TransportErrorKind::HttpErrorWithRetryAfter { error: http, .. },
            ) => TransportErrorKind::custom_str(&format!("HTTP status {}", http.status)),
            RpcError::DeserError { err, .. } => {
                TransportErrorKind::custom_str(&format!("cannot read the answer: {err}"))
            }
            other => other,
        }))
    }
}

impl NodeError {
    /// True if the node answered with an error, false if the node could not be reached or its answer could not be read.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Rpc(error) => error.is_error_resp(),
            Self::Reverted(_) => true,
            Self::Url { .. } | Self::NoNode | Self::MixedChains { .. } => false,
        }
    }
}
