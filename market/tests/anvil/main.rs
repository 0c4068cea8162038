//! The payment modules, and a whole market, against a real node.

#![cfg(all(feature = "chain", feature = "rpc"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cheques;
mod market;
#[path = "../../../cheque/tests/node/mod.rs"]
mod node;
mod provider;
mod receiving;
mod transfers;
