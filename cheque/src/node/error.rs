//! Errors of the way to a node.

use crate::{node::redact::without_secrets, protocol::revert::Revert};
use alloy::transports::{RpcError, TransportError, TransportErrorKind};

/// Why a node gave no answer to a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The URL is no http, https, ws or wss URL.
    #[error("{url:?} is not the URL of a node: http, https, ws or wss")]
    Url {
        /// What was given, up to the host; nothing if it has none.
        url: String,
    },
    /// No node was named.
    #[error("no node was named: give the URL of one at least")]
    NoNode,
    /// The nodes that were named follow different chains.
    #[error(
        "node {node} follows chain {chain} and node {other_node} chain {other_chain}: name nodes of one chain"
    )]
    MixedChains {
        /// The first node that answers, counted from 1.
        node: usize,
        /// Its chain.
        chain: u64,
        /// Another node.
        other_node: usize,
        /// Its chain.
        other_chain: u64,
    },
    /// The node could not be reached, or refused the request.
    #[error("the node: {0}")]
    Rpc(#[source] Box<TransportError>),
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
        // What comes from the way to the node may repeat its URL.
        Self::Rpc(Box::new(match error {
            RpcError::Transport(TransportErrorKind::Custom(source)) => {
                TransportErrorKind::custom_str(&without_secrets(&source.to_string()))
            }
            RpcError::Transport(
                TransportErrorKind::HttpError(http)
                | TransportErrorKind::HttpErrorWithRetryAfter { error: http, .. },
            ) => TransportErrorKind::custom_str(&format!("HTTP status {}", http.status)),
            RpcError::DeserError { err, .. } => {
                TransportErrorKind::custom_str(&format!("an answer that cannot be read: {err}"))
            }
            other => other,
        }))
    }
}

impl NodeError {
    /// True if the node answered with an error, false if it could not be reached or its answer could not be read.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Rpc(error) => error.is_error_resp(),
            Self::Reverted(_) => true,
            Self::Url { .. } | Self::NoNode | Self::MixedChains { .. } => false,
        }
    }
}
