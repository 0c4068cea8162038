//! `cheque gateway run`: an upstream's answers for cheques, from the offer to the redemption.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use support::{Machine, Node, http, service::Service};

/// 0.01 coin: a win of two requests covers its redemption.
const PRICE: &str = "0.01ether";
const PRICE_WEI: &str = "10000000000000000";

/// An answer of the gateway.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A running gateway that sells the node.
struct Gateway(Service);

impl Gateway {
    fn start(machine: &Arc<Machine>, node: &Node, flags: &[&str]) -> Self {
        let (machine, log) = (Arc::clone(machine), machine.folder().join("log"));
        let run = ["--json", "gateway", "run", "--create-store"];
        let at = [
            "--listen=127.0.0.1:0",
            "--operator-listen=127.0.0.1:0",
            "--upstream",
            &node.url(),
        ];
        let args = [&run[..], &at, flags].concat();
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let command = move || {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            machine.command(&args)
        };
        Self(Service::start(command, log))
    }

    /// Asks the upstream for a method, with these lines of header. The host is a part of what a payment buys, and the port
    /// changes with a restart.
    fn call(&self, method: &str, header: &str) -> Answer {
        let url = self.0.sells.get();
        let address = url.trim_start_matches("http://");
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] }).to_string();
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n{header}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    /// Gets a free document.
    fn get(&self, path: &str) -> Answer {
        let (status, body) = http::request(&self.0.sells.get(), "GET", path, None).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        Answer {
            status,
            head: String::new(),
            body,
        }
    }

    fn paid(&self, method: &str, proof: &str) -> Answer {
        self.call(method, &format!("cheque: {proof}\r\n"))
    }
}

#[test]
fn sells_each_answer_once_survives_a_kill_and_redeems() {
    let node = Node::start();
    let (payer, shop) = (node.machine(0), Arc::new(node.machine(1)));
    let id = payer.open_for(&shop.address);
    let write = || payer.ok(&["write", &id, &shop.address, PRICE]);
    let (first, second, third) = (write(), write(), write());
    let mut gateway = Gateway::start(&shop, &node, &["--price", PRICE]);

    let offered = gateway.call("eth_chainId", "");
    assert_eq!(offered.status, 402, "{offered:?}");
    assert!(offered.header("payment-required").is_some(), "{offered:?}");
    let challenge = offered.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with("Payment ") && challenge.contains("method=\"cheque\""),
        "{challenge}"
    );

    let served = gateway.paid("eth_chainId", &first);
    assert_eq!(served.status, 200, "{served:?}");
    assert_eq!(served.body["result"], json!("0x7a69"));
    assert_eq!(served.header("cheque-charged"), Some(PRICE_WEI));
    assert_eq!(served.header("cheque-balance"), Some("0"));

    // The later cheque comes first; each buys one answer.
    assert_eq!(gateway.paid("eth_chainId", &third).status, 200);
    let spent = gateway.paid("eth_gasPrice", &third);
    assert_eq!((spent.status, &spent.body["code"]), (402, &json!("used")));
    let late = gateway.call(
        "eth_chainId",
        &format!("cheque: {second}\r\ncheque-max: {PRICE_WEI}\r\n"),
    );
    assert_eq!(late.status, 200, "{late:?}");

    // A client that lost its answer gets it again, after a kill, too, and pays nothing.
    gateway.0.kill_and_restart();
    let again = gateway.paid("eth_chainId", &first);
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.body["result"], json!("0x7a69"));
    assert_eq!(gateway.paid("eth_gasPrice", &first).status, 402);

    let is_counted = || {
        let mut metrics = gateway.0.lines("/metrics").map(Result::unwrap);
        metrics.find(|line| line == "cheque_payee_deposits{state=\"receiving\"} 1")
    };
    support::wait_for(is_counted).expect("the payee must follow the deposit");
    let tokens = gateway.0.get("/offers")["tokens"].clone();
    assert_eq!(tokens[0]["terms"]["header"], json!("cheque"), "{tokens}");

    node.advance(602);
    let redeemed = || {
        let deposit = gateway.0.get("/deposits")["deposits"][0].clone();
        (deposit["state"] == json!("redeemed")).then_some(deposit)
    };
    let redeemed = support::wait_for(redeemed).expect("the win must be redeemed");
    let reason = redeemed["reason"].as_str().unwrap();
    assert!(reason.contains("paid 30000000000000000 units"), "{reason}");
    gateway.0.stop();
}

#[test]
fn reads_offers_again_on_sighup_but_no_wrong_ones() {
    let node = Node::start();
    let shop = Arc::new(node.machine(1));
    node.machine(0).deploy();
    let offers = shop.folder().join("offers.toml");
    let sell = |price: &str| {
        let text = format!("[tokens.eth]\n[[route]]\npath = '/**'\nprice = {{ eth = {price} }}\n");
        fs::write(&offers, text).unwrap();
    };
    sell("7");
    let mut gateway = Gateway::start(&shop, &node, &["--offers", "offers.toml"]);
    let price = |gateway: &Gateway| {
        let listed = gateway.get("/.well-known/cheque.json");
        listed.body["prices"][0]["prices"]["eth"]["amount"].clone()
    };
    assert_eq!(price(&gateway), json!("7"));
    let hang_up = |event: &str| {
        let pid = gateway.0.pid().to_string();
        let kill = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(kill.unwrap().success());
        let told = support::wait_for(|| gateway.0.log().contains(event).then_some(()));
        assert!(told.is_some(), "{event}: {}", gateway.0.log());
    };
    sell("9");
    hang_up("offers_reloaded");
    assert_eq!(price(&gateway), json!("9"));
    sell("-1");
    hang_up("offers_not_reloaded");
    assert_eq!(price(&gateway), json!("9"));
    gateway.0.stop();
}

#[test]
fn refuses_to_listen_to_others_without_tls() {
    let node = Node::start();
    let shop = node.machine(1);
    node.machine(0).deploy();
    let run = ["gateway", "run", "--create-store", "--price", PRICE];
    let at = ["--listen", "0.0.0.0:0", "--upstream", "http://127.0.0.1:1"];
    let free = ["--operator-listen", "127.0.0.1:0"];
    let said = shop.fails(1, &[&run[..], &at, &free].concat());
    assert!(
        said.contains("--tls-cert") && said.contains("--trusted-proxy"),
        "{said}"
    );
}
