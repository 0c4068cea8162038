//! The ledger behind a live view of a chain.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../cheque/tests/support/node.rs"]
mod node;
mod selling;
