//! What the chain says happened.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{Machine, Node};

/// All deposits of the payer that were opened.
pub(crate) fn find(payer: &Machine) -> Value {
    payer.json(&["deposit", "find", "--payer", &payer.address, "--since", "0"])
}

/// No transaction of these accounts failed, as the second one of two for the same purpose would; and no seed, which can be
/// recorded twice, was.
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
