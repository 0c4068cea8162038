//! Payer and payee against a real node.

#![cfg(all(feature = "client", feature = "local-beacon", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clocks;
mod concurrent_payments;
mod deposits;
#[path = "../support/disk.rs"]
mod disk;
mod draws;
#[cfg(feature = "service")]
mod event_searches;
mod failover;
#[cfg(feature = "service")]
mod fast_chains;
mod faults;
#[path = "../support/fixtures.rs"]
mod fixtures;
mod full_disk;
mod gas_limits;
mod heads;
mod history;
#[path = "../support/host_balance.rs"]
mod host_balance;
#[cfg(feature = "service")]
#[path = "../support/interrupt.rs"]
mod interrupt;
mod irreversible;
#[path = "../support/late_receipts.rs"]
mod late_receipts;
mod named_payments;
mod network;
#[path = "../support/node.rs"]
mod node;
#[cfg(feature = "service")]
mod node_answers;
mod node_refusals;
mod over;
#[cfg(feature = "service")]
mod payee_batches;
#[cfg(feature = "service")]
mod payee_clocks;
#[cfg(feature = "service")]
mod payee_fees;
#[cfg(feature = "service")]
mod payee_nodes;
#[cfg(feature = "service")]
mod payee_recovery;
#[cfg(feature = "service")]
mod payee_reorgs;
#[cfg(feature = "service")]
mod payee_service;
#[cfg(feature = "service")]
#[path = "../support/payee_steps.rs"]
mod payee_steps;
#[cfg(feature = "service")]
mod payee_stuck;
#[cfg(feature = "service")]
mod payee_wallet;
mod payer_clocks;
#[cfg(feature = "service")]
mod payer_health;
#[cfg(feature = "service")]
mod payer_kills;
mod payer_node;
#[cfg(feature = "service")]
mod payer_past;
#[cfg(feature = "service")]
mod payer_service;
#[cfg(feature = "service")]
mod payer_stuck;
mod payments;
mod pieces;
#[path = "../support/proxied.rs"]
mod proxied;
#[path = "../support/proxy.rs"]
mod proxy;
mod pruning;
mod quicknet;
mod rates;
mod receipts;
#[cfg(feature = "service")]
#[path = "../support/relay.rs"]
mod relay;
#[cfg(feature = "service")]
mod relays;
mod reorgs;
mod restarts;
mod rounds;
#[cfg(feature = "service")]
#[path = "../support/settle.rs"]
mod settle;
#[cfg(feature = "service")]
mod short_rounds;
mod tokens;
#[path = "../support/transactions.rs"]
mod transactions;
mod unknown_deposits;
#[cfg(feature = "service")]
#[path = "../support/utc.rs"]
mod utc;
