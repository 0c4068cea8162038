//! Services: the loops that drive a payer's and a payee's verbs for months.
//!
//! A service follows the chain, does what is to be done, and tries again what failed. It holds no state of its own that
//! matters: what it decides follows from the store and the chain, so it can be killed at any moment and started again.
//! It never prints and never exits. It logs by `tracing`, with a stable name in the field `event`, and counts by
//! [`metrics`](mod@metrics); for each deposit it says where it stands, why, and what comes next.

#[cfg(feature = "access")]
pub mod access;
#[cfg(feature = "service")]
pub(crate) mod health;
#[cfg(feature = "service")]
pub(crate) mod health_tracker;
#[cfg(feature = "service")]
pub mod metrics;

#[cfg(feature = "service")]
pub use health::Health;
