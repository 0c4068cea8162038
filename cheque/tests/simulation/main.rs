//! Simulates payers and payees in a single process, with virtual blocks, an unreliable network and crashing parties. No
//! EVM, no clock, no disk.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../support/random.rs"]
mod random;
mod support;

mod delivery;
mod expected_value;
mod tampering;
