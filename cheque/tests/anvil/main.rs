//! Payer and payee against a real node.

#![cfg(all(feature = "client", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cast;
mod clocks;
mod deposits;
#[path = "../common/disk.rs"]
mod disk;
mod draws;
mod failover;
mod faults;
mod full_disk;
mod heads;
mod history;
mod irreversible;
mod lagging;
mod network;
#[path = "../node/mod.rs"]
mod node;
#[cfg(feature = "service")]
mod payee_batches;
#[cfg(feature = "service")]
mod payee_nodes;
#[cfg(feature = "service")]
mod payee_recovery;
#[cfg(feature = "service")]
mod payee_service;
#[cfg(feature = "service")]
mod payee_stuck;
#[cfg(feature = "service")]
mod payee_wallet;
#[cfg(feature = "service")]
mod payer_health;
#[cfg(feature = "service")]
mod payer_kills;
mod payer_node;
#[cfg(feature = "service")]
mod payer_service;
#[cfg(feature = "service")]
mod payer_stuck;
mod payments;
mod pieces;
#[cfg(feature = "postgres")]
#[path = "../postgres/mod.rs"]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "../common/process.rs"]
mod process;
mod proxy;
mod pruning;
mod reorgs;
mod restarts;
mod rounds;
mod strangers;
mod tokens;
#[cfg(feature = "postgres")]
mod workers;
