//! `cheque inspect`, without a node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use alloy::primitives::{Address, B256, address};
use cheque::{
    AllowanceTree, Amount, Bank, Deposit, MasterSalt, Opening, Proof, SignedCheque, SigningKey,
    Stream,
};
use serde_json::{Value, json};
use support::{program, stderr, text};

const PAYEE: Address = address!("00000000000000000000000000000000000000aa");

struct Case {
    key: SigningKey,
    bank: Bank,
    opening: Opening,
    stream: Stream,
}

/// An opening with a stream of steps of 7, from a deposit of 1000.
fn case() -> Case {
    let key = SigningKey::from_bytes(&[7; 32]).unwrap();
    let bank = Bank::new(31_337, Address::repeat_byte(0xba));
    let list = [
        (PAYEE, Amount::new(400)),
        (Address::repeat_byte(0xbb), Amount::new(600)),
    ];
    let tree = AllowanceTree::build(list, &MasterSalt::from_bytes([1; 32])).unwrap();
    let deposit = Deposit {
        payer: Address::repeat_byte(1),
        signer: key.address(),
        token: Address::ZERO,
        lane: 1,
        amount: 1000,
        minPayout: 500,
        drawTime: 1_796_126_400,
        redeemUntil: 1_796_212_800,
        root: tree.root(),
    };
    let stream = Stream::new(B256::repeat_byte(9), 20).unwrap();
    let id = bank.deposit_id(&deposit);
    let terms = Some((stream.anchor(), Amount::new(7)));
    let cheque = SignedCheque::sign(&key, &bank, id, PAYEE, Amount::new(100), terms);
    let opening = Opening {
        bank,
        deposit,
        allowance: tree.proof(PAYEE).unwrap(),
        payee: PAYEE,
        cheque,
    };
    Case {
        key,
        bank,
        opening,
        stream,
    }
}

fn proof(opening: &Opening) -> String {
    Proof::Opening(Box::new(opening.clone())).to_string()
}

fn inspect(args: &[&str]) -> Value {
    let output = program()
        .args(["inspect", "--json"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn explains_and_checks_an_opening() {
    let case = case();
    let found = inspect(&[&proof(&case.opening)]);
    for (name, value) in [
        ("kind", json!("opening")),
        ("chain", json!(31_337)),
        ("amount", json!("1000")),
        ("min_payout", json!("500")),
        ("draw_time", json!(1_796_126_400)),
        ("terms", json!(true)),
        ("allowance", json!("400")),
        ("allowance_proof", json!(true)),
        ("spent", json!("100")),
        ("step", json!("7")),
        ("signed", json!(true)),
        // full = 100 * 1000 / 400 = 250 < 500, so the range is 100 * 1000 / 500.
        ("payout", json!("500")),
        ("range", json!("200")),
        ("value", json!("100")),
    ] {
        assert_eq!(found[name], value, "{name}: {found}");
    }
    // A payee that counts a cost of 51 credits 200 of 1000 times 449, rounded down.
    let priced = inspect(&[&proof(&case.opening), "--redeem-cost", "51"]);
    assert_eq!(priced["value"], json!("89"));
    let id = case.bank.deposit_id(&case.opening.deposit);
    assert_eq!(found["deposit"], json!(id.to_string()));
}

#[test]
fn reports_every_flaw_of_a_proof() {
    let good = case().opening;
    let found = |change: fn(&mut Opening)| {
        let mut bad = good.clone();
        change(&mut bad);
        inspect(&[&proof(&bad)])
    };
    assert_eq!(
        found(|bad| bad.payee = Address::repeat_byte(0xcc))["allowance_proof"],
        json!(false)
    );
    assert_eq!(
        found(|bad| bad.payee = Address::repeat_byte(0xcc))["signed"],
        json!(false)
    );
    assert_eq!(
        found(|bad| bad.cheque.spent = Amount::new(101))["signed"],
        json!(false)
    );
    assert_eq!(
        found(|bad| bad.deposit.minPayout = 1001)["terms"],
        json!(false)
    );
    assert_eq!(
        found(|bad| bad.allowance.allowance = Amount::new(401))["allowance_proof"],
        json!(false)
    );
    let never = found(|bad| bad.cheque.spent = Amount::new(401));
    assert_eq!(never["payout"], Value::Null);
}

#[test]
fn checks_cheque_and_step_against_the_opening() {
    let case = case();
    let id = case.bank.deposit_id(&case.opening.deposit);
    let opening = proof(&case.opening);
    let next = SignedCheque::sign(&case.key, &case.bank, id, PAYEE, Amount::new(200), None);
    let next = Proof::Cheque(id, next).to_string();
    assert_eq!(inspect(&[&next])["signed"], Value::Null);
    assert_eq!(inspect(&[&next, "--with", &opening])["signed"], json!(true));

    let step = Proof::Step {
        deposit: id,
        k: 3,
        x: case.stream.show(3).unwrap(),
    };
    let found = inspect(&[&step.to_string(), "--with", &opening]);
    assert_eq!(found["leads_to_anchor"], json!(true));
    assert_eq!(found["total"], json!("121"));
    let wrong = Proof::Step {
        deposit: id,
        k: 4,
        x: case.stream.show(3).unwrap(),
    };
    let found = inspect(&[&wrong.to_string(), "--with", &opening]);
    assert_eq!(
        (&found["leads_to_anchor"], &found["total"]),
        (&json!(false), &Value::Null)
    );
}

#[test]
fn reads_proofs_from_file_and_stdin() {
    let opening = proof(&case().opening);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proof.txt");
    std::fs::write(&file, format!("{opening}\n")).unwrap();
    let from_file = program().arg("inspect").arg(&file).output().unwrap();
    let stdin = std::fs::File::open(&file).unwrap();
    let from_stdin = program()
        .args(["inspect", "-"])
        .stdin(stdin)
        .output()
        .unwrap();
    assert_eq!(text(&from_file.stdout), text(&from_stdin.stdout));
    let shown = text(&from_file.stdout);
    assert!(shown.contains("a chance of 20 %"), "{shown}");
    assert!(shown.contains("2026-12-01T12:00:00Z"), "{shown}");
    assert!(
        shown.contains("ok: leads to the root in 1 levels"),
        "{shown}"
    );
    assert!(from_file.stderr.is_empty());
}

#[test]
fn rejects_other_text_with_the_reason_on_stderr() {
    let opening = proof(&case().opening);
    for (bad, reason) in [
        ("", "the proof of payment is empty"),
        ("hello!", "base64url"),
        ("AAAA", "unknown type"),
        // Whole groups of four letters, so that the text is base64url.
        (&opening[..opening.len() / 4 * 4 - 4], "malformed"),
    ] {
        let output = program().args(["inspect", bad]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{bad}");
        assert!(output.stdout.is_empty());
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
    let output = program()
        .args(["--json", "inspect", "hello!"])
        .output()
        .unwrap();
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["exit"], json!(1));
}
