//! The core and the contract judge every redemption alike: both are asked, the contract in an EVM of this process.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod evm;
mod judged;
mod thief;
mod world;

mod agreement;
mod boundaries;
mod bytes;
mod malicious_trees;
mod mutations;
mod races;
mod stolen_signer;
mod terms;
