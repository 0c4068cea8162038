//! Deposits and transactions on the chain.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Machine, Node};

/// Finds all opened deposits of the payer.
pub(crate) fn find(payer: &Machine) -> Value {
    let all = ["--payer", &payer.address, "--from-block", "0"];
    payer.json(&[&["deposit", "find"], &all[..]].concat())
}

/// Asserts that no transaction of these accounts failed, as the second of two for one purpose would, and that none was
/// sent twice, which the bank would allow for a seed.
pub(crate) fn assert_nothing_was_sent_twice(node: &Node, accounts: &[&str]) {
    let mut calls = BTreeSet::new();
    for number in 0..=node.head() {
        let number = format!("{number:#x}");
        let block = node.rpc("eth_getBlockByNumber", json!([number, true]));
        let transactions = block["transactions"].as_array().expect("transactions");
        let own = transactions.iter().filter(|sent| {
            let from = sent["from"].as_str().unwrap_or_default();
            accounts.contains(&from)
        });
        for sent in own {
            let receipt = node.rpc("eth_getTransactionReceipt", json!([sent["hash"]]));
            assert_eq!(receipt["status"], "0x1", "{sent}");
            let again = !calls.insert((sent["from"].to_string(), sent["input"].to_string()));
            assert!(!again, "sent twice: {sent}");
        }
    }
    assert!(calls.len() > 2, "{}", calls.len());
}
