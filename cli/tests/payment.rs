//! The whole way of a payment over a real node, by two machines that share only the node and the proof's text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Machine, Node, pause, stderr, text};
use serde_json::{Value, json};

/// A payer with an open, active deposit for one payee, and the deposit's id.
fn deposit(node: &Node, payer: &Machine, payee: &str, more: &[&str]) -> String {
    payer.ok(&["deploy"]);
    let allowance = format!("{payee}=0.4ether");
    let args = [
        "deposit",
        "create",
        "--allowance",
        &allowance,
        "--draw-in",
        "40",
    ];
    let opened = payer.json(&[&args[..], &["--redeem-window", "20"], more].concat());
    assert_eq!(opened["transaction"]["sent"], json!(true));
    let head = node.head();
    let draw = opened["draw_block"].as_u64().unwrap();
    assert!((head + 30..=head + 40).contains(&draw), "{opened}");
    opened["id"].as_str().unwrap().to_owned()
}

fn units(value: &Value) -> u128 {
    value
        .as_str()
        .expect("a decimal string")
        .parse()
        .expect("a number")
}

#[test]
fn a_payment_goes_from_deposit_to_payout_between_two_machines() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    // The only payee, and a prize of whatever was spent: it wins for certain.
    let id = deposit(&node, &payer, &payee.address, &["--min-payout", "0"]);
    assert_eq!(
        payer.json(&["deposit", "list"])[0]["state"],
        json!("active")
    );

    let proof = payer.ok(&["write", &id, &payee.address, "0.1ether"]);
    assert!(
        proof
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    );
    let received = payee.json(&["receive", &proof, "--from", &payer.address]);
    assert_eq!(received["total"], json!("100000000000000000"));
    let value = units(&received["value"]);
    // The expected cost of redeeming is taken off.
    assert!(
        (99_000_000_000_000_000..100_000_000_000_000_000).contains(&value),
        "{value}"
    );

    // A further cheque through a pipe, a stream from a file, and a step as an argument.
    let cheque = payer.ok(&["write", &id, &payee.address, "20gwei"]);
    assert!(cheque.len() < 150 * 4 / 3, "a further cheque is short");
    assert!(payee.piped(&cheque, &["receive", "-"]).status.success());
    let stream = payer.ok(&[
        "stream",
        "open",
        &id,
        &payee.address,
        "1000",
        "--steps",
        "50",
    ]);
    let file = payee.folder().join("stream.txt");
    std::fs::write(&file, &stream).unwrap();
    payee.ok(&["receive", file.to_str().unwrap()]);
    let step = payer.ok(&["stream", "step", &id, &payee.address, "7"]);
    let total = units(&payee.json(&["receive", &step])["total"]);
    assert_eq!(total, 100_000_020_000_007_000);
    assert_eq!(payer.ok(&["write", &id, &payee.address, "--again"]), step);

    let ledger = payee.json(&["ledger"]);
    let held = &ledger["deposits"][0];
    assert_eq!(
        (&held["state"], &held["chance"]),
        (&json!("receiving"), &json!("100 %"))
    );
    assert_eq!(
        (units(&held["expected"]), units(&held["variance"])),
        (total, 0)
    );
    assert_eq!(ledger["to_be_drawn"][0]["expected"], held["expected"]);

    // Not before the draw.
    let early = payee.output(&["--json", "outcome", &id]);
    assert_eq!(early.status.code(), Some(4));
    assert!(text(&early.stdout).contains("too_early"));
    assert!(
        payee
            .fails(4, &["redeem", &id])
            .contains("the draw block is not over")
    );

    node.mine(45);
    let drawn = &payer.json(&["deposit", "list"])[0];
    assert_eq!(
        (&drawn["state"], &drawn["winner"]),
        (&json!("drawn"), &json!(payee.address))
    );
    payer.ok(&["seed", "record", &drawn["draw_block"].to_string()]);
    let held = &payee.json(&["ledger"])["deposits"][0];
    assert_eq!(held["state"], json!("won"));
    let reason = held["reason"].as_str().unwrap();
    assert!(reason.contains("no wallet to redeem it with"), "{reason}");
    let outcome = payee.json(&["outcome", &id]);
    assert_eq!(
        (&outcome["outcome"], units(&outcome["payout"])),
        (&json!("payable"), total)
    );
    let redeemed = payee.json(&["redeem", &id]);
    assert_eq!(units(&redeemed["payout"]), total);
    assert_eq!(units(&payee.json(&["balance"])["balance"]), total);
    let held = &payee.json(&["ledger"])["deposits"][0];
    assert_eq!(held["state"], json!("redeemed"));
    assert!(payee.fails(4, &["redeem", &id]).contains("not open"));

    let shown = payer.json(&["deposit", "show", &id, "--payees"]);
    assert_eq!(
        (&shown["state"], units(&shown["payout"])),
        (&json!("redeemed"), total)
    );
    assert_eq!(units(&shown["paid"]), total);
    // Watching a deposit that is over ends at once.
    assert!(payer.ok(&["deposit", "watch", &id]).contains("redeemed"));

    payee.ok(&["withdraw", "--all"]);
    payer.ok(&["withdraw", "--all", "--lane", "1"]);
    assert_eq!(payee.json(&["balance"])["balance"], json!("0"));
    assert_eq!(payer.json(&["balance"])["purses"], json!([]));
}

#[test]
fn proofs_that_are_not_good_are_rejected_with_exit_code_3_and_change_nothing() {
    let node = Node::start();
    let (payer, payee, other) = (node.machine(0), node.machine(1), node.machine(2));
    let id = deposit(&node, &payer, &payee.address, &[]);
    let first = payer.ok(&["write", &id, &payee.address, "0.1ether"]);
    let second = payer.ok(&["write", &id, &payee.address, "0.1ether"]);

    let code = |machine: &Machine, args: &[&str]| {
        let said = machine.fails(3, &[&["--json", "receive"], args].concat());
        let error: Value = serde_json::from_str(&said).expect(&said);
        assert_eq!(error["exit"], json!(3));
        error["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code(&payee, &[&second]), "unknown_deposit");
    assert_eq!(code(&other, &[&first]), "wrong_payee");
    assert_eq!(
        code(&payee, &[&first, "--from", &other.address]),
        "wrong_from"
    );
    assert_eq!(
        code(&payee, &[&first, "--max-deposit", "0.1ether"]),
        "deposit_too_large"
    );
    assert_eq!(
        code(&payee, &[&first, "--min-window", "21"]),
        "window_too_short"
    );
    assert_eq!(code(&payee, &[&first[1..]]), "malformed");
    // One letter in the middle of the signature.
    let mut letters: Vec<_> = first.chars().collect();
    let place = letters.len() - 40;
    letters[place] = if letters[place] == 'A' { 'B' } else { 'A' };
    let forged: String = letters.into_iter().collect();
    assert!(["wrong_signer", "bad_signature"].contains(&code(&payee, &[&forged]).as_str()));
    assert!(
        payee.json(&["ledger"])["deposits"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    payee.ok(&["receive", &first]);
    assert_eq!(code(&payee, &[&first]), "replay");
    payee.ok(&["receive", &second]);
    assert_eq!(code(&payee, &[&first]), "stale");
    let held = payee.json(&["ledger"]);
    assert_eq!(held["deposits"][0]["total"], json!("200000000000000000"));

    let late = payer.ok(&["write", &id, &payee.address, "0.1ether"]);
    node.mine(35);
    assert_eq!(code(&payee, &[&late]), "past_cutoff");
}

#[test]
fn a_payer_writes_nothing_that_the_deposit_does_not_cover() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    let id = deposit(&node, &payer, &payee.address, &[]);
    let over = payer.fails(1, &["write", &id, &payee.address, "0.5ether"]);
    assert!(
        over.contains("0.4 ether is left") && over.contains("0.5 ether"),
        "{over}"
    );
    let stranger = payer.fails(1, &["write", &id, &payer.address, "1"]);
    assert!(stranger.contains("no allowance for payee"), "{stranger}");
    let none = payer.fails(1, &["write", &id, &payee.address, "--again"]);
    assert!(none.contains("was paid nothing"), "{none}");
    // Another machine with another key.
    assert!(
        payee
            .fails(1, &["write", &id, &payee.address, "1"])
            .contains("no deposit")
    );
    node.mine(30);
    assert!(
        payer
            .fails(1, &["write", &id, &payee.address, "1"])
            .contains("expired")
    );
}

#[test]
fn a_lost_proof_is_printed_again_and_a_lost_store_resumes_from_the_payees_cheque() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    let id = deposit(&node, &payer, &payee.address, &[]);

    // Whenever a payer is killed, what it may have promised is in its store.
    for amount in ["1000", "2000", "3000"] {
        let mut command = payer.command(&["write", &id, &payee.address, amount]);
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        pause(60);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    payer.ok(&["write", &id, &payee.address, "4000"]);
    let shown = payer.json(&["write", &id, &payee.address, "--again", "--opening"]);
    let spent = units(&shown["spent"]);
    let opening = shown["proof"].as_str().unwrap();
    assert!(
        (4000..=10_000).contains(&spent) && spent.is_multiple_of(1000),
        "{spent}"
    );
    let value = payee.json(&["receive", opening, "--min-payout-per-cost", "0"]);
    assert_eq!(units(&value["total"]), spent);

    // A store from before the last payment: the payee's rejection carries what the payer needs.
    let backup = payer.folder().join("backup");
    let store = payer.folder().join("store");
    std::fs::create_dir(&backup).unwrap();
    std::fs::copy(store.join("cheque.redb"), backup.join("cheque.redb")).unwrap();
    let newest = payer.ok(&["stream", "open", &id, &payee.address, "100", "--pay", "200"]);
    payee.ok(&["receive", &newest]);
    let step = payer.ok(&["stream", "step", &id, &payee.address, "3"]);
    payee.ok(&["receive", &step]);
    let backup = backup.to_str().unwrap();
    let old = payer.ok(&["write", &id, &payee.address, "100", "--store", backup]);
    let said = payee.fails(3, &["receive", &old]);
    assert!(said.contains(&newest) && said.contains(&step), "{said}");
    let resumed = [
        "write",
        &id,
        &payee.address,
        "100",
        "--store",
        backup,
        "--resume",
        &newest,
        "--resume",
        &step,
    ];
    let next = payer.ok(&resumed);
    assert_eq!(
        units(&payee.json(&["receive", &next])["total"]),
        spent + 600
    );
}

#[test]
fn relayers_open_and_redeem_for_those_who_only_sign() {
    let node = Node::start();
    let (payer, payee, relayer) = (node.machine(0), node.machine(1), node.machine(2));
    relayer.ok(&["deploy"]);
    // Somebody else brings the payer's money, too.
    relayer.ok(&["fund", "0.4ether", "--for", &payer.address]);
    let before = (node.nonce(0), node.nonce(1));

    let allowance = format!("{}=0.4ether", payee.address);
    let terms = [
        "--allowance",
        &allowance,
        "--draw-in",
        "40",
        "--min-payout",
        "0",
    ];
    let create = [&["deposit", "create", "--sign-only"][..], &terms].concat();
    let signed = payer.ok(&create);
    assert_eq!(
        payer.json(&["deposit", "list"])[0]["state"],
        json!("pending")
    );
    relayer.ok(&["deposit", "open", "--signature", &signed, "--dry-run"]);
    let opened = relayer.json(&["deposit", "open", "--signature", &signed]);
    let id = opened["id"].as_str().unwrap();
    assert_eq!(
        payer.json(&["deposit", "show", id])["state"],
        json!("active")
    );

    payee.ok(&[
        "receive",
        &payer.ok(&["write", id, &payee.address, "0.1ether"]),
    ]);
    let early = payee.fails(1, &["redeem", id, "--sign-only"]);
    assert!(early.contains("it is safe from block"), "{early}");
    node.mine(45);
    let consent = payee.ok(&["redeem", id, "--sign-only"]);
    // The relayer's own word is not enough, and a changed total is not what was signed.
    let middle = consent.len() / 2;
    let forged = format!("{}{}{}", &consent[..middle], "f", &consent[middle + 1..]);
    relayer.output(&["redeem", "--consent", &forged]);
    assert_eq!(payee.json(&["balance"])["balance"], json!("0"));

    let file = relayer.folder().join("consent.txt");
    std::fs::write(&file, &consent).unwrap();
    let file = file.to_str().unwrap();
    let planned = relayer.json(&["redeem", "--consent", file, "--dry-run"]);
    assert_eq!(planned["transaction"]["sent"], json!(false));
    let redeemed = relayer.json(&["redeem", "--consent", file]);
    assert_eq!(units(&redeemed["payout"]), 100_000_000_000_000_000);
    assert_eq!(payee.json(&["balance"])["balance"], redeemed["payout"]);
    assert_eq!(
        (node.nonce(0), node.nonce(1)),
        before,
        "payer and payee sent nothing"
    );
    let again = relayer.output(&["redeem", "--consent", file]);
    assert_eq!(again.status.code(), Some(4), "{}", stderr(&again));
}
