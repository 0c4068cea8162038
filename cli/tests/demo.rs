//! `cheque demo`, on the test's node and on a private node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use alloy::{
    hex,
    primitives::{U256, keccak256},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Node, program, stderr, text};

#[test]
fn reports_every_round_and_conserves_money() {
    let node = Node::start();
    let args = [
        "demo",
        "--json",
        "--payees",
        "6",
        "--payments",
        "31",
        "--rounds",
        "2",
        "--seed",
        "9",
    ];
    let output = program()
        .args(args)
        .args(["--rpc-url", &node.url()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["payees"], json!(6));
    assert_eq!(report["payments"], json!(31));
    assert_eq!(report["conserved"], json!(true), "{report}");
    for key in [
        "deposit",
        "paid_expected",
        "winner",
        "payout",
        "gas",
        "rounds",
    ] {
        assert!(report.get(key).is_some(), "{key}");
    }
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    let sum = |key: &str| -> u128 {
        let values = rounds.iter().map(|round| round[key].as_str().unwrap());
        values.map(|value| value.parse::<u128>().unwrap()).sum()
    };
    assert_eq!(
        report["paid_expected"],
        json!(sum("paid_expected").to_string())
    );
    assert_eq!(report["payout"], json!(sum("payout").to_string()));
    for round in rounds {
        let paid = round["paid"].as_array().unwrap();
        assert_eq!(paid.len(), 6);
        assert!(
            paid.iter().all(|paid| paid["total"] != json!("0")),
            "every payee must be paid"
        );
        assert_eq!(round["winner"].is_null(), round["payout"] == json!("0"));
        recompute_draw(round);
    }
    for operation in ["deploy", "fund", "open", "reopen", "record_seed"] {
        assert!(
            report["gas"][operation].as_u64() > Some(21_000),
            "{operation}: {report}"
        );
    }
    // The bank keeps the payouts and nothing else.
    let kept = &report["balances"]["bank"]["after"];
    assert_eq!(kept, &report["payout"]);
}

/// Recomputes a draw by hand, as the report explains it.
fn recompute_draw(round: &Value) {
    let draw = &round["draw"];
    let bytes = |text: &Value| hex::decode(text.as_str().unwrap()).unwrap();
    let units = |text: &Value| text.as_str().unwrap().parse::<U256>().unwrap();
    let randomness = Sha256::digest(bytes(&draw["signature"]));
    assert_eq!(randomness[..], bytes(&draw["randomness"]));
    let hash = keccak256([&randomness[..], &bytes(&round["deposit"])].concat());
    let high = U256::from_be_slice(&hash[..16]);
    assert_eq!(high, units(&draw["high"]));
    let roll = (high * units(&round["amount"])) >> 128;
    assert_eq!(roll, units(&draw["roll"]));
    if !round["winner"].is_null() {
        let start = units(&draw["start"]);
        assert!(
            start <= roll && roll < start + units(&draw["range"]),
            "{draw}"
        );
    }
    // The command of the report verifies the signature.
    let words: Vec<_> = draw["verify"]
        .as_str()
        .unwrap()
        .split(' ')
        .skip(1)
        .collect();
    let verified = program().args(words).arg("--json").output().unwrap();
    assert!(verified.status.success(), "{}", stderr(&verified));
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["randomness"], draw["randomness"]);
    assert_eq!(verified["time"], round["draw_time"]);
}

#[test]
fn refuses_a_chain_of_others() {
    // Everybody knows the draws of the demo in advance.
    let node = Node::of_chain(1_337);
    let demo = program()
        .args(["demo", "--rpc-url", &node.url()])
        .output()
        .unwrap();
    assert_eq!(demo.status.code(), Some(1));
    let message = stderr(&demo);
    assert!(message.contains("follows chain 1337"), "{message}");
    assert_eq!(node.head(), 0);
}

#[test]
fn repeats_all_but_the_draw_for_the_same_seed() {
    let plan = |seed: &str| -> Value {
        let node = Node::start();
        let args = [
            "demo",
            "--json",
            "--payees",
            "3",
            "--payments",
            "9",
            "--rounds",
            "1",
            "--seed",
            seed,
        ];
        let output = program()
            .args(args)
            .args(["--rpc-url", &node.url()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let round = &report["rounds"][0];
        json!([round["amount"], round["paid"], round["cheques"]])
    };
    assert_eq!(plan("5"), plan("5"));
    assert_ne!(plan("5"), plan("6"));
}

#[test]
fn starts_its_own_node_and_accounts_for_all_money() {
    let args = ["demo", "--payees", "4", "--payments", "12", "--rounds", "2"];
    let output = program().args(args).output().unwrap();
    let report = text(&output.stdout);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in [
        "Round 2:",
        "record_seed",
        "money in = money out, to the wei",
        "12 payments took",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn explains_how_to_get_a_node_if_none_is_found() {
    let elsewhere = tempfile::tempdir().unwrap();
    // A copy of the program outside the project, with an empty PATH.
    let copy = elsewhere.path().join("cheque");
    std::fs::copy(env!("CARGO_BIN_EXE_cheque"), &copy).unwrap();
    let output = Command::new(copy)
        .arg("demo")
        .env_clear()
        .current_dir(elsewhere.path())
        .output();
    let message = stderr(&output.unwrap());
    assert!(
        message.contains("make demo") && message.contains("--rpc-url"),
        "{message}"
    );
}
