//! The payment modules and a whole market against an anvil node.

#![cfg(all(feature = "chain", feature = "rpc"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cheques;
mod market;
#[path = "../../../cheque/tests/support/node.rs"]
mod node;
mod provider;
mod receiving;
#[path = "../../../cheque/tests/support/settle.rs"]
mod settle;
mod transfer_scene;
mod transfer_views;
mod transfers;
