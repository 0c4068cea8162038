//! Health and metrics, shared by the payer's and the payee's service.
//!
//! A service is a loop over a payer's or a payee's verbs for months: it follows the chain, does the due work, and
//! retries failures. Its decisions follow from the store and the chain alone, so the operator can kill and restart a
//! service at any moment. A service never prints and never exits. It logs by `tracing`, with a stable name in the field
//! `event`, and counts by [`metrics`](mod@metrics). Each deposit has a status: its state, the reason, and the next
//! step.

#[cfg(feature = "access")]
pub mod access;
#[cfg(feature = "service")]
pub(crate) mod follower;
#[cfg(feature = "service")]
pub(crate) mod health;
#[cfg(feature = "service")]
pub(crate) mod health_tracker;
#[cfg(feature = "http-server")]
pub mod http;
#[cfg(any(feature = "http-server", feature = "service"))]
pub mod metrics;
#[cfg(feature = "service")]
pub(crate) mod store_probe;
#[cfg(feature = "service")]
pub(crate) mod utc;

#[cfg(feature = "service")]
pub use health::Health;
