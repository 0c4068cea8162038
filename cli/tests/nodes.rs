//! Several nodes in `--rpc-url`.

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
