//! `cheque payer run`: rounds, and payments over HTTP.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Machine, Node, http::request_with, service::Service};

/// A running payer.
struct Payer(Service);

impl Payer {
    fn start(machine: &Arc<Machine>, flags: &[&str]) -> Self {
        Self(Service::run(machine, "payer", flags, None))
    }

    fn pay(&self, payee: &str, amount: &str) -> (u16, Value) {
        let request = json!({ "payee": payee, "amount": amount });
        self.0.ask("POST", "/cheques", Some(&request))
    }

    fn deposits(&self) -> Vec<Value> {
        let listed = self.0.get("/deposits");
        listed["deposits"].as_array().unwrap().clone()
    }

    /// Waits until the deposit of this index, in the order of draws, is in this state.
    fn wait_for(&self, index: usize, state: &str) -> Value {
        let in_state = || {
            let deposit = self.deposits().get(index)?.clone();
            (deposit["state"] == json!(state)).then_some(deposit)
        };
        support::wait_for(in_state)
            .unwrap_or_else(|| panic!("no deposit is {state}: {:?}", self.0.get("/deposits")))
    }
}

/// Creates a payer with a bank and a file that lists two payees.
fn payer(node: &Node) -> Arc<Machine> {
    let payer = node.machine(0);
    payer.deploy();
    let (first, second) = (node.address(1), node.address(2));
    let list = format!("{first},0.4ether\n{second},0.1ether\n");
    std::fs::write(payer.folder().join("payees.csv"), list).unwrap();
    Arc::new(payer)
}

const ROUNDS: [&str; 6] = [
    "--allowances",
    "payees.csv",
    "--draw-in",
    "10m",
    "--min-payout",
    "0",
];

#[test]
fn opens_rounds_pays_survives_a_kill_and_reports_events() {
    let node = Node::start();
    let (payer, payee) = (payer(&node), node.machine(1));
    let budget = ["--daily-budget", "1ether"];
    let rounds = [&ROUNDS[..], &budget].concat();
    let mut service = Payer::start(&payer, &rounds);
    let first = service.wait_for(0, "active");
    assert_eq!(first["amount"], json!("500000000000000000"));
    let draw = first["draw_time"].as_u64().unwrap();
    assert_eq!(first["estimated_expiry"], json!(draw - 45));
    let (status, paid) = service.pay(&payee.address, "100000000000000000");
    assert_eq!(status, 200, "{paid}");
    let proof = paid["proofs"][0].as_str().unwrap().to_owned();
    let spent = (
        &paid["payee"],
        &paid["deposit"],
        &paid["spent"],
        &paid["left"],
    );
    let (amount, left) = (json!("100000000000000000"), json!("300000000000000000"));
    assert_eq!(spent, (&json!(payee.address), &first["id"], &amount, &left));
    assert_eq!(payee.json(&["receive", &proof])["total"], amount);

    // The answered payment is on disk, and a caller that lost the answer finds it.
    service.0.kill_and_restart();
    let found = service.0.get(&format!("/payees/{}", payee.address));
    let found = &found["deposits"][0];
    assert_eq!(
        (&found["spent"], &found["opening"]),
        (&amount, &json!(proof))
    );
    let last = payee.fails(3, &["receive", found["proof"].as_str().unwrap()]);
    assert!(last.contains("counted before"), "{last}");
    let (_, more) = service.pay(&payee.address, "1");
    assert_eq!(more["spent"], json!("100000000000000001"));
    assert_eq!(
        service.deposits().len(),
        1,
        "the restart must keep the round"
    );

    // The second round opens in time; the third exceeds the budget.
    let mut events = service.0.lines("/events");
    node.advance(556);
    service.wait_for(0, "past_cutoff");
    let event = events.find_map(|line| {
        let line = line.unwrap();
        Some(line.strip_prefix("data: ")?.to_owned())
    });
    let event: Value = serde_json::from_str(&event.unwrap()).unwrap();
    let change = (&event["deposit"], &event["before"], &event["state"]);
    assert_eq!(
        change,
        (&first["id"], &json!("active"), &json!("past_cutoff"))
    );
    let second = service.wait_for(1, "active");
    let (status, paid) = service.pay(&payee.address, "7");
    assert_eq!((status, &paid["deposit"]), (200, &second["id"]));
    node.advance(556);
    service.wait_for(1, "past_cutoff");
    let round = support::wait_for(|| {
        let round = service.0.get("/deposits")["round"].clone();
        (round["blocked"] == json!(true)).then_some(round)
    });
    let round = round.expect("the round must be blocked");
    let reason = round["reason"].as_str().unwrap();
    assert!(
        reason.contains("the budget of a day is 1000000000000000000"),
        "{round}"
    );
    let (status, refused) = service.pay(&payee.address, "7");
    assert_eq!((status, &refused["code"]), (409, &json!("not_covered")));

    let one = service
        .0
        .get(&format!("/deposits/{}", first["id"].as_str().unwrap()));
    assert_eq!(one["spent"], json!("100000000000000001"));
    let left = &one["allowances_left"];
    assert_eq!(left[&payee.address], json!("299999999999999999"), "{one}");
    assert_eq!(left[node.address(2)], json!("100000000000000000"));
    assert_eq!(service.0.get("/health")["ok"], json!(true));
    let metrics: Vec<_> = service.0.lines("/metrics").map(Result::unwrap).collect();
    for metric in [
        "cheque_payer_payments_total 2",
        "cheque_payer_round_blocked 1",
    ] {
        assert!(metrics.iter().any(|line| line == metric), "{metrics:?}");
    }
    // The open stream of events does not delay the end.
    service.0.stop();
    let listed = payer.json(&["deposit", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
}

#[test]
fn keeps_several_deposits_open_and_pays_from_the_first_drawn() {
    let node = Node::start();
    let (payer, payee) = (payer(&node), node.machine(1));
    let rounds = ["--draw-in", "20m", "--every", "5m", "--min-payout", "0"];
    let list = ["--allowances", "payees.csv", "--redeem-window", "1h"];
    let service = Payer::start(&payer, &[&list[..], &rounds].concat());
    let first = service.wait_for(0, "active");
    node.advance(301);
    let second = service.wait_for(1, "active");
    let time = |deposit: &Value| deposit["draw_time"].as_u64().unwrap();
    let between = time(&second) - time(&first);
    assert!((300..400).contains(&between), "{between}");
    let (status, paid) = service.pay(&payee.address, "7");
    assert_eq!((status, &paid["deposit"]), (200, &first["id"]));
    // Both pay for what is more than the first has left.
    let (status, paid) = service.pay(&payee.address, "500000000000000000");
    assert_eq!((status, &paid["deposit"]), (200, &second["id"]));
    assert_eq!(paid["proofs"].as_array().unwrap().len(), 2);
}

#[test]
fn keeps_the_cutoffs_of_payee_and_flag() {
    let node = Node::start();
    let (payer, payee) = (payer(&node), node.machine(1));
    let service = Payer::start(&payer, &[&ROUNDS[..], &["--cutoff", "60s"]].concat());
    let first = service.wait_for(0, "active");
    let draw = first["draw_time"].as_u64().unwrap();
    assert_eq!(first["estimated_expiry"], json!(draw - 60));
    node.advance(draw - 100 - node.now());
    let pay = |cutoff: u64| {
        let request = json!({ "payee": payee.address, "amount": "7", "payee_cutoff": cutoff });
        service.0.ask("POST", "/cheques", Some(&request))
    };
    let (status, refused) = pay(120);
    assert_eq!((status, &refused["code"]), (409, &json!("not_covered")));
    let (status, paid) = pay(30);
    assert_eq!((status, &paid["spent"]), (200, &json!("7")));
}

#[test]
fn opens_deposits_at_the_usual_times_without_further_flags() {
    let node = Node::start();
    let service = Payer::start(&payer(&node), &["--allowances", "payees.csv"]);
    let first = service.wait_for(0, "active");
    let draw = first["draw_time"].as_u64().unwrap();
    let window = first["redeem_until"].as_u64().unwrap() - draw;
    assert_eq!(window, 86_400);
    // Half an hour to the next deposit, and the margins of a local chain.
    let ahead = draw - node.now();
    assert!((1_800..1_860).contains(&ahead), "{ahead}");
}

#[test]
fn rejects_bad_requests_without_paying() {
    let node = Node::start();
    let payer = payer(&node);
    let service = Payer::start(&payer, &ROUNDS);
    let id = service.wait_for(0, "active")["id"].clone();
    let request = |payee: &str, amount: Value| json!({ "payee": payee, "amount": amount });
    let (payee, stranger) = (node.address(1), node.address(5));
    for (request, status, code) in [
        (request(&payee, json!("0")), 422, "bad_amount"),
        (
            request(&payee, json!("400000000000000001")),
            409,
            "not_covered",
        ),
        (request(&stranger, json!("1")), 409, "not_listed"),
        (request("0x12", json!("1")), 422, "bad_request"),
        (request(&payee, json!("1e18")), 422, "bad_request"),
        (request(&payee, json!("-1")), 422, "bad_request"),
        (json!({ "payee": payee }), 422, "bad_request"),
        (
            json!({ "payee": payee, "amount": "1", "from": payee }),
            422,
            "bad_request",
        ),
        (
            json!({ "payee": payee, "amount": "1", "payee_cutoff": -1 }),
            422,
            "bad_request",
        ),
        (json!([]), 422, "bad_request"),
        (json!([payee, "1"]), 422, "bad_request"),
        (request(&payee, json!(1e17)), 422, "bad_request"),
        (
            json!({ "payee": payee, "amount": "1", "id": "a b" }),
            422,
            "bad_request",
        ),
        (
            json!({ "payee": payee, "amount": "1", "preview": 1 }),
            422,
            "bad_request",
        ),
    ] {
        let (answered, refused) = service.0.ask("POST", "/cheques", Some(&request));
        assert_eq!(
            (answered, &refused["code"]),
            (status, &json!(code)),
            "{request}"
        );
        assert!(refused["error"].is_string(), "{refused}");
    }
    for (path, status) in [
        (format!("/deposits/{payee}"), 400),
        (format!("/deposits/0x{}", "5".repeat(64)), 404),
        ("/payees/me".to_owned(), 400),
        // The last letter's case is wrong.
        (
            "/payees/0x70997970C51812dc3A010C7d01b50e0d17dc79c8".to_owned(),
            400,
        ),
        ("/deposits?limit=0".to_owned(), 400),
        ("/deposits?state=lost".to_owned(), 400),
    ] {
        assert_eq!(service.0.ask("GET", &path, None).0, status, "{path}");
    }
    let one = service
        .0
        .get(&format!("/deposits/{}", id.as_str().unwrap()));
    assert_eq!(one["spent"], json!("0"));
}

#[test]
fn pays_once_for_repeated_requests_of_one_id() {
    let node = Node::start();
    let payee = node.address(1);
    let mut service = Payer::start(&payer(&node), &ROUNDS);
    service.wait_for(0, "active");
    let request = |amount: &str, id: &str| json!({ "payee": payee, "amount": amount, "id": id });
    let ask = |service: &Payer, request: &Value| service.0.ask("POST", "/cheques", Some(request));
    let (status, first) = ask(&service, &request("7", "one"));
    assert_eq!(
        (status, &first["repeated"]),
        (200, &json!(false)),
        "{first}"
    );

    // The same proofs, also after a restart and after other payments.
    let (_, second) = ask(&service, &request("5", "two"));
    assert_eq!(second["spent"], json!("12"));
    service.0.kill_and_restart();
    let (status, again) = ask(&service, &request("7", "one"));
    assert_eq!((status, &again["repeated"]), (200, &json!(true)), "{again}");
    for field in ["proofs", "deposit", "spent", "left"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    let url = service.0.url.get();
    let plain = json!({ "payee": payee, "amount": "7" });
    let named = |name: &str| {
        let header = format!("idempotency-key: {name}\r\n");
        request_with(&header, &url, "POST", "/cheques", Some(&plain)).unwrap()
    };
    assert_eq!(named("\"one\"").1["proofs"], first["proofs"]);

    // Another payment of the same name is refused.
    for other in [
        request("8", "one"),
        json!({ "payee": node.address(2), "amount": "7", "id": "one" }),
    ] {
        let (status, refused) = ask(&service, &other);
        assert_eq!(
            (status, &refused["code"]),
            (409, &json!("id_reused")),
            "{other}"
        );
    }

    // Eight at once are one payment.
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (url, request) = (url.clone(), request("100", "three"));
            std::thread::spawn(move || {
                request_with("", &url, "POST", "/cheques", Some(&request)).unwrap()
            })
        })
        .collect();
    let answers: Vec<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    for (status, answer) in &answers {
        assert_eq!(
            (*status, &answer["spent"]),
            (200, &json!("112")),
            "{answer}"
        );
        assert_eq!(answer["proofs"], answers[0].1["proofs"]);
    }
    let made = answers
        .iter()
        .filter(|(_, answer)| answer["repeated"] == json!(false));
    assert_eq!(made.count(), 1);

    // Without a name, each request pays.
    for spent in ["119", "126"] {
        let (_, paid) = ask(&service, &plain);
        assert_eq!(paid["spent"], json!(spent));
    }
}

#[test]
fn previews_a_payment_with_its_value_and_pays_nothing() {
    let node = Node::start();
    let payee = node.address(1);
    let service = Payer::start(&payer(&node), &ROUNDS);
    service.wait_for(0, "active");
    let request = json!({ "payee": payee, "amount": "100000000000000000", "preview": true });
    let (status, shown) = service.0.ask("POST", "/cheques", Some(&request));
    assert_eq!((status, &shown["preview"]), (200, &json!(true)), "{shown}");
    assert_eq!(shown["proofs"], Value::Null);
    let part = &shown["parts"][0];
    assert_eq!(part["spent"], json!("100000000000000000"));
    assert_eq!(part["payout"], json!("125000000000000000"));
    let units = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
    // The chance is 4 of 5, so four fifths of the cost are missing in the value, rounded down.
    let (value, cost) = (units(&part["value"]), units(&part["redeem_cost"]));
    assert_eq!(value, (units(&part["payout"]) - cost) * 4 / 5);
    assert!(cost > 0);
    let deposit = service.deposits()[0]["id"].as_str().unwrap().to_owned();
    let one = service.0.get(&format!("/deposits/{deposit}"));
    assert_eq!(one["spent"], json!("0"));

    // The list by state has the deposit once.
    let listed = service.0.get("/deposits?state=active&limit=1");
    assert_eq!(listed["deposits"].as_array().unwrap().len(), 1);
    assert_eq!(listed["next"], Value::Null);
    assert_eq!(
        service.0.get("/deposits?state=reclaimed")["deposits"],
        json!([])
    );
}

#[test]
fn rejects_bad_rounds_keys_and_lists_at_startup() {
    let node = Node::start();
    let payer = payer(&node);
    let run = ["payer", "run", "--listen", "127.0.0.1:0"];
    let fails = |more: &[&str]| payer.fails(1, &[&run[..], more].concat());
    let file = ["--allowances", "payees.csv", "--draw-in"];
    // A second to be mined, one to pay in before the cutoff of 45 s, and one to open the next round.
    let error = fails(&[&file[..], &["47"]].concat());
    assert!(error.contains("the minimum is 48"), "{error}");
    let error = fails(&[&file[..], &["5m", "--every", "5m"]].concat());
    assert!(error.contains("the minimum is 348"), "{error}");
    let error = fails(&["--allowances", "gone.csv"]);
    assert!(error.contains("gone.csv"), "{error}");
    let error = fails(&["--allowances", "-", "--draw-in", "10m"]);
    assert!(error.contains("name a file"), "{error}");
    let error = fails(&[&ROUNDS[..], &["--signer-keystore", "gone.json"]].concat());
    assert!(error.contains("gone.json"), "{error}");
    for wrong in [
        &["--allowances", "payees.csv", "--every", "5m"][..],
        &["--draw-in", "10m"],
        &["--retention", "1 fortnight"],
        &[&ROUNDS[..], &["--nearly-spent", "0.9"]].concat(),
    ] {
        payer.fails(2, &[&run[..], wrong].concat());
    }
    let keyless = node.keyless();
    assert!(keyless.fails(1, &run).contains("key is not named"));
}
