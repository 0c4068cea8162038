//! Payments between two machines that share a node and the proofs' text alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::{Machine, Node, pause, stderr, text};

/// Opens a deposit for one payee and returns its id.
fn create_deposit(node: &Node, payer: &Machine, payee: &str, more: &[&str]) -> String {
    payer.deploy();
    let allowance = format!("{payee}=0.4ether");
    let args = [
        "deposit",
        "create",
        "--allowance",
        &allowance,
        "--draw-in",
        "10m",
    ];
    let opened = payer.json(&[&args[..], &["--redeem-window", "1h"], more].concat());
    assert_eq!(opened["transaction"]["sent"], json!(true));
    let draw = opened["draw_time"].as_u64().unwrap();
    let ahead = draw - node.now();
    assert!((500..=601).contains(&ahead), "{ahead}: {opened}");
    assert_eq!(opened["redeem_until"], json!(draw + 3_600));
    opened["id"].as_str().unwrap().to_owned()
}

fn units(value: &Value) -> u128 {
    value
        .as_str()
        .expect("a decimal string")
        .parse()
        .expect("an amount")
}

#[test]
fn pays_from_deposit_to_payout_between_two_machines() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    // The only payee wins for certain: the minimum payout is zero.
    let id = create_deposit(&node, &payer, &payee.address, &["--min-payout", "0"]);
    let listed = &payer.json(&["deposit", "list"])[0];
    assert_eq!(listed["state"], json!("active"));
    let draw = listed["draw_time"].as_u64().unwrap();
    // Nothing is spent, so the payer's cutoff ends the payments.
    assert_eq!(listed["estimated_expiry"], json!(draw - 45));
    let shown = payer.json(&["deposit", "show", &id]);
    assert_eq!(shown["estimated_expiry"], listed["estimated_expiry"]);
    let early = payer.fails(1, &["seed", "record", &draw.to_string()]);
    assert!(early.contains("not public yet; try again in"), "{early}");
    let never = payer.fails(1, &["seed", "record", "1970-01-02T00:00Z"]);
    assert!(never.contains("first round"), "{never}");

    let proof = payer.ok(&["write", &id, &payee.address, "0.1ether"]);
    assert!(
        proof
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    );
    let received = payee.json(&["receive", &proof, "--from", &payer.address]);
    assert_eq!(received["total"], json!("100000000000000000"));
    let value = units(&received["value"]);
    // The value is net of the expected cost to redeem.
    assert!(
        (99_000_000_000_000_000..100_000_000_000_000_000).contains(&value),
        "{value}"
    );

    // A later cheque through a pipe, a stream from a file, and a step as an argument.
    let cheque = payer.ok(&["write", &id, &payee.address, "20gwei"]);
    assert!(cheque.len() < 150 * 4 / 3, "a later cheque must be short");
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
    assert_eq!(payer.ok(&["write", &id, &payee.address, "--reprint"]), step);

    let holdings = payee.json(&["holdings"]);
    let held = &holdings["deposits"][0];
    assert_eq!(
        (&held["state"], &held["chance"]),
        (&json!("receiving"), &json!("100 %"))
    );
    assert_eq!(held["estimated_expiry"], json!(draw - 30));
    assert_eq!(
        (units(&held["expected"]), units(&held["variance"])),
        (total, 0)
    );
    assert_eq!(holdings["to_be_drawn"][0]["expected"], held["expected"]);

    // Before the draw, nothing can be redeemed.
    let early = payee.output(&["--json", "status", &id]);
    assert_eq!(early.status.code(), Some(4));
    assert!(text(&early.stdout).contains("too_early"));
    assert!(
        payee
            .fails(4, &["redeem", &id])
            .contains("the draw time is not over")
    );

    node.advance(601);
    let drawn = &payer.json(&["deposit", "list"])[0];
    assert_eq!(
        (&drawn["state"], &drawn["winner"]),
        (&json!("drawn"), &json!(payee.address))
    );
    let recorded = payer.json(&["seed", "record", &drawn["draw_time"].to_string()]);
    assert_eq!(recorded["transaction"]["sent"], json!(true));
    let held = &payee.json(&["holdings"])["deposits"][0];
    assert_eq!(held["state"], json!("won"));
    let reason = held["reason"].as_str().unwrap();
    assert!(reason.contains("no wallet to redeem it with"), "{reason}");
    let status = payee.json(&["status", &id]);
    assert_eq!(
        (&status["outcome"], units(&status["payout"])),
        (&json!("payable"), total)
    );
    let redeemed = payee.json(&["redeem", &id]);
    assert_eq!(units(&redeemed["payout"]), total);
    assert_eq!(units(&payee.json(&["balance"])["balance"]), total);
    let held = &payee.json(&["holdings"])["deposits"][0];
    assert_eq!(held["state"], json!("redeemed"));
    assert!(payee.fails(4, &["redeem", &id]).contains("not open"));

    let shown = payer.json(&["deposit", "show", &id, "--payees"]);
    assert_eq!(
        (&shown["state"], units(&shown["payout"])),
        (&json!("redeemed"), total)
    );
    assert_eq!(units(&shown["paid"]), total);
    // Watching a final deposit ends at once.
    assert!(payer.ok(&["deposit", "watch", &id]).contains("redeemed"));

    payee.ok(&["withdraw", "--all"]);
    // All lanes: the payer's money is idle in its purse.
    let idle = payer.fails(1, &["withdraw", "0.1ether"]);
    assert!(idle.contains("idle in lane 1"), "{idle}");
    payer.ok(&["fund", "1000"]);
    let all = payer.json(&["withdraw", "--all"]);
    let lanes: Vec<_> = all["withdrawals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["lane"].clone())
        .collect();
    assert_eq!(lanes, [json!(0), json!(1)], "{all}");
    let nothing = payer.fails(1, &["withdraw", "--all"]);
    assert!(
        nothing.contains("the account has nothing in any lane"),
        "{nothing}"
    );
    assert_eq!(payee.json(&["balance"])["balance"], json!("0"));
    assert_eq!(payer.json(&["balance"])["purses"], json!([]));
}

#[test]
fn rejects_bad_proofs_with_exit_code_3() {
    let node = Node::start();
    let (payer, payee, other) = (node.machine(0), node.machine(1), node.machine(2));
    let id = create_deposit(&node, &payer, &payee.address, &[]);
    let first = payer.ok(&["write", &id, &payee.address, "0.1ether"]);
    let second = payer.ok(&["write", &id, &payee.address, "0.1ether"]);

    let code = |machine: &Machine, args: &[&str]| {
        let message = machine.fails(3, &[&["--json", "receive"], args].concat());
        let error: Value = serde_json::from_str(&message).expect(&message);
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
        code(&payee, &[&first, "--min-window", "3601"]),
        "window_too_short"
    );
    assert_eq!(code(&payee, &[&first[1..]]), "malformed");
    // Change one letter in the middle of the signature.
    let mut letters: Vec<_> = first.chars().collect();
    let place = letters.len() - 40;
    letters[place] = if letters[place] == 'A' { 'B' } else { 'A' };
    let forged: String = letters.into_iter().collect();
    assert!(["wrong_signer", "bad_signature"].contains(&code(&payee, &[&forged]).as_str()));
    assert!(
        payee.json(&["holdings"])["deposits"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    payee.ok(&["receive", &first]);
    assert_eq!(code(&payee, &[&first]), "replay");
    payee.ok(&["receive", &second]);
    assert_eq!(code(&payee, &[&first]), "stale");
    let held = payee.json(&["holdings"]);
    assert_eq!(held["deposits"][0]["total"], json!("200000000000000000"));

    let late = payer.ok(&["write", &id, &payee.address, "0.1ether"]);
    node.advance(571);
    assert_eq!(code(&payee, &[&late]), "past_cutoff");
    let message = payee.fails(3, &["receive", &late]);
    assert!(message.contains("is less than 30s after 2"), "{message}");
}

#[test]
fn refuses_to_write_a_cheque_over_the_allowance() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    let id = create_deposit(&node, &payer, &payee.address, &[]);
    let over = payer.fails(1, &["write", &id, &payee.address, "0.5ether"]);
    assert!(
        over.contains("0.4 ether is left") && over.contains("0.5 ether"),
        "{over}"
    );
    let stranger = payer.fails(1, &["write", &id, &payer.address, "1"]);
    assert!(stranger.contains("no allowance for payee"), "{stranger}");
    let none = payer.fails(1, &["write", &id, &payee.address, "--reprint"]);
    assert!(none.contains("was paid nothing"), "{none}");
    // Another machine with another key has no such deposit.
    payee.ok(&["store", "init"]);
    assert!(
        payee
            .fails(1, &["write", &id, &payee.address, "1"])
            .contains("no deposit")
    );
    node.advance(556);
    assert!(
        payer
            .fails(1, &["write", &id, &payee.address, "1"])
            .contains("past_cutoff")
    );
}

#[test]
fn recovers_from_a_lost_proof_and_a_lost_store() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    let id = create_deposit(&node, &payer, &payee.address, &[]);

    // Every cheque that a killed payer may have printed is in its store.
    for amount in ["1000", "2000", "3000"] {
        let mut command = payer.command(&["write", &id, &payee.address, amount]);
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        pause(60);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    payer.ok(&["write", &id, &payee.address, "4000"]);
    let reprint = ["write", &id, &payee.address, "--reprint", "--with-terms"];
    let reprinted = payer.json(&reprint);
    let spent = units(&reprinted["spent"]);
    let opening = reprinted["proof"].as_str().unwrap();
    assert!(
        (4000..=10_000).contains(&spent) && spent.is_multiple_of(1000),
        "{spent}"
    );
    let value = payee.json(&["receive", opening, "--min-payout-per-cost", "0"]);
    assert_eq!(units(&value["total"]), spent);

    // With a store from before the last payment, the payee's rejection carries the proofs to resume from.
    let backup = payer.folder().join("backup");
    let store = payer.store();
    std::fs::create_dir(&backup).unwrap();
    std::fs::copy(store.join("cheque.redb"), backup.join("cheque.redb")).unwrap();
    let newest = payer.ok(&["stream", "open", &id, &payee.address, "100", "--pay", "200"]);
    payee.ok(&["receive", &newest]);
    let step = payer.ok(&["stream", "step", &id, &payee.address, "3"]);
    payee.ok(&["receive", &step]);
    let backup = backup.to_str().unwrap();
    let old = payer.ok(&["write", &id, &payee.address, "100", "--store", backup]);
    let message = payee.fails(3, &["receive", &old]);
    assert!(
        message.contains(&newest) && message.contains(&step),
        "{message}"
    );
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
fn relays_the_opening_and_the_redemption() {
    let node = Node::start();
    let (payer, payee, relayer) = (node.machine(0), node.machine(1), node.machine(2));
    relayer.deploy();
    // The relayer funds the payer, too.
    relayer.ok(&["fund", "0.4ether", "--for", &payer.address]);
    let before = (node.nonce(0), node.nonce(1));

    let allowance = format!("{}=0.4ether", payee.address);
    let terms = [
        "--allowance",
        &allowance,
        "--draw-in",
        "10m",
        "--min-payout",
        "0",
    ];
    let create = [&["deposit", "create", "--sign-only"][..], &terms].concat();
    let signed = payer.ok(&create);
    assert_eq!(
        payer.json(&["deposit", "list"])[0]["state"],
        json!("pending")
    );
    relayer.ok(&["deposit", "open", "--agreement", &signed, "--dry-run"]);
    let opened = relayer.json(&["deposit", "open", "--agreement", &signed]);
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
    assert!(early.contains("sign after the draw at 2"), "{early}");
    node.advance(601);
    let consent = payee.ok(&["redeem", id, "--sign-only"]);
    // A relayer cannot redeem with a changed consent.
    let middle = consent.len() / 2;
    let other = if consent[middle..].starts_with('f') {
        "0"
    } else {
        "f"
    };
    let forged = format!("{}{other}{}", &consent[..middle], &consent[middle + 1..]);
    relayer.output(&["redeem", "--consent", &forged]);
    assert_eq!(payee.json(&["balance"])["balance"], json!("0"));

    let file = relayer.folder().join("consent.txt");
    std::fs::write(&file, &consent).unwrap();
    let file = file.to_str().unwrap();
    let planned = relayer.json(&["redeem", "--consent", file, "--dry-run"]);
    assert_eq!(planned["transaction"]["sent"], json!(false));
    // The bank would take the payee's own transaction for its agreement to whatever total the text states.
    let own = payee.fails(1, &["redeem", "--consent", &consent]);
    assert!(own.contains("the wallet is the payee itself"), "{own}");
    let redeemed = relayer.json(&["redeem", "--consent", file]);
    assert_eq!(units(&redeemed["payout"]), 100_000_000_000_000_000);
    assert_eq!(payee.json(&["balance"])["balance"], redeemed["payout"]);
    assert_eq!(
        (node.nonce(0), node.nonce(1)),
        before,
        "payer and payee must send nothing"
    );
    let again = relayer.output(&["redeem", "--consent", file]);
    assert_eq!(again.status.code(), Some(4), "{}", stderr(&again));
}
