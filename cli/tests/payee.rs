//! `cheque payee run`: payments over HTTP and redeemed wins.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Machine, Node, service::Service};

/// A running payee.
struct Payee(Service);

impl Payee {
    fn start(machine: &Arc<Machine>, flags: &[&str]) -> Self {
        Self(Service::run(machine, "payee", flags, None))
    }

    fn pay(&self, payment: &Value) -> (u16, Value) {
        self.0.ask("POST", "/payments", Some(payment))
    }

    fn deposit(&self) -> Value {
        self.0.get("/deposits")["deposits"][0].clone()
    }

    /// Waits until the only deposit is in this state.
    fn wait_for(&self, state: &str) -> Value {
        let in_state = || Some(self.deposit()).filter(|deposit| deposit["state"] == json!(state));
        support::wait_for(in_state)
            .unwrap_or_else(|| panic!("the deposit stays {}", self.deposit()))
    }
}

#[test]
fn takes_payments_survives_a_kill_and_redeems_its_win() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), Arc::new(node.machine(1)));
    let id = payer.open_for(&payee.address);
    let write = |amount| payer.ok(&["write", &id, &payee.address, amount]);
    let (first, second) = (write("0.1ether"), write("0.1ether"));

    let mut service = Payee::start(&payee, &[]);
    let (status, early) = service.pay(&json!({ "proof": second }));
    assert_eq!((status, &early["code"]), (402, &json!("unknown_deposit")));
    let (status, paid) = service.pay(&json!({ "proof": first, "from": payer.address }));
    assert_eq!(status, 200, "{paid}");
    assert_eq!(
        (&paid["deposit"], &paid["credit_to"], &paid["total"]),
        (
            &json!(id),
            &json!(payer.address),
            &json!("100000000000000000")
        )
    );
    assert_eq!(paid["value"], paid["credited"]);
    // The answered payment is on disk.
    service.0.kill_and_restart();
    let (status, again) = service.pay(&json!({ "proof": first }));
    assert_eq!((status, &again["code"]), (409, &json!("replay")));
    // A caller that lost the answer learns what was credited then.
    for field in [
        "deposit",
        "credit_to",
        "token",
        "value",
        "total",
        "credited",
    ] {
        assert_eq!(again[field], paid[field], "{field}");
    }
    assert_eq!(service.pay(&json!({ "proof": second })).0, 200);
    let (status, stale) = service.pay(&json!({ "proof": first }));
    assert_eq!((status, &stale["code"]), (409, &json!("stale")));
    assert_eq!(
        stale["newest"],
        json!([second]),
        "the answer must carry the newest proof"
    );
    assert_eq!(stale["total"], json!("200000000000000000"));
    assert_eq!(stale["value"], Value::Null, "of another payment");
    assert!(stale["credited"].is_string(), "{stale}");
    let foreign = json!({ "proof": write("1gwei"), "from": payee.address });
    let (status, foreign) = service.pay(&foreign);
    assert_eq!((status, &foreign["code"]), (422, &json!("wrong_from")));
    for nonsense in [
        json!({ "proof": "x" }),
        json!({}),
        json!({ "proof": "", "x": 1 }),
        json!([first]),
        json!({ "proof": 7 }),
        // The last letter's case is wrong.
        json!({ "proof": first, "from": "0x70997970C51812dc3A010C7d01b50e0d17dc79c8" }),
    ] {
        let (status, rejected) = service.pay(&nonsense);
        assert_eq!(status, 422, "{rejected}");
        assert!(rejected["error"].is_string(), "{rejected}");
    }
    let receiving = service.deposit();
    assert_eq!(receiving["state"], json!("receiving"));
    let draw = receiving["draw_time"].as_u64().unwrap();
    assert_eq!(receiving["estimated_expiry"], json!(draw - 30));

    // The draw happens while the service is down.
    service.0.kill();
    node.advance(602);
    service.0.restart();
    let redeemed = service.wait_for("redeemed");
    let reason = redeemed["reason"].as_str().unwrap();
    assert!(reason.contains("paid 200000000000000000 units"), "{reason}");
    assert_eq!(
        node.nonce(1),
        json!("0x1"),
        "the payee must send one transaction"
    );
    service.0.get("/health");
    let metrics: Vec<_> = service.0.lines("/metrics").map(Result::unwrap).collect();
    for metric in [
        "cheque_payee_deposits{state=\"redeemed\"} 1",
        "cheque_payee_transactions_stuck 0",
    ] {
        assert!(metrics.iter().any(|line| line == metric), "{metrics:?}");
    }

    service.0.stop();
    let balance = payee.json(&["balance"])["balance"].clone();
    assert_eq!(balance, json!("200000000000000000"));
    assert_eq!(
        payee.json(&["holdings"])["deposits"][0]["state"],
        json!("redeemed")
    );
}

#[test]
fn lists_holdings_by_page_and_state() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), Arc::new(node.machine(1)));
    let mut ids = vec![payer.open_for(&payee.address)];
    let allowance = format!("{}=0.4ether", payee.address);
    for lane in ["2", "3"] {
        let create = [
            "deposit",
            "create",
            "--allowance",
            &allowance,
            "--lane",
            lane,
        ];
        let terms = ["--draw-in", "10m", "--min-payout", "0"];
        let opened = payer.json(&[&create[..], &terms].concat());
        ids.push(opened["id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    let service = Payee::start(&payee, &[]);
    for id in &ids {
        let proof = payer.ok(&["write", id, &payee.address, "0.2ether"]);
        assert_eq!(service.pay(&json!({ "proof": proof })).0, 200);
    }
    let listed = |query: &str| {
        let page = service.0.get(&format!("/deposits?{query}"));
        let deposits = page["deposits"].as_array().unwrap().clone();
        let found = deposits
            .iter()
            .map(|deposit| deposit["deposit"].as_str().unwrap().to_owned());
        (found.collect::<Vec<_>>(), page["next"].clone(), page)
    };
    // Also the deposits that no step has seen yet.
    let (found, next, _) = listed("");
    assert_eq!((&found, &next), (&ids, &Value::Null));
    let (found, next, _) = listed("limit=2");
    assert_eq!((&found[..], &next), (&ids[..2], &json!(ids[1])));
    let (found, next, _) = listed(&format!("limit=2&after={}", ids[1]));
    assert_eq!((&found[..], &next), (&ids[2..], &Value::Null));

    let events = service.0.lines("/events");
    node.advance(602);
    let drawn = || {
        let (found, _, page) = listed("state=redeemed&limit=2");
        (found.len() == 2).then_some(page)
    };
    let page = support::wait_for(drawn).expect("the wins must be redeemed");
    assert!(page["counts"]["redeemed"].as_u64() >= Some(2), "{page}");
    assert_eq!(listed("state=receiving").0.len(), 0);
    // The stream has told the change of each.
    let changes = events.filter_map(|line| {
        let line = line.unwrap();
        serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok()
    });
    let mut redeemed = changes.filter(|change| change["state"] == json!("redeemed"));
    let first = redeemed.next().unwrap();
    assert!(
        ids.contains(&first["deposit"].as_str().unwrap().to_owned()),
        "{first}"
    );
    assert!(first["reason"].is_string(), "{first}");
    for bad in ["limit=x", "state=lost", "page=2"] {
        let (status, refused) = service.0.ask("GET", &format!("/deposits?{bad}"), None);
        assert_eq!(
            (status, &refused["code"]),
            (400, &json!("bad_request")),
            "{bad}"
        );
    }
}

#[test]
fn tells_its_terms_before_anybody_pays() {
    let node = Node::start();
    let payee = Arc::new(node.machine(1));
    node.machine(0).deploy();
    let service = Payee::start(&payee, &["--max-deposit", "2ether", "--cutoff", "40s"]);
    let terms = service.0.get("/terms");
    assert_eq!(terms["payee"], json!(payee.address));
    assert_eq!(terms["bank"], json!(payee.bank().to_lowercase()));
    assert_eq!(terms["cutoff"], json!(40));
    let coin = &terms["tokens"][0];
    assert_eq!(coin["max_deposit"], json!("2000000000000000000"));
    assert_eq!(coin["max_exposure"], json!("1000000000000000000"));
    let units = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
    let cost = units(&coin["redeem_cost"]);
    assert!(cost > 0);
    assert_eq!(units(&coin["min_payout"]), 10 * cost);
}

#[test]
fn takes_payments_without_a_wallet_but_cannot_redeem() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), Arc::new(node.keyless()));
    let address = node.address(1);
    let id = payer.open_for(&address);
    let proof = payer.ok(&["write", &id, &address, "0.2ether"]);
    let service = Payee::start(&payee, &["--payee", &address]);
    assert_eq!(service.pay(&json!({ "proof": proof })).0, 200);
    node.advance(602);
    let won = service.wait_for("won");
    let reason = won["reason"].as_str().unwrap();
    assert!(reason.contains("no wallet to redeem it with"), "{reason}");
    assert_eq!(node.nonce(1), json!("0x0"));

    let other = node.machine(2);
    let run = ["payee", "run", "--listen", "127.0.0.1:0"];
    let error = other.fails(1, &[&run[..], &["--payee", &address]].concat());
    assert!(
        error.contains("redeem with the payee's own wallet"),
        "{error}"
    );
}
