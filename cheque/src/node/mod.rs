//! JSON-RPC transport: HTTP or WebSocket, with timeouts, retries and failover between nodes.
//!
//! [`connect`] returns a provider for one node; [`connect_all`] returns a provider for several nodes, of which one answers
//! until it fails. [`pin_node`] keeps related requests on one node. Answers that deviate from JSON-RPC are read as the node
//! meant them, and batches are as small as the node wants.

mod batches;
mod connect;
mod dialect;
mod endpoint;
pub(crate) mod error;
pub(crate) mod failover;
pub(crate) mod redact;

pub use connect::{connect, connect_all, connect_within};
pub use error::NodeError;
pub use failover::{batch_limit, pin_node};
