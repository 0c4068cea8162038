//! `cheque chain check`, and chains that are not listed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::{Machine, Node, program, stderr, text};

/// Checks the chain of a node without watching it. Returns the exit code and the result.
fn check(node: &Node) -> (Option<i32>, Value) {
    let url = node.url();
    let args = [
        "--json",
        "chain",
        "check",
        "--watch",
        "0",
        "--rpc-url",
        &url,
    ];
    let output = program().args(args).output().unwrap();
    let found = serde_json::from_slice(&output.stdout);
    let found = found.unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    (output.status.code(), found)
}

#[test]
fn finds_all_that_a_bank_needs() {
    let node = Node::start();
    let (code, found) = check(&node);
    assert_eq!((code, &found["can_run_bank"]), (Some(0), &json!(true)));
    assert_eq!(
        (&found["name"], &found["chain"]),
        (&json!("local"), &json!(31_337))
    );
    for name in [
        "eip2537",
        "subgroup",
        "transient_storage",
        "fee_history",
        "eth_config",
    ] {
        assert_eq!(found[name]["value"], json!(true), "{name}: {found}");
    }
    assert_eq!(found["batch_size"]["value"], json!(100));
    assert_eq!(found["log_range"]["value"], json!(100_000));
    assert_eq!(found["fees"]["value"], json!("plain"));
    // This node's final block is 64 blocks ago, or the first.
    assert_eq!(found["finalized"]["verdict"], json!("ok"), "{found}");
    assert_eq!(found["bank"]["value"], json!(false));
    assert_eq!(node.head(), 0, "nothing may be sent");

    node.machine(0).ok(&["deploy"]);
    assert_eq!(check(&node).1["bank"]["value"], json!(true));
}

#[test]
fn reports_a_chain_that_cannot_verify_the_beacon() {
    let node = Node::before_prague();
    let (code, found) = check(&node);
    assert_eq!((code, &found["can_run_bank"]), (Some(1), &json!(false)));
    for name in ["eip2537", "subgroup"] {
        assert_eq!(found[name]["verdict"], json!("missing"), "{found}");
        let reason = found[name]["text"].as_str().unwrap();
        assert!(reason.contains("EIP-2537"), "{reason}");
    }
    assert_eq!(found["transient_storage"]["value"], json!(true));
    let times = ["--confirm", "1s", "--finality", "1m"];
    let deploy = node
        .machine(0)
        .fails(1, &[&["deploy"][..], &times].concat());
    assert!(deploy.contains("EIP-2537"), "{deploy}");
}

#[test]
fn deploys_nothing_on_a_chain_before_cancun() {
    let node = Node::before_cancun();
    let machine = node.machine(0);
    let settings = machine.settings();
    let settings = settings.each_ref().map(String::as_str);
    for settings in [&[][..], &settings] {
        for dry_run in [&[][..], &["--dry-run"]] {
            let refused = machine.fails(1, &[&["deploy"], settings, dry_run].concat());
            assert!(refused.contains("`cheque chain check`"), "{refused}");
        }
    }
    let demo = ["demo", "--rpc-url", &node.url(), "--payees", "4"];
    let refused = machine.fails(1, &demo);
    assert!(refused.contains("`cheque chain check`"), "{refused}");
    assert_eq!((node.head(), node.nonce(0)), (0, json!("0x0")));
}

#[test]
fn warns_of_blocks_older_than_services_allow() {
    let node = Node::of_chain(100);
    // The clock of this machine is then far behind the chain's.
    node.advance(3_600);
    let (code, found) = check(&node);
    assert_eq!((code, &found["listed"]), (Some(0), &json!(false)));
    assert_eq!(found["head"]["verdict"], json!("warning"), "{found}");
    let ahead = found["head"]["value"]["max_ahead"].as_u64().unwrap();
    assert!((3_500..=3_600).contains(&ahead), "{ahead}");
}

#[test]
fn watches_the_chain_for_a_time() {
    let node = Node::start();
    let output = program()
        .args(["chain", "check", "--watch", "3s", "--rpc-url", &node.url()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("watching the chain for 3s"));
    let shown = text(&output.stdout);
    assert!(shown.contains("0 blocks in 3s"), "{shown}");
    assert!(shown.ends_with("A bank can run on this chain."), "{shown}");
}

#[test]
fn uses_an_unlisted_chain_only_with_its_times() {
    let node = Node::of_chain(100);
    let machine = node.machine(0);
    let refused = |machine: &Machine, args: &[&str]| {
        let message = machine.fails(1, &[&["balance"], args].concat());
        for part in [
            "chain 100 is not listed",
            "--confirm",
            "--finality",
            "`cheque chain check`",
        ] {
            assert!(message.contains(part), "{message}");
        }
    };
    refused(&machine, &[]);
    refused(&machine, &["--confirm", "10s"]);
    refused(&machine, &["--finality", "20m"]);
    let times = ["--confirm", "10s", "--finality", "20m"];
    // The tests' bank has a lead of seconds, so payees refuse it.
    let settings = machine.settings();
    let settings = settings.each_ref().map(String::as_str);
    let deploy = machine.output(&[&["deploy"][..], &settings, &times].concat());
    assert!(deploy.status.success(), "{}", stderr(&deploy));
    let warning = stderr(&deploy);
    assert!(warning.contains("payees refuse this bank"), "{warning}");
    machine.ok(&[&["balance", "--chain", "100"][..], &times].concat());
    let text = "A".repeat(100);
    let payee = ["receive", &text, "--payee", &machine.address];
    let message = machine.fails(3, &[&payee[..], &times].concat());
    assert!(message.contains("not a proof"), "{message}");
    let run = ["payee", "run", "--create-store", "--listen", "127.0.0.1:0"];
    let message = machine.fails(1, &[&run[..], &times].concat());
    assert!(
        message.contains("use a bank with a longer lead"),
        "{message}"
    );
}
