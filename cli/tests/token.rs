//! Payments in an ERC-20 token.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use alloy::{
    hex,
    primitives::{Address, U256},
    sol_types::SolValue,
};
use serde_json::{Value, json};
use support::Node;

/// Compiles the mock token of the contracts' tests with the project's compiler.
fn bytecode() -> String {
    let project = support::root();
    let source =
        std::fs::read_to_string(project.join("contracts/test/mocks/TestToken.sol")).unwrap();
    let input = json!({
        "language": "Solidity",
        "sources": { "TestToken.sol": { "content": source } },
        "settings": { "outputSelection": { "*": { "TestToken": ["evm.bytecode.object"] } } },
    });
    let mut compiler = Command::new("node")
        .arg("tools/solc")
        .arg("--standard-json")
        .current_dir(project)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node.js must run");
    let mut stdin = compiler.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output: Value =
        serde_json::from_slice(&compiler.wait_with_output().unwrap().stdout).unwrap();
    let object = &output["contracts"]["TestToken.sol"]["TestToken"]["evm"]["bytecode"]["object"];
    object.as_str().expect("the token must compile").to_owned()
}

/// Deploys a token with 6 decimals and mints a million of it to an account.
fn token(node: &Node, owner: &str) -> String {
    let send = |to: Option<&str>, data: String| -> Value {
        let mut request = json!({ "from": node.address(9), "data": data });
        if let Some(to) = to {
            request["to"] = json!(to);
        }
        let hash = node.rpc("eth_sendTransaction", json!([request]));
        node.rpc("eth_getTransactionReceipt", json!([hash]))
    };
    let create = format!(
        "0x{}{}",
        bytecode(),
        hex::encode(U256::from(6).abi_encode())
    );
    let receipt = send(None, create);
    let token = receipt["contractAddress"].as_str().unwrap();
    let mint = (
        owner.parse::<Address>().unwrap(),
        U256::from(1_000_000_000_000_u64),
    );
    let selector = &alloy::primitives::keccak256("mint(address,uint256)")[..4];
    let input = [selector, &mint.abi_encode_params()].concat();
    assert_eq!(
        send(Some(token), hex::encode_prefixed(input))["status"],
        json!("0x1")
    );
    token.to_owned()
}

#[test]
fn counts_in_token_decimals_from_funding_to_withdrawal() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.deploy();
    let token = token(&node, &payer.address);

    let allowance = format!("{}=400.0", payee.address);
    let create = [
        "deposit",
        "create",
        "--token",
        &token,
        "--allowance",
        &allowance,
    ];
    let create = [&create[..], &["--draw-in", "10m", "--redeem-window", "1h"]].concat();
    let rated = [&create[..], &["--tokens-per-coin", "2500.0"]].concat();
    assert!(payer.fails(1, &create).contains("no rate"));
    let message = payer.fails(1, &rated);
    assert!(
        message.contains("400 tokens of 0x") && message.contains("`cheque fund`"),
        "{message}"
    );

    let planned = payer.json(&["fund", "450.5", "--token", &token, "--dry-run"]);
    assert_eq!(planned["transaction"]["sent"], json!(false));
    assert_eq!(
        payer.json(&["balance", "--token", &token])["balance"],
        json!("0")
    );
    let funded = payer.json(&["fund", "450.5", "--token", &token]);
    assert_eq!(
        (&funded["approval"]["sent"], &funded["amount"]),
        (&json!(true), &json!("450500000"))
    );
    let opened = payer.json(&rated);
    assert_eq!(opened["amount"], json!("400000000"));
    // The default payout is the cost of 50 redemptions, at 2500 tokens per coin.
    let min: u64 = opened["min_payout"].as_str().unwrap().parse().unwrap();
    assert!((1_000_000..400_000_000).contains(&min), "{min}");
    let id = opened["id"].as_str().unwrap();

    let proof = payer.ok(&["write", id, &payee.address, "390.25"]);
    let code = |args: &[&str]| {
        let message = payee.fails(3, &[&["--json", "receive", &proof], args].concat());
        serde_json::from_str::<Value>(&message).unwrap()["code"].clone()
    };
    assert_eq!(code(&[]), json!("token_not_accepted"));
    let named = ["--token", &token];
    let unknown = payee.fails(1, &[&["receive", &proof][..], &named].concat());
    assert!(unknown.contains("--max-exposure"), "{unknown}");
    assert_eq!(
        code(&[&named[..], &["--max-exposure", "400.0"]].concat()),
        json!("token_without_rate")
    );
    let policy = [&named[..], &["--tokens-per-coin", "2500.0"]].concat();
    for (limits, reason) in [
        (&["--max-exposure", "390.249999"][..], "exposure_too_large"),
        (
            &["--max-exposure", "400.0", "--max-deposit", "399.999999"],
            "deposit_too_large",
        ),
    ] {
        assert_eq!(code(&[&policy[..], limits].concat()), json!(reason));
    }
    let accepted = [
        &["receive", &proof][..],
        &policy,
        &["--max-exposure", "400.0"],
    ]
    .concat();
    assert_eq!(payee.json(&accepted)["total"], json!("390250000"));
    // The tables count in the token's decimals, and fit a terminal.
    for table in [payee.ok(&["holdings"]), payer.ok(&["deposit", "list"])] {
        let row = table.lines().nth(1).unwrap();
        assert!(row.contains("390.25  ") || row.contains("400  "), "{table}");
        assert!(row.contains("tokens 0x"), "{table}");
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(120), "{widest:?}: {table}");
    }
    let over = payer.fails(1, &["write", id, &payee.address, "10.0"]);
    assert!(over.contains("9.75 tokens of 0x"), "{over}");
    let none = payer.fails(1, &["withdraw", "1.0", "--token", &token, "--lane", "2"]);
    assert!(none.contains("50.5 tokens of 0x"), "{none}");

    node.advance(601);
    let redeemed = payee.json(&["redeem", id]);
    assert_eq!(redeemed["payout"], json!("390250000"));
    payee.ok(&["withdraw", "90.25", "--token", &token]);
    let balance = payee.json(&["balance", "--token", &token]);
    assert_eq!(
        (&balance["wallet"], &balance["balance"]),
        (&json!("90250000"), &json!("300000000"))
    );
    assert!(
        payee
            .fails(1, &["withdraw", "1ether", "--token", &token])
            .contains("native coin")
    );
}
