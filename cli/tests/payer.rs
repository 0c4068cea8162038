//! `cheque payer run`: a payer that opens one round after the other, and pays over HTTP.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Machine, Node, http::request, pause, service::Service};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Lines, Write},
    net::TcpStream,
    sync::Arc,
};

/// A payer, run by a service.
struct Payer(Service);

impl Payer {
    fn start(machine: &Arc<Machine>, more: &[&str]) -> Self {
        let common = ["--json", "payer", "run", "--listen", "127.0.0.1:0"];
        let args: Vec<_> = common.iter().chain(more).map(ToString::to_string).collect();
        let (machine, log) = (machine.clone(), machine.folder().join("log"));
        let command = move || {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            machine.command(&args)
        };
        Self(Service::start(command, log))
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        request(&self.0.url.get(), method, path, body).unwrap()
    }

    /// An answer in text as it comes.
    fn lines(&self, path: &str) -> Lines<BufReader<TcpStream>> {
        let url = self.0.url.get();
        let address = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream).lines()
    }

    fn pay(&self, payee: &str, amount: &str) -> (u16, Value) {
        let wish = json!({ "payee": payee, "amount": amount });
        self.ask("POST", "/cheques", Some(&wish))
    }

    fn deposits(&self) -> Vec<Value> {
        let listed = self.0.get("/deposits");
        listed["deposits"].as_array().unwrap().clone()
    }

    /// Waits until the n-th deposit by draw is in this state.
    fn reaches(&self, index: usize, state: &str) -> Value {
        for _ in 0..200 {
            match self.deposits().get(index) {
                Some(deposit) if deposit["state"] == json!(state) => return deposit.clone(),
                _ => pause(50),
            }
        }
        panic!("not {state}: {:?}", self.0.get("/deposits"));
    }
}

/// A payer with a bank, and a file with a list of two payees.
fn payer(node: &Node) -> Arc<Machine> {
    let payer = node.machine(0);
    payer.ok(&["deploy"]);
    let (first, second) = (node.address(1), node.address(2));
    let list = format!("{first},0.4ether\n{second},0.1ether\n");
    std::fs::write(payer.folder().join("payees.csv"), list).unwrap();
    Arc::new(payer)
}

const ROUNDS: [&str; 6] = [
    "--allowances",
    "payees.csv",
    "--draw-in",
    "60",
    "--min-payout",
    "0",
];

#[test]
fn a_payer_opens_rounds_pays_over_http_survives_a_kill_and_tells_of_events() {
    let node = Node::start();
    let (payer, payee) = (payer(&node), node.machine(1));
    let budget = ["--daily-budget", "1ether"];
    let rounds = [&ROUNDS[..], &budget].concat();
    let mut service = Payer::start(&payer, &rounds);
    let first = service.reaches(0, "active");
    assert_eq!(first["amount"], json!("500000000000000000"));
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

    // What was answered is on disk, and who has lost the answer finds it.
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
    assert_eq!(service.deposits().len(), 1, "the same round");

    // The second round comes in time, the third is over the budget.
    let mut events = service.lines("/events");
    node.mine(45);
    service.reaches(0, "past_cutoff");
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
    let second = service.reaches(1, "active");
    let (status, paid) = service.pay(&payee.address, "7");
    assert_eq!((status, &paid["deposit"]), (200, &second["id"]));
    node.mine(45);
    service.reaches(1, "past_cutoff");
    for _ in 0..200 {
        if service.0.get("/deposits")["round"]["blocked"] == json!(true) {
            break;
        }
        pause(50);
    }
    let round = service.0.get("/deposits")["round"].clone();
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
    let metrics: Vec<_> = service.lines("/metrics").map(Result::unwrap).collect();
    for metric in [
        "cheque_payer_payments_total 2",
        "cheque_payer_round_blocked 1",
    ] {
        assert!(metrics.iter().any(|line| line == metric), "{metrics:?}");
    }
    // Also with a stream of events open.
    service.0.stop();
    let listed = payer.json(&["deposit", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
}

#[test]
fn requests_that_are_wrong_pay_nothing_and_say_why() {
    let node = Node::start();
    let payer = payer(&node);
    let service = Payer::start(&payer, &ROUNDS);
    let id = service.reaches(0, "active")["id"].clone();
    let wish = |payee: &str, amount: Value| json!({ "payee": payee, "amount": amount });
    let (payee, stranger) = (node.address(1), node.address(5));
    for (wish, status, code) in [
        (wish(&payee, json!("0")), 422, "bad_amount"),
        (
            wish(&payee, json!("400000000000000001")),
            409,
            "not_covered",
        ),
        (wish(&stranger, json!("1")), 409, "not_covered"),
        (wish("0x12", json!("1")), 422, "bad_request"),
        (wish(&payee, json!("1e18")), 422, "bad_request"),
        (wish(&payee, json!("-1")), 422, "bad_request"),
        (json!({ "payee": payee }), 422, "bad_request"),
        (
            json!({ "payee": payee, "amount": "1", "from": payee }),
            422,
            "bad_request",
        ),
        (json!([]), 422, "bad_request"),
    ] {
        let (answered, refused) = service.ask("POST", "/cheques", Some(&wish));
        assert_eq!(
            (answered, &refused["code"]),
            (status, &json!(code)),
            "{wish}"
        );
        assert!(refused["error"].is_string(), "{refused}");
    }
    for (path, status) in [
        (format!("/deposits/{payee}"), 400),
        (
            format!(
                "/deposits/{id}",
                id = json!(&id).as_str().unwrap().replace('1', "2")
            ),
            404,
        ),
        ("/payees/me".to_owned(), 400),
    ] {
        assert_eq!(service.ask("GET", &path, None).0, status, "{path}");
    }
    let one = service
        .0
        .get(&format!("/deposits/{}", id.as_str().unwrap()));
    assert_eq!(one["spent"], json!("0"));
}

#[test]
fn what_is_wrong_with_rounds_keys_or_lists_is_said_before_it_begins() {
    let node = Node::start();
    let payer = payer(&node);
    let run = ["payer", "run", "--listen", "127.0.0.1:0"];
    let fails = |more: &[&str]| payer.fails(1, &[&run[..], more].concat());
    let file = ["--allowances", "payees.csv", "--draw-in"];
    let said = fails(&[&file[..], &["22"]].concat());
    assert!(said.contains("the least is 23"), "{said}");
    let said = fails(&["--allowances", "gone.csv", "--draw-in", "60"]);
    assert!(said.contains("gone.csv"), "{said}");
    let said = fails(&["--allowances", "-", "--draw-in", "60"]);
    assert!(said.contains("name a file"), "{said}");
    let said = fails(&[&ROUNDS[..], &["--signer-keystore", "gone.json"]].concat());
    assert!(said.contains("gone.json"), "{said}");
    for wrong in [
        &["--allowances", "payees.csv"][..],
        &["--draw-in", "60"],
        &[&ROUNDS[..], &["--nearly-spent", "0.9"]].concat(),
    ] {
        payer.fails(2, &[&run[..], wrong].concat());
    }
    let keyless = node.keyless();
    assert!(keyless.fails(1, &run).contains("this needs a key"));
}
