//! `cheque payer run`: rounds, and payments over HTTP.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod requests;
mod rounds;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Machine, Node, service::Service};

/// A running payer.
struct Payer(Service);

impl Payer {
    fn start(machine: &Arc<Machine>, flags: &[&str]) -> Self {
        Self(Service::run(machine, "payer", flags, None))
    }

    fn pay(&self, payee: &str, amount: &str) -> (u16, Value) {
        let request = json!({ "payee": payee, "amount": amount });
        self.0.ask("POST", "/cheques", Some(&request))
    }

    fn deposits(&self) -> Vec<Value> {
        let listed = self.0.get("/deposits");
        listed["deposits"].as_array().unwrap().clone()
    }

    /// Waits until the deposit of this index, in the order of draws, is in this state.
    fn wait_for(&self, index: usize, state: &str) -> Value {
        let in_state = || {
            let deposit = self.deposits().get(index)?.clone();
            (deposit["state"] == json!(state)).then_some(deposit)
        };
        support::wait_for(in_state)
            .unwrap_or_else(|| panic!("no deposit is {state}: {:?}", self.0.get("/deposits")))
    }
}

/// Creates a payer with a bank and a file that lists two payees.
fn payer(node: &Node) -> Arc<Machine> {
    let payer = node.machine(0);
    payer.deploy();
    let (first, second) = (node.address(1), node.address(2));
    let list = format!("{first},0.4ether\n{second},0.1ether\n");
    std::fs::write(payer.folder().join("payees.csv"), list).unwrap();
    Arc::new(payer)
}

const ROUNDS: [&str; 6] = [
    "--allowances",
    "payees.csv",
    "--draw-in",
    "10m",
    "--min-payout",
    "0",
];
