//! `cheque payer run`: a payer that opens one round after the other, and pays over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Machine, Node, pause};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

/// A running service; killed with the test, as by signal 9.
struct Service {
    child: Child,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    /// Starts `payer run` or `payee run`, and waits until it listens.
    fn start(machine: &Machine, who: &str, more: &[&str]) -> Self {
        let args = ["--json", who, "run", "--listen", "127.0.0.1:0"];
        let mut child = machine
            .command(&[&args[..], more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("it listens");
        let url = said["listening"].as_str().expect("an address");
        let address = url.strip_prefix("http://").expect("a URL").to_owned();
        Self { child, address }
    }

    /// A request that is sent, with the answer to be read.
    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("it reads");
        stream
    }

    /// Status and body of an answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut answer = String::new();
        let mut stream = self.send(method, path, body);
        stream.read_to_string(&mut answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).expect("a status");
        (status.parse().expect("a number"), body.to_owned())
    }

    /// Status and body of an answer, both in JSON.
    fn request(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.ask(method, path, &body.to_string());
        let json = serde_json::from_str(&body);
        (status, json.unwrap_or_else(|_| panic!("{path}: {body}")))
    }

    /// What it answers, which is to be good.
    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"))
    }

    /// Ends it in order.
    fn stop(mut self) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status();
        assert!(killed.expect("kill runs").success());
        let status = self.child.wait().expect("it has ended");
        assert_eq!(status.code(), Some(0));
    }
}

/// A payer, run by a service.
struct Payer(Service);

impl Payer {
    fn start(machine: &Machine, more: &[&str]) -> Self {
        Self(Service::start(machine, "payer", more))
    }

    fn pay(&self, payee: &str, amount: &str) -> (u16, Value) {
        let wish = json!({ "payee": payee, "amount": amount });
        self.0.request("POST", "/cheques", &wish)
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
fn payer(node: &Node) -> Machine {
    let payer = node.machine(0);
    payer.ok(&["deploy"]);
    let (first, second) = (node.address(1), node.address(2));
    let list = format!("{first},0.4ether\n{second},0.1ether\n");
    std::fs::write(payer.folder().join("payees.csv"), list).unwrap();
    payer
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
    let service = Payer::start(&payer, &rounds);
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
    drop(service);
    let service = Payer::start(&payer, &rounds);
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
    let mut events = BufReader::new(service.0.send("GET", "/events", "")).lines();
    node.mine(45);
    service.reaches(0, "expired");
    let event = events.find_map(|line| {
        let line = line.unwrap();
        Some(line.strip_prefix("data: ")?.to_owned())
    });
    let event: Value = serde_json::from_str(&event.unwrap()).unwrap();
    let change = (&event["deposit"], &event["before"], &event["state"]);
    assert_eq!(change, (&first["id"], &json!("active"), &json!("expired")));
    let second = service.reaches(1, "active");
    let (status, paid) = service.pay(&payee.address, "7");
    assert_eq!((status, &paid["deposit"]), (200, &second["id"]));
    node.mine(45);
    service.reaches(1, "expired");
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
    let (_, metrics) = service.0.ask("GET", "/metrics", "");
    assert!(
        metrics.contains("\ncheque_payer_payments_total 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\ncheque_payer_round_blocked 1\n"),
        "{metrics}"
    );
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
        let (answered, refused) = service.0.request("POST", "/cheques", &wish);
        assert_eq!(
            (answered, &refused["code"]),
            (status, &json!(code)),
            "{wish}"
        );
        assert!(refused["error"].is_string(), "{refused}");
    }
    let (status, _) = service.0.ask("POST", "/cheques", "{");
    assert_eq!(status, 400);
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
        assert_eq!(service.0.ask("GET", &path, "").0, status, "{path}");
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
