//! Money in and out, deposits that nobody wins, large lists, and what sends nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    fmt::Write,
    process::{Command, Stdio},
};

use common::{Machine, Node, stderr};
use serde_json::json;

#[test]
fn dry_runs_send_nothing_and_record_nothing() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.ok(&["deploy"]);
    payer.ok(&["fund", "0.1ether"]);
    let list = format!("{}=0.1ether", payee.address);
    let soon = [
        "--allowance",
        &list,
        "--draw-in",
        "30",
        "--redeem-window",
        "8",
    ];
    let create = [&["deposit", "create"][..], &soon].concat();
    let id = payer.json(&create)["id"].as_str().unwrap().to_owned();
    payee.ok(&[
        "receive",
        &payer.ok(&["write", &id, &payee.address, "0.1ether"]),
    ]);
    let prepared = payer.json(&[&create[..], &["--sign-only", "--lane", "5"]].concat());
    let prepared = prepared["deposit"].as_str().unwrap();

    let sends_nothing = |machine: &Machine, args: &[&str]| {
        let before = (node.nonce(0), node.nonce(1), node.head());
        let result = machine.json(&[args, &["--dry-run"]].concat());
        assert_eq!(
            result["transaction"]["sent"],
            json!(false),
            "{args:?}: {result}"
        );
        assert!(
            result["transaction"]["gas"].as_u64() > Some(21_000),
            "{args:?}: {result}"
        );
        assert_eq!(
            (node.nonce(0), node.nonce(1), node.head()),
            before,
            "{args:?}"
        );
    };
    sends_nothing(&payer, &["deploy", "--min-lead", "9"]);
    sends_nothing(&payer, &["fund", "0.1ether"]);
    sends_nothing(&payer, &create);
    sends_nothing(&payer, &["deposit", "open", prepared]);
    payer.ok(&["fund", "0.1ether"]);
    sends_nothing(&payer, &["withdraw", "0.1ether"]);
    let deposits = payer.json(&["deposit", "list"]).as_array().unwrap().len();
    assert_eq!(
        deposits, 2,
        "the one that is open and the one that was signed"
    );

    node.mine(32);
    let draw = payer.json(&["deposit", "show", &id])["draw_block"].to_string();
    sends_nothing(&payer, &["seed", "record", &draw]);
    sends_nothing(&payee, &["redeem", &id]);
    sends_nothing(&payee, &["redeem", &id, "--to", &payer.address]);
    node.mine(10);
    sends_nothing(&payer, &["deposit", "reclaim", &id]);
    sends_nothing(&payer, &[&["deposit", "reopen", &id][..], &soon].concat());
}

#[test]
fn dry_runs_mine_nothing_and_make_no_store() {
    let node = Node::start();
    let payer = node.machine(0);
    let said = payer.fails(1, &["deploy", "--dry-run"]);
    assert!(said.contains("has only its first block"), "{said}");
    assert_eq!(node.head(), 0);
    node.mine(1);
    let deploy = payer.json(&["deploy", "--dry-run"]);
    assert_eq!(deploy["transaction"]["sent"], json!(false));
    assert_eq!(node.head(), 1);
    payer.ok(&["deploy"]);
    let list = format!("{}=0.1ether", payer.address);
    let create = ["deposit", "create", "--allowance", &list, "--draw-in", "30"];
    let create = payer.json(&[&create[..], &["--dry-run"]].concat());
    assert_eq!(create["transaction"]["sent"], json!(false));
    let id = create["id"].as_str().unwrap();
    for verb in [
        &["redeem"][..],
        &["deposit", "open"],
        &["deposit", "reclaim"],
    ] {
        payer.fails(1, &[verb, &[id, "--dry-run"]].concat());
    }
    assert!(!payer.folder().join("store").exists());
}

#[test]
fn what_nobody_redeems_is_reclaimed_or_rolls_into_the_next_deposit() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.ok(&["deploy"]);
    let list = format!("{}=0.1ether", payee.address);
    let terms = [
        "--allowance",
        &list,
        "--draw-in",
        "30",
        "--redeem-window",
        "8",
    ];
    let first = payer.json(&[&["deposit", "create"][..], &terms].concat());
    let first = first["id"].as_str().unwrap();
    assert!(
        payer
            .fails(1, &["deposit", "reclaim", first])
            .contains("reclaimed only after it")
    );
    node.mine(42);
    assert_eq!(
        payer.json(&["deposit", "show", first])["state"],
        json!("reclaimable")
    );

    let second = payer.json(&[&["deposit", "reopen", first][..], &terms].concat());
    assert_eq!(second["lane"], json!(1));
    let second = second["id"].as_str().unwrap();
    assert_eq!(
        payer.json(&["deposit", "show", first])["state"],
        json!("reclaimed")
    );
    node.mine(42);
    payer.ok(&["deposit", "reclaim", second]);
    assert_eq!(
        payer.json(&["deposit", "show", second])["state"],
        json!("reclaimed")
    );
    let purse = &payer.json(&["balance"])["purses"][0];
    assert_eq!(purse, &json!({ "lane": 1, "idle": "100000000000000000" }));
    // The next one uses what is there.
    let third = payer.json(&[&["deposit", "create"][..], &terms].concat());
    assert_eq!(third["lane"], json!(1));
}

#[test]
fn a_list_of_100_000_payees_makes_a_deposit_that_pays() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.ok(&["deploy"]);
    let mut csv = String::from("payee,allowance\n");
    for number in 1..100_000_u32 {
        writeln!(csv, "0x{number:040x},{}", 1_000_000 + number).unwrap();
    }
    writeln!(csv, "{},0.1ether", payee.address).unwrap();
    let file = payer.folder().join("payees.csv");
    std::fs::write(&file, csv).unwrap();
    let file = file.to_str().unwrap();
    let opened = payer.json(&["deposit", "create", "--allowances", file, "--draw-in", "60"]);
    let id = opened["id"].as_str().unwrap();
    let proof = payer.ok(&["write", id, &payee.address, "0.05ether"]);
    assert!(
        proof.len() < 4000,
        "a proof from 100,000 payees is short: {}",
        proof.len()
    );
    let received = payee.json(&["receive", &proof]);
    assert_eq!(received["allowance"], json!("100000000000000000"));
    let shown = payer.json(&["deposit", "show", id]);
    assert_eq!(shown["payees"], json!(100_000));
}

#[test]
fn bad_amounts_lists_keys_and_chains_fail_with_the_reason() {
    let node = Node::start();
    let (payer, keyless) = (node.machine(0), node.keyless());
    let said = payer.fails(1, &["balance"]);
    assert!(
        said.contains("no bank yet") && said.contains("cheque deploy"),
        "{said}"
    );
    payer.ok(&["deploy"]);
    let refuses = |code: i32, args: &[&str], reason: &str| {
        let said = payer.fails(code, args);
        assert!(said.contains(reason), "{args:?}: {said}");
    };
    refuses(2, &["fund", "0.5bitcoin"], "is not an amount");
    refuses(1, &["fund", "0.5"], "needs a unit");
    refuses(
        1,
        &["fund", "0.0000000000000000001ether"],
        "finer than the smallest unit",
    );
    refuses(1, &["fund", "100000000ether"], "wei and needs");
    refuses(1, &["fund", "0"], "zero");
    refuses(1, &["withdraw", "1"], "0 units are there and 1 are needed");
    refuses(2, &["--chain", "42161", "balance"], "unexpected argument");
    refuses(2, &["balance", "--chain", "42161"], "has not been examined");
    refuses(
        1,
        &["balance", "--chain", "sepolia"],
        "the node follows chain 31337",
    );
    refuses(1, &["balance", "--bank", &payer.address], "no bank at");
    refuses(
        1,
        &["balance", "--rpc-url", "http://127.0.0.1:9"],
        "no answer from the node",
    );
    let url = "http://secret:secret@127.0.0.1:9/secret?key=secret";
    let said = payer.fails(1, &["balance", "--rpc-url", url]);
    assert!(
        said.contains("http://127.0.0.1:9") && !said.contains("secret"),
        "{said}"
    );
    refuses(
        1,
        &["balance", "--rpc-url", "ftp://example.org"],
        "not the URL of a node",
    );
    refuses(
        1,
        &["fund", "1", "--token", &payer.address],
        "no token contract",
    );

    let one = format!("{}=1", payer.address);
    let create = |more: &[&'static str], reason: &str| {
        let args = [
            "deposit",
            "create",
            "--allowance",
            &one,
            "--allowance",
            &one,
        ];
        refuses(1, &[&args[..], more].concat(), reason);
    };
    create(&["--draw-in", "40"], "twice");
    refuses(
        1,
        &["deposit", "create", "--allowance", &one, "--draw-in", "5"],
        "too soon",
    );
    refuses(2, &["deposit", "create", "--allowance", &one], "--draw-in");
    refuses(2, &["deposit", "create", "--draw-in", "50"], "--allowance");
    refuses(
        2,
        &[
            "deposit",
            "create",
            "--allowance",
            "0x12=5",
            "--draw-in",
            "50",
        ],
        "not an address",
    );
    refuses(
        1,
        &[
            "deposit",
            "create",
            "--allowances",
            "nowhere.csv",
            "--draw-in",
            "50",
        ],
        "nowhere.csv",
    );
    refuses(
        1,
        &[
            "deposit",
            "create",
            "--allowance",
            &one,
            "--draw-in",
            "50",
            "--min-payout",
            "2",
        ],
        "smallest payout",
    );

    let said = keyless.fails(1, &["fund", "1"]);
    assert!(
        said.contains("--account") && said.contains("ETH_PRIVATE_KEY"),
        "{said}"
    );
    let said = keyless.fails(1, &["ledger"]);
    assert!(said.contains("--payee"), "{said}");
    let output = payer
        .command(&["fund", "1"])
        .env("ETH_PRIVATE_KEY", "0xsecret")
        .output()
        .unwrap();
    assert!(!stderr(&output).contains("secret"));
}

#[test]
fn keystores_unlock_by_name_and_by_path_with_a_password_file() {
    let node = Node::start();
    let (payer, keyless) = (node.machine(0), node.keyless());
    payer.ok(&["deploy"]);
    let keystores = keyless.folder().join(".foundry/keystores");
    std::fs::create_dir_all(&keystores).unwrap();
    // The public development key of the node's first account, as `cast wallet import` keeps it.
    std::fs::write(keystores.join("alice"), include_str!("data/keystore.json")).unwrap();
    let password = keyless.folder().join("password");
    std::fs::write(&password, "a password\n").unwrap();
    let password = password.to_str().unwrap();
    let by_name = [
        "fund",
        "1",
        "--account",
        "alice",
        "--password-file",
        password,
    ];
    assert_eq!(keyless.json(&by_name)["account"], json!(payer.address));
    let path = keystores.join("alice");
    let by_path = [
        "fund",
        "1",
        "--keystore",
        path.to_str().unwrap(),
        "--password-file",
        password,
    ];
    keyless.ok(&by_path);
    std::fs::write(password, "another").unwrap();
    assert!(keyless.fails(1, &by_name).contains("cannot unlock"));
    assert!(
        keyless
            .fails(1, &["fund", "1", "--account", "bob"])
            .contains("no account `bob`")
    );
    // The flag wins over the variable.
    let both = keyless
        .command(&by_name)
        .env("ETH_PRIVATE_KEY", node.key(1))
        .output()
        .unwrap();
    assert!(stderr(&both).contains("cannot unlock"));
}

#[test]
fn commands_take_turns_at_a_store_and_say_who_holds_it_for_long() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.ok(&["deploy"]);
    let list = format!("{}=1000", payee.address);
    let opened = payer.json(&["deposit", "create", "--allowance", &list, "--draw-in", "30"]);
    let id = opened["id"].as_str().unwrap();
    // A watcher, and eight payments at once.
    let mut watching = payer
        .command(&["deposit", "watch"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let write = ["write", id, &payee.address, "100"];
    let writing: Vec<_> = (0..8)
        .map(|_| payer.command(&write).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    for mut payment in writing {
        assert!(payment.wait().unwrap().success());
    }
    assert_eq!(payer.json(&["deposit", "show", id])["paid"], json!("800"));

    // Ctrl-C.
    let pid = watching.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(watching.wait().unwrap().code(), Some(130));

    let held = cheque::store::Redb::open(payer.folder().join("store/cheque.redb")).unwrap();
    assert!(
        payer
            .fails(1, &["deposit", "list"])
            .contains("in use by another process")
    );
    drop(held);
    payer.ok(&["deposit", "list"]);
}

#[test]
fn a_payer_without_its_store_finds_its_deposits_and_takes_its_money_back() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.ok(&["deploy"]);
    let list = format!("{}=0.1ether", payee.address);
    let terms = [
        "--allowance",
        &list,
        "--draw-in",
        "30",
        "--redeem-window",
        "8",
    ];
    let create = || payer.json(&[&["deposit", "create"][..], &terms].concat())["id"].clone();
    let (first, second) = (create(), create());
    // Another machine with the same key, and no store.
    let fresh = node.machine(0);
    let found = fresh.json(&["deposit", "find", "--since", "0"]);
    assert_eq!(found[0]["id"], first);
    assert_eq!(found[1]["id"], second);
    assert_eq!(found[1]["open"], json!(true));
    assert_eq!(found[1]["amount"], json!("100000000000000000"));
    let later = (node.head() + 1).to_string();
    assert_eq!(
        fresh.json(&["deposit", "find", "--since", &later]),
        json!([])
    );
    let stranger = ["deposit", "find", "--payer", &payee.address, "--since", "0"];
    assert_eq!(fresh.json(&stranger), json!([]));

    let first = first.as_str().unwrap();
    let reclaim = ["deposit", "reclaim", first, "--since"];
    let said = fresh.fails(1, &[&reclaim[..], &["0"]].concat());
    assert!(said.contains("reclaiming the deposit"), "{said}");
    node.mine(42);
    let said = fresh.fails(1, &[&reclaim[..], &[&later[..]]].concat());
    assert!(said.contains("was opened in blocks"), "{said}");
    let dry = fresh.json(&[&reclaim[..], &["0", "--dry-run"]].concat());
    assert_eq!(dry["transaction"]["sent"], json!(false));
    let done = fresh.json(&[&reclaim[..], &["0"]].concat());
    assert_eq!(done["amount"], json!("100000000000000000"));
    let open = fresh.json(&["deposit", "find", "--since", "0", "--open"]);
    assert_eq!(open.as_array().unwrap().len(), 1);
    assert_eq!(open[0]["id"], second);
    assert!(!fresh.folder().join("store").exists());
}
