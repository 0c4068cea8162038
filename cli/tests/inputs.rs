//! Amounts, lists, keys, chains and stores that commands accept or reject.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Stdio};

use serde_json::json;
use support::{Node, stderr};

#[test]
fn rejects_bad_amounts_lists_keys_and_chains() {
    let node = Node::start();
    let (payer, keyless) = (node.machine(0), node.keyless());
    let message = payer.fails(1, &["balance"]);
    assert!(message.contains("there is no bank at"), "{message}");
    let common = payer
        .command(&["balance"])
        .env_remove("CHEQUE_BANK")
        .output();
    let message = stderr(&common.unwrap());
    assert!(
        message.contains("is not deployed at 0x")
            && message.contains("`cheque deploy` puts it there"),
        "{message}"
    );
    payer.deploy();
    let refuses = |code: i32, args: &[&str], reason: &str| {
        let message = payer.fails(code, args);
        assert!(message.contains(reason), "{args:?}: {message}");
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
    refuses(
        1,
        &["--chain", "42161", "balance"],
        "not arbitrum-one (42161) of --chain",
    );
    refuses(
        1,
        &["balance", "--chain", "42161"],
        "not arbitrum-one (42161) of --chain",
    );
    refuses(
        1,
        &["balance", "--chain", "5"],
        "the node follows chain 31337, not 5",
    );
    refuses(
        1,
        &["balance", "--chain", "sepolia"],
        "the node follows chain 31337",
    );
    refuses(1, &["balance", "--bank", &payer.address], "no bank at");
    refuses(
        1,
        &["balance", "--rpc-url", "http://127.0.0.1:9"],
        "the node does not answer",
    );
    let url = "http://secret:secret@127.0.0.1:9/secret?key=secret";
    let message = payer.fails(1, &["balance", "--rpc-url", url]);
    assert!(
        message.contains("http://127.0.0.1:9: ") && !message.contains("secret"),
        "{message}"
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
    create(&["--draw-in", "10m"], "twice");
    refuses(
        1,
        &["deposit", "create", "--allowance", &one, "--draw-in", "5"],
        "leaves no time to pay",
    );
    refuses(2, &["deposit", "create", "--allowance", &one], "--draw-in");
    refuses(2, &["deposit", "create", "--draw-in", "10m"], "--allowance");
    refuses(
        2,
        &[
            "deposit",
            "create",
            "--allowance",
            &one,
            "--draw-in",
            "soon",
        ],
        "is not a duration",
    );
    refuses(
        2,
        &[
            "deposit",
            "create",
            "--allowance",
            &one,
            "--draw-at",
            "2030-01-01",
        ],
        "its zone is missing",
    );
    refuses(
        2,
        &[
            "deposit",
            "create",
            "--allowance",
            "0x12=5",
            "--draw-in",
            "10m",
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
            "10m",
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
            "10m",
            "--min-payout",
            "2",
        ],
        "smallest payout",
    );

    let message = keyless.fails(1, &["fund", "1"]);
    assert!(
        message.contains("--account") && message.contains("ETH_PRIVATE_KEY"),
        "{message}"
    );
    let message = keyless.fails(1, &["holdings"]);
    assert!(message.contains("--payee"), "{message}");
    let output = payer
        .command(&["fund", "1"])
        .env("ETH_PRIVATE_KEY", "0xsecret")
        .output()
        .unwrap();
    assert!(!stderr(&output).contains("secret"));
}

#[test]
fn unlocks_keystore_by_name_and_by_path() {
    let node = Node::start();
    let (payer, keyless) = (node.machine(0), node.keyless());
    payer.deploy();
    let keystores = keyless.folder().join(".foundry/keystores");
    std::fs::create_dir_all(&keystores).unwrap();
    // The development key of the node's first account, in the format of `cast wallet import`.
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
    // Editors of Windows write a mark before the text, and other line breaks.
    std::fs::write(password, "\u{feff}a password\r\n").unwrap();
    keyless.ok(&by_path);
    std::fs::write(password, b"\xff\xfea\0").unwrap();
    assert!(
        keyless
            .fails(1, &by_name)
            .contains("UTF-16; save it as UTF-8")
    );
    std::fs::write(password, "another").unwrap();
    let refused = keyless.fails(1, &by_name);
    assert!(
        refused.contains("the password is not that of the keystore"),
        "{refused}"
    );
    assert!(
        refused.contains(&format!("check the password file {password}")),
        "{refused}"
    );
    assert!(
        keyless
            .fails(1, &["fund", "1", "--account", "bob"])
            .contains("no account `bob`")
    );
    // The flag has precedence over the variable.
    let both = keyless
        .command(&by_name)
        .env("ETH_PRIVATE_KEY", node.key(1))
        .output()
        .unwrap();
    assert!(stderr(&both).contains("the password is not that of"));

    // Files that are no keystores say so, whatever the password.
    let whole = include_str!("data/keystore.json");
    for (text, told) in [
        ("", "is not a keystore"),
        ("{}", "is not a keystore"),
        (&format!("\u{feff}{whole}"), "begins with a byte order mark"),
        (
            &whole.replace("\"dklen\":32", "\"dklen\":8"),
            "of no known kind",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let refused = keyless.fails(1, &by_path);
        assert!(
            refused.contains(told) && !refused.contains("password"),
            "{refused}"
        );
    }
}

#[test]
fn shares_a_store_between_commands_one_by_one() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.deploy();
    let list = format!("{}=1000", payee.address);
    let opened = payer.json(&[
        "deposit",
        "create",
        "--allowance",
        &list,
        "--draw-in",
        "10m",
    ]);
    let id = opened["id"].as_str().unwrap();
    // One watcher and eight concurrent payments.
    let mut watching = payer
        .command(&["deposit", "watch", "--all"])
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

    let held = cheque::store::Redb::open(payer.store().join("cheque.redb")).unwrap();
    assert!(
        payer
            .fails(1, &["deposit", "list"])
            .contains("in use by another process")
    );
    drop(held);
    payer.ok(&["deposit", "list"]);
}
