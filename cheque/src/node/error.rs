//! Errors of requests to a node.

use crate::{
    http_client::words_of,
    node::{dialect::refuses_request, redact::without_secrets},
    protocol::revert::Revert,
};
use alloy::{
    rpc::json_rpc::ErrorPayload,
    transports::{RpcError, TransportError, TransportErrorKind},
};
use std::{sync::Arc, time::Duration};

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
    /// The node could not be reached, refused the request, or gave an answer that cannot be read.
    // Not a source: the error is told once.
    #[error("the request to the node failed: {}", told(.0))]
    Rpc(Arc<TransportError>),
    /// The node, or a server before it, answered with an HTTP status in place of a result.
    #[error("{}", told_status(*.status, .words, *.retry_after))]
    Http {
        /// The status.
        status: u16,
        /// The server's own words, without markup. May be empty.
        words: String,
        /// The pause that the server demands.
        retry_after: Option<Duration>,
    },
    /// A contract reverted the call.
    #[error("{0}")]
    Reverted(Revert),
}

impl From<TransportError> for NodeError {
    fn from(error: TransportError) -> Self {
        if let RpcError::ErrorResp(response) = &error {
            if let Some(data) = response.as_revert_data() {
                return Self::Reverted(Revert(data));
            }
            if let Some(status) = status_of(response) {
                return Self::Http {
                    status,
                    words: words_of(&without_secrets(&response.message)),
                    retry_after: None,
                };
            }
        }
        if let RpcError::Transport(kind) = &error
            && let Some(http) = kind.as_http_error()
        {
            return Self::Http {
                status: http.status,
                words: words_of(&without_secrets(&http.body)),
                retry_after: kind.retry_after(),
            };
        }
        // Transport errors may repeat the node's URL, which may contain keys.
        Self::Rpc(Arc::new(match error {
            RpcError::Transport(TransportErrorKind::Custom(source)) => {
                TransportErrorKind::custom_str(&without_secrets(&source.to_string()))
            }
            RpcError::DeserError { err, text } if text.trim_start().starts_with('<') => {
                let page = words_of(&without_secrets(&text));
                TransportErrorKind::custom_str(&format!(
                    "the answer is a web page ({page}), not JSON; check the URL and what answers there: {err}"
                ))
            }
            RpcError::DeserError { err, .. } => {
                TransportErrorKind::custom_str(&format!("cannot read the answer: {err}"))
            }
            other => other,
        }))
    }
}

impl NodeError {
    /// True if the node answered with an error, false if the node could not be reached or its answer could not be read.
    ///
    /// An HTTP status is a refusal if it says something about the request, such as 403 for old state. It is not
    /// if all requests would get the same, such as 401 or 429.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Rpc(error) => error.is_error_resp(),
            Self::Http { status, .. } => refuses_request(*status),
            Self::Reverted(_) => true,
            Self::Url { .. } | Self::NoNode | Self::MixedChains { .. } => false,
        }
    }
}

/// Returns the HTTP status that is the code of a refusal. JSON-RPC has negative codes.
pub(super) fn status_of(refusal: &ErrorPayload) -> Option<u16> {
    let status = u16::try_from(refusal.code).ok()?;
    (400..600).contains(&status).then_some(status)
}

/// Tells an error without the phrases of the transport around it.
fn told(error: &TransportError) -> String {
    match error {
        RpcError::ErrorResp(refusal) => {
            let message = without_secrets(&refusal.message);
            format!("{message} (code {})", refusal.code)
        }
        other => other.to_string(),
    }
}

/// Tells an HTTP status, the server's words and the next step.
fn told_status(status: u16, words: &str, retry_after: Option<Duration>) -> String {
    let said = match words {
        "" => String::new(),
        words => format!(": {words}"),
    };
    let (fact, step) = match status {
        401 => (
            "the node wants other credentials",
            "check the key in the node's URL",
        ),
        402 => (
            "the node wants to be paid",
            "check the plan of the node's key",
        ),
        403 | 451 => (
            "the node forbids the request",
            "check the plan of the node's key, or name another node, too",
        ),
        404 => (
            "no node answers at this URL",
            "check the path of the node's URL",
        ),
        407 => (
            "the proxy wants credentials",
            "check the proxy of the environment",
        ),
        429 => (
            "the node limits the rate of requests",
            "wait, or name another node, too",
        ),
        500.. => ("the node has failed", "retry, or name another node, too"),
        _ => ("the node refuses the request", "name another node, too"),
    };
    let pause = retry_after.map(|pause| format!("retry in {} s, or ", pause.as_secs()));
    let step = match pause {
        Some(pause) => format!("{pause}name another node, too"),
        None => step.to_owned(),
    };
    format!("{fact} (HTTP status {status}){said}; {step}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    fn http(status: u16, body: &str, retry_after: Option<u64>) -> NodeError {
        let pause = retry_after.map(Duration::from_secs);
        TransportErrorKind::http_error_with_retry_after(status, body.to_owned(), pause).into()
    }

    fn refusal(code: i64, message: &'static str) -> NodeError {
        let (message, data) = (message.into(), None);
        RpcError::ErrorResp(ErrorPayload {
            code,
            message,
            data,
        })
        .into()
    }

    #[test]
    fn tells_the_words_of_the_node_once_with_the_next_step() {
        let page = "<html><title>Attention Required! | Cloudflare</title></html>";
        for (error, told) in [
            (
                http(403, "archive is not on this plan", None),
                "the node forbids the request (HTTP status 403): archive is not on this plan; check the plan of the node's \
                 key, or name another node, too",
            ),
            (
                refusal(403, "archive is not on this plan"),
                "the node forbids the request (HTTP status 403): archive is not on this plan; check the plan of the node's \
                 key, or name another node, too",
            ),
            (
                http(401, "{\"message\":\"no such key\"}", None),
                "the node wants other credentials (HTTP status 401): no such key; check the key in the node's URL",
            ),
            (
                http(429, "slow down", Some(30)),
                "the node limits the rate of requests (HTTP status 429): slow down; retry in 30 s, or name another node, too",
            ),
            (
                http(503, page, None),
                "the node has failed (HTTP status 503): Attention Required! | Cloudflare; retry, or name another node, too",
            ),
            (
                http(404, "", None),
                "no node answers at this URL (HTTP status 404); check the path of the node's URL",
            ),
            (
                refusal(-32_000, "missing trie node"),
                "the request to the node failed: missing trie node (code -32000)",
            ),
        ] {
            assert_eq!(error.to_string(), told);
            assert!(error.source().is_none(), "told again: {error}");
        }
    }

    #[test]
    fn tells_refused_requests_from_failed_nodes() {
        for (error, is_refusal) in [
            (http(403, "", None), true),
            (http(413, "", None), true),
            (refusal(403, ""), true),
            (refusal(-32_000, ""), true),
            (http(401, "", None), false),
            (http(404, "", None), false),
            (http(429, "", Some(1)), false),
            (http(502, "", None), false),
            (TransportErrorKind::custom_str("cut").into(), false),
        ] {
            assert_eq!(error.is_refusal(), is_refusal, "{error}");
        }
    }
}
