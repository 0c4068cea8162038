//! The way to a node: JSON-RPC over HTTP or WebSocket, with timeouts, retries and several nodes.
//!
//! [`connect`] gives a provider for one node, [`connect_all`] for several of which one answers until it fails.
//! [`pin_node`] keeps related questions on one node.

mod connect;
mod endpoint;
pub(crate) mod error;
pub(crate) mod failover;
pub(crate) mod redact;

pub use connect::{connect, connect_all, connect_within};
pub use error::NodeError;
pub use failover::pin_node;
