//! The nodes of `--rpc-url`: several of them, and those behind a proxy.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Node, stderr};

/// The URL of a port without a listener.
const DEAD: &str = "http://127.0.0.1:9";

#[test]
fn skips_a_dead_node_among_several() {
    let node = Node::start();
    let machine = node.machine(0);
    machine.deploy();
    let alone = machine.json(&["balance"]);
    let url = node.url();
    let both = format!("{DEAD},{url}");
    for urls in [&["--rpc-url", DEAD, "--rpc-url", &url][..], &["-r", &both]] {
        let args = [&["balance"][..], urls].concat();
        assert_eq!(machine.json(&args), alone);
    }
    let output = machine
        .command(&["balance"])
        .env("ETH_RPC_URL", &both)
        .output();
    assert!(output.unwrap().status.success());
    machine.ok(&["fund", "0.1ether", "-r", &both]);
    assert_ne!(machine.json(&["balance"]), alone);

    let output = machine.output(&["balance", "-r", &format!("{DEAD},{DEAD}")]);
    assert!(!output.status.success());
    let message = stderr(&output);
    assert!(message.contains("cannot connect to the node"), "{message}");
    assert!(message.contains("--rpc-url"), "{message}");
}

#[test]
fn uses_no_proxy_of_the_environment_to_reach_this_machine() {
    let node = Node::start();
    let machine = node.machine(0);
    machine.deploy();
    let alone = machine.json(&["balance"]);
    for name in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        let mut command = machine.command(&["--json", "balance"]);
        let output = command.env(name, DEAD).output().unwrap();
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found, alone);
    }
}

#[test]
fn names_the_proxy_through_which_no_answer_came() {
    let node = Node::start();
    let machine = node.machine(0);
    for (variable, url) in [
        ("http_proxy", "http://node.example/key"),
        ("https_proxy", "https://node.example/key"),
    ] {
        let mut command = machine.command(&["balance", "--rpc-url", url]);
        let output = command
            .env(variable, "http://user:password@127.0.0.1:9")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert!(
            message.contains("through the proxy 127.0.0.1:9"),
            "{message}"
        );
        assert!(message.contains("NO_PROXY"), "{message}");
        for secret in ["password", "key"] {
            assert!(!message.contains(secret), "{message}");
        }
        assert_eq!(message.matches("refused").count(), 1, "{message}");
    }
}
