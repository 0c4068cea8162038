//! `cheque payee run`: a payee that takes payments over HTTP and cashes what it wins.

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
    fn start(machine: &Machine, more: &[&str]) -> Self {
        let args = ["--json", "payee", "run", "--listen", "127.0.0.1:0"];
        let mut child = machine
            .command(&[&args[..], more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("it listens");
        let url = said["listening"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    /// Status and body of an answer.
    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn pay(&self, payment: Value) -> (u16, Value) {
        let (status, body) = self.request("POST", "/payments", &payment.to_string());
        (status, serde_json::from_str(&body).unwrap())
    }

    fn deposit(&self) -> Value {
        let (status, body) = self.request("GET", "/deposits", "");
        assert_eq!(status, 200, "{body}");
        let ledger: Value = serde_json::from_str(&body).unwrap();
        ledger["deposits"][0].clone()
    }

    /// Waits until the only deposit is in this state.
    fn reaches(&self, state: &str) -> Value {
        for _ in 0..200 {
            let deposit = self.deposit();
            if deposit["state"] == json!(state) {
                return deposit;
            }
            pause(50);
        }
        panic!("it stays {}", self.deposit());
    }
}

fn deposit(payer: &Machine, payee: &str) -> String {
    payer.ok(&["deploy"]);
    let allowance = format!("{payee}=0.4ether");
    let create = ["deposit", "create", "--allowance", &allowance];
    // The only payee, and a prize of whatever was spent: it wins for certain.
    let terms = ["--draw-in", "60", "--min-payout", "0"];
    let opened = payer.json(&[&create[..], &terms].concat());
    opened["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_payee_takes_payments_over_http_survives_a_kill_and_redeems_what_it_wins() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.machine(1));
    let id = deposit(&payer, &payee.address);
    let write = |amount| payer.ok(&["write", &id, &payee.address, amount]);
    let (first, second) = (write("0.1ether"), write("0.1ether"));

    let service = Service::start(&payee, &[]);
    let (status, early) = service.pay(json!({ "proof": second }));
    assert_eq!((status, &early["code"]), (402, &json!("unknown_deposit")));
    let (status, paid) = service.pay(json!({ "proof": first, "from": payer.address }));
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
    // What was answered is on disk.
    drop(service);
    let service = Service::start(&payee, &[]);
    let (status, again) = service.pay(json!({ "proof": first }));
    assert_eq!((status, &again["code"]), (409, &json!("replay")));
    assert_eq!(service.pay(json!({ "proof": second })).0, 200);
    let (status, stale) = service.pay(json!({ "proof": first }));
    assert_eq!((status, &stale["code"]), (409, &json!("stale")));
    assert_eq!(stale["newest"], json!([second]), "to go on from");
    let foreign = json!({ "proof": write("1gwei"), "from": payee.address });
    let (status, foreign) = service.pay(foreign);
    assert_eq!((status, &foreign["code"]), (422, &json!("wrong_from")));
    for nonsense in [
        json!({ "proof": "x" }),
        json!({}),
        json!({ "proof": "", "x": 1 }),
    ] {
        let (status, refused) = service.pay(nonsense);
        assert_eq!(status, 422, "{refused}");
        assert!(refused["error"].is_string(), "{refused}");
    }
    assert_eq!(service.deposit()["state"], json!("receiving"));

    // Drawn while nobody was there.
    drop(service);
    node.mine(70);
    let mut service = Service::start(&payee, &[]);
    let redeemed = service.reaches("redeemed");
    let reason = redeemed["reason"].as_str().unwrap();
    assert!(
        reason.contains("has paid 200000000000000000 units"),
        "{reason}"
    );
    assert_eq!(node.nonce(1), json!("0x1"), "one transaction");
    let (status, health) = service.request("GET", "/health", "");
    assert_eq!(status, 200, "{health}");
    let (_, metrics) = service.request("GET", "/metrics", "");
    for line in [
        "cheque_payee_deposits{state=\"redeemed\"} 1\n",
        "cheque_payee_transactions_stuck 0\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }

    // An end in order.
    let id = service.child.id().to_string();
    let killed = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(killed.success());
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    let balance = payee.json(&["balance"])["balance"].clone();
    assert_eq!(balance, json!("200000000000000000"));
    assert_eq!(
        payee.json(&["ledger"])["deposits"][0]["state"],
        json!("redeemed")
    );
}

#[test]
fn a_payee_without_a_wallet_takes_payments_and_says_that_it_cannot_redeem() {
    let node = Node::start();
    let (payer, payee) = (node.machine(0), node.keyless());
    let address = node.address(1);
    let id = deposit(&payer, &address);
    let proof = payer.ok(&["write", &id, &address, "0.2ether"]);
    let service = Service::start(&payee, &["--payee", &address]);
    assert_eq!(service.pay(json!({ "proof": proof })).0, 200);
    node.mine(70);
    let won = service.reaches("won");
    let reason = won["reason"].as_str().unwrap();
    assert!(reason.contains("no wallet to redeem it with"), "{reason}");
    assert_eq!(node.nonce(1), json!("0x0"));

    let other = node.machine(2);
    let said = other.fails(
        1,
        &[
            "payee",
            "run",
            "--listen",
            "127.0.0.1:0",
            "--payee",
            &address,
        ],
    );
    assert!(said.contains("redeeming takes the payee's own"), "{said}");
}
