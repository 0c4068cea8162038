//! Payers and payees of one process: virtual blocks, a network that loses and doubles, parties that crash. No EVM, no
//! clock, no disk.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod host;
mod payer;

mod delivery;
mod law;
mod tampering;
