//! Payer and payee against a real node.

#![cfg(all(feature = "chain", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cast;
mod deposits;
mod draws;
mod history;
mod lagging;
mod network;
#[path = "../node/mod.rs"]
mod node;
#[cfg(feature = "service")]
mod payee_recovery;
#[cfg(feature = "service")]
mod payee_service;
#[cfg(feature = "service")]
mod payee_wallet;
#[cfg(feature = "service")]
mod payer_kills;
#[cfg(feature = "service")]
mod payer_service;
mod payments;
mod restarts;
mod tokens;
