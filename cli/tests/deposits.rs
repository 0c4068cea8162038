//! Deposits that nobody redeems, with many payees, or in dry runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt::Write;

use serde_json::{Value, json};
use support::{Machine, Node, stderr, text};

/// A node with a bank, its payer and a payee.
fn start() -> (Node, Machine, Machine) {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    payer.deploy();
    (node, payer, payee)
}

/// The arguments of a deposit for the payees in `list`: drawn after 10 minutes, to be redeemed within an hour.
fn terms(list: &str) -> [&str; 6] {
    [
        "--allowance",
        list,
        "--draw-in",
        "10m",
        "--redeem-window",
        "1h",
    ]
}

#[test]
fn dry_runs_send_and_record_nothing() {
    let (node, payer, payee) = start();
    payer.ok(&["fund", "0.1ether"]);
    let list = format!("{}=0.1ether", payee.address);
    let soon = terms(&list);
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
    sends_nothing(&payer, &["deploy"]);
    sends_nothing(&payer, &["fund", "0.1ether"]);
    sends_nothing(&payer, &create);
    sends_nothing(&payer, &["deposit", "open", prepared]);
    payer.ok(&["fund", "0.1ether"]);
    sends_nothing(&payer, &["withdraw", "0.1ether"]);
    let deposits = payer.json(&["deposit", "list"]).as_array().unwrap().len();
    assert_eq!(deposits, 2, "an open deposit and a signed one");

    node.advance(601);
    let draw = payer.json(&["deposit", "show", &id])["draw_time"].to_string();
    sends_nothing(&payer, &["seed", "record", &draw]);
    sends_nothing(&payee, &["redeem", &id]);
    sends_nothing(&payee, &["redeem", &id, "--to", &payer.address]);
    node.advance(3_601);
    sends_nothing(&payer, &["deposit", "reclaim", &id]);
    sends_nothing(&payer, &[&["deposit", "reopen", &id][..], &soon].concat());
}

#[test]
fn dry_runs_mine_no_block_and_create_no_store() {
    let node = Node::start();
    let payer = node.machine(0);
    let deploy = payer.json(&["deploy", "--dry-run"]);
    assert_eq!(deploy["transaction"]["sent"], json!(false));
    assert_eq!(node.head(), 0);
    payer.deploy();
    let list = format!("{}=0.1ether", payer.address);
    let create = [
        "deposit",
        "create",
        "--allowance",
        &list,
        "--draw-in",
        "10m",
    ];
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
    assert!(!payer.store().exists());
}

#[test]
fn reclaims_or_reopens_an_unredeemed_deposit() {
    let (node, payer, payee) = start();
    let list = format!("{}=0.1ether", payee.address);
    let terms = terms(&list);
    let first = payer.json(&[&["deposit", "create"][..], &terms].concat());
    let first = first["id"].as_str().unwrap();
    assert!(
        payer
            .fails(1, &["deposit", "reclaim", first])
            .contains("reclaimed only after it")
    );
    node.advance(4_202);
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
    node.advance(4_202);
    payer.ok(&["deposit", "reclaim", second]);
    assert_eq!(
        payer.json(&["deposit", "show", second])["state"],
        json!("reclaimed")
    );
    let purse = &payer.json(&["balance"])["purses"][0];
    assert_eq!(purse, &json!({ "lane": 1, "idle": "100000000000000000" }));
    // The next deposit uses the idle money of the purse.
    let third = payer.json(&[&["deposit", "create"][..], &terms].concat());
    assert_eq!(third["lane"], json!(1));
}

#[test]
fn pays_from_a_deposit_with_100_000_payees() {
    let (_node, payer, payee) = start();
    let mut csv = String::from("payee,allowance\n");
    for number in 1..100_000_u32 {
        writeln!(csv, "0x{number:040x},{}", 1_000_000 + number).unwrap();
    }
    writeln!(csv, "{},0.1ether", payee.address).unwrap();
    let file = payer.folder().join("payees.csv");
    std::fs::write(&file, csv).unwrap();
    let file = file.to_str().unwrap();
    let opened = payer.json(&[
        "deposit",
        "create",
        "--allowances",
        file,
        "--draw-in",
        "10m",
    ]);
    let id = opened["id"].as_str().unwrap();
    let proof = payer.ok(&["write", id, &payee.address, "0.05ether"]);
    assert!(
        proof.len() < 4000,
        "a proof from 100,000 payees has {} characters",
        proof.len()
    );
    let received = payee.json(&["receive", &proof]);
    assert_eq!(received["allowance"], json!("100000000000000000"));
    let shown = payer.json(&["deposit", "show", id]);
    assert_eq!(shown["payees"], json!(100_000));
}

#[test]
fn prints_the_id_of_a_deposit_alone() {
    let (_node, payer, payee) = start();
    let list = format!("{}=0.1ether", payee.address);
    let output = payer.output(&[&["deposit", "create"][..], &terms(&list)].concat());
    let (id, table) = (text(&output.stdout), stderr(&output));
    assert_eq!((id.len(), &id[..2]), (66, "0x"), "{id}");
    assert!(
        table.contains("draw time") && table.contains("0.1 ether"),
        "{table}"
    );
    assert!(table.contains("created an empty store in"), "{table}");
    let quiet = [&["--quiet", "deposit", "create"][..], &terms(&list)].concat();
    assert_eq!(stderr(&payer.output(&quiet)), "");
    // Commands take the digits of the table for the id.
    let listed = payer.ok(&["deposit", "list"]);
    let short = listed.lines().find(|line| line.starts_with(&id[..12]));
    let short = short.unwrap_or_else(|| panic!("{listed}"));
    let short = short.split(' ').next().unwrap();
    assert!(short.len() < id.len());
    assert_eq!(payer.json(&["deposit", "show", short])["id"], json!(id));
    let message = payer.fails(1, &["deposit", "show", "0x0123456789"]);
    assert!(
        message.contains("no deposit of the store begins with"),
        "{message}"
    );
    let message = payer.fails(1, &["deposit", "reclaim", short, "--from-block", "0"]);
    assert!(message.contains("is not a whole id"), "{message}");
}

#[test]
fn waits_until_a_deposit_is_active_drawn_or_closed() {
    let (node, payer, payee) = start();
    let list = format!("{}=0.1ether", payee.address);
    let id = payer.ok(&[&["deposit", "create"][..], &terms(&list)].concat());
    let wait = |more: &[&'static str]| [&["deposit", "wait", &id][..], more].concat();
    assert_eq!(payer.ok(&wait(&[])), "active");
    for state in ["drawn", "closed"] {
        let message = payer.fails(5, &wait(&["--until", state, "--timeout", "1s"]));
        assert!(
            message.contains(&format!("is not {state} after 1s")),
            "{message}"
        );
    }
    node.advance(601);
    let until_drawn = payer.json(&wait(&["--until", "drawn", "--timeout", "1m"]));
    assert_eq!(until_drawn["state"], json!("drawn"));
    let message = payer.fails(1, &wait(&[]));
    assert!(message.contains("will not be active"), "{message}");
    node.advance(3_601);
    let message = payer.fails(5, &wait(&["--until", "closed", "--timeout", "1s"]));
    assert!(message.contains("`cheque deposit reclaim"), "{message}");
    payer.ok(&["deposit", "reclaim", &id]);
    assert_eq!(payer.ok(&wait(&["--until", "closed"])), "reclaimed");
}

#[test]
fn pays_a_list_and_tells_each_payment() {
    let (node, payer, payee) = start();
    let allowance = format!("{}=0.4ether", payee.address);
    let id = payer.ok(&[&["deposit", "create"][..], &terms(&allowance)].concat());
    let (short, stranger) = (&id[..10], node.address(2));
    let list = format!(
        "name,address,amount\nbob,{},0.1ether\ncarol,{stranger},5\n",
        payee.address
    );
    let write = ["write", short, "--file", "-"];
    let output = payer.piped(&list, &write);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 of 2 payments were not made"));
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["name"], &lines[0]["entry"]),
        (&json!("bob"), &json!(1))
    );
    assert_eq!(lines[1]["code"], json!("not_listed"), "{}", lines[1]);
    assert!(lines[1]["proof"].is_null());
    let proof = lines[0]["proof"].as_str().unwrap();
    let received = payee.json(&["receive", proof]);
    assert_eq!(received["total"], json!("100000000000000000"));

    // More than the allowance is left, and the others are paid.
    let both = format!("{},1ether\n", payee.address);
    assert_eq!(payer.piped(&both, &write).status.code(), Some(6));
    // A wrong list pays nothing.
    let spent = || payer.json(&["deposit", "show", short])["paid"].clone();
    let before = spent();
    for list in [
        format!("{0},5\n{0},6\n", payee.address),
        format!("{},5\n0x12,6\n", payee.address),
        format!("{},5\n{stranger},0.5\n", payee.address),
        String::new(),
    ] {
        let output = payer.piped(&list, &write);
        assert_eq!(output.status.code(), Some(1), "{list}");
        assert_eq!(text(&output.stdout), "", "{list}");
    }
    assert_eq!(spent(), before);
    let output = payer.piped(&format!("{},5\n", payee.address), &write);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn pays_payees_by_the_names_of_the_list() {
    let (node, payer, payee) = start();
    let bob = &payee.address;
    let (one, other) = (node.address(2), node.address(3));
    let list = format!("bob,{bob},0.4ether\ntwin,{one},5\ntwin,{other},5\n");
    let terms = ["--draw-in", "10m", "--redeem-window", "1h"];
    let create = [&["deposit", "create", "--allowances", "-"][..], &terms].concat();
    let created = payer.piped(&list, &create);
    assert!(created.status.success(), "{}", stderr(&created));
    let id = text(&created.stdout);

    let proof = payer.ok(&["write", &id, "bob", "0.1ether"]);
    let received = payee.json(&["receive", &proof]);
    assert_eq!(received["total"], json!("100000000000000000"));
    let again = payer.json(&["write", &id, "bob", "--reprint"]);
    assert_eq!(again["payee"], json!(bob));
    let stream = payer.ok(&["stream", "open", &id, "bob", "1000"]);
    payee.ok(&["receive", &stream]);
    let step = payer.ok(&["stream", "step", &id, "bob"]);
    let received = payee.json(&["receive", &step]);
    assert_eq!(received["total"], json!("100000000000001000"));

    let shown = payer.json(&["deposit", "show", &id, "--payees"]);
    assert_eq!(shown["names"][bob.to_lowercase()], json!("bob"));
    let shown = payer.ok(&["deposit", "show", &id, "--payees"]);
    assert_eq!(shown.matches("twin").count(), 2, "{shown}");
    for (name, code, said) in [
        ("carol", 1, "no payee named `carol`"),
        ("Bob", 1, "no payee named `Bob`"),
        ("twin", 1, "several payees named `twin`"),
        ("0xbob", 2, "is not an address"),
        ("", 2, "neither an address nor a name"),
    ] {
        let message = payer.fails(code, &["write", &id, name, "5"]);
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn finds_and_reclaims_deposits_without_a_store() {
    let (node, payer, payee) = start();
    let list = format!("{}=0.1ether", payee.address);
    let terms = terms(&list);
    let create = || payer.json(&[&["deposit", "create"][..], &terms].concat())["id"].clone();
    let (first, second) = (create(), create());
    // Another machine with the same key and no store.
    let fresh = node.machine(0);
    let found = fresh.json(&["deposit", "find", "--from-block", "0"]);
    assert_eq!(found[0]["id"], first);
    assert_eq!(found[1]["id"], second);
    assert_eq!(found[1]["open"], json!(true));
    assert_eq!(found[1]["amount"], json!("100000000000000000"));
    let later = (node.head() + 1).to_string();
    assert_eq!(
        fresh.json(&["deposit", "find", "--from-block", &later]),
        json!([])
    );
    let stranger = [
        "deposit",
        "find",
        "--payer",
        &payee.address,
        "--from-block",
        "0",
    ];
    assert_eq!(fresh.json(&stranger), json!([]));

    let first = first.as_str().unwrap();
    let reclaim = ["deposit", "reclaim", first, "--from-block"];
    let message = fresh.fails(1, &[&reclaim[..], &["0"]].concat());
    assert!(message.contains("reclaiming the deposit"), "{message}");
    node.advance(4_202);
    let message = fresh.fails(1, &[&reclaim[..], &[&later[..]]].concat());
    assert!(message.contains("was not opened in blocks"), "{message}");
    let dry = fresh.json(&[&reclaim[..], &["0", "--dry-run"]].concat());
    assert_eq!(dry["transaction"]["sent"], json!(false));
    let done = fresh.json(&[&reclaim[..], &["0"]].concat());
    assert_eq!(done["amount"], json!("100000000000000000"));
    let open = fresh.json(&["deposit", "find", "--from-block", "0", "--open"]);
    assert_eq!(open.as_array().unwrap().len(), 1);
    assert_eq!(open[0]["id"], second);
    assert!(!fresh.store().exists());
}
