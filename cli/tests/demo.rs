//! `cheque demo`, on the test's node and on a private node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
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
        json!([round["deposit"], round["paid"], round["draw_block"]])
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
        message.contains("npm ci") && message.contains("--rpc-url"),
        "{message}"
    );
}
