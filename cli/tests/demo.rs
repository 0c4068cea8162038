//! `cheque demo`, on a node of the test and on one of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::process::Command;

use common::{Node, program, stderr, text};
use serde_json::{Value, json};

#[test]
fn the_demo_reports_every_round_and_conserves_money() {
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
            "everybody is paid once"
        );
        assert_eq!(round["winner"].is_null(), round["payout"] == json!("0"));
    }
    for operation in ["deploy", "fund", "open", "reopen", "record_seed"] {
        assert!(
            report["gas"][operation].as_u64() > Some(21_000),
            "{operation}: {report}"
        );
    }
    // What the payees have won is in the bank, and nothing else.
    let kept = &report["balances"]["bank"]["after"];
    assert_eq!(kept, &report["payout"]);
}

#[test]
fn the_demo_is_the_same_for_the_same_seed_but_for_the_draw() {
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
fn the_demo_starts_a_node_of_its_own_and_tells_people_where_the_money_went() {
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
fn without_a_node_the_demo_says_how_to_get_one() {
    let elsewhere = tempfile::tempdir().unwrap();
    // A program outside of the project, without anything on PATH.
    let copy = elsewhere.path().join("cheque");
    std::fs::copy(env!("CARGO_BIN_EXE_cheque"), &copy).unwrap();
    let output = Command::new(copy)
        .arg("demo")
        .env_clear()
        .current_dir(elsewhere.path())
        .output();
    let said = stderr(&output.unwrap());
    assert!(
        said.contains("npm ci") && said.contains("--rpc-url"),
        "{said}"
    );
}
