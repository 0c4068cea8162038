//! Compares core and contract: both judge every redemption alike. The contract runs in an EVM of this process.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../support/evm.rs"]
mod evm;
#[path = "../support/random.rs"]
mod random;
mod support;

mod changed_fields;
mod malicious_trees;
mod payer_races;
mod quicknet;
mod random_bytes;
mod random_redemptions;
mod redeem_window;
mod stolen_signer;
mod terms;
mod wrong_proofs;
