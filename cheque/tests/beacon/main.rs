//! The client of the beacon against relays over HTTP that are down, late, lying, limited or behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod fixtures;
mod newest;
#[path = "../support/relay.rs"]
mod relay;
mod rounds;
mod waits;
