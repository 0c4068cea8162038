//! Hostile callers of a service: floods of connections, unfinished requests, requests of web pages.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::Arc,
};

use cheque::service::http::raise_descriptor_limit;
use serde_json::{Value, json};
use support::{
    Machine, Node,
    http::{request_as, request_with},
    service::Service,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Starts a payee with a token, whose process may open this many descriptors.
fn payee(machine: &Arc<Machine>, descriptors: u64) -> Service {
    let (machine, log) = (Arc::clone(machine), machine.folder().join("log"));
    fs::write(machine.folder().join("token"), TOKEN).unwrap();
    let command = move || {
        let run = ["--json", "payee", "run", "--listen", "127.0.0.1:0"];
        let token = ["--api-token-file", "token", "--create-store"];
        let service = machine.command(&[&run[..], &token].concat());
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""),
            ])
            .arg(service.get_program())
            .args(service.get_args())
            .current_dir(machine.folder())
            .env_clear();
        for (name, value) in service.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    };
    Service::start(command, log)
}

fn ask(service: &Service, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    request_as(TOKEN, &service.url.get(), method, path, body).unwrap()
}

/// Opens connections without a token, each with these bytes.
fn flood(service: &Service, connections: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let limit = raise_descriptor_limit();
    assert!(
        limit.is_none_or(|limit| limit > 4_096),
        "{limit:?} descriptors"
    );
    let url = service.url.get();
    let address = url.trim_start_matches("http://");
    let open = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        // The service may have closed it to make room.
        let _ = stream.write_all(bytes);
        stream
    };
    (0..connections).map(open).collect()
}

/// Sends bytes, and reads until the service closes the connection, be it in order or not.
fn raw(service: &Service, request: &str) -> String {
    let url = service.url.get();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let limit = std::time::Duration::from_secs(30);
    stream.set_read_timeout(Some(limit)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while let Ok(read @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn pays_and_redeems_while_strangers_hold_all_connections() {
    let node = Node::start();
    let (payer, machine) = (node.machine(0), Arc::new(node.machine(1)));
    payer.deploy();
    let allowance = format!("{}=0.4ether", machine.address);
    let create = ["deposit", "create", "--allowance", &allowance];
    let terms = ["--draw-in", "10m", "--min-payout", "0"];
    let opened = payer.json(&[&create[..], &terms].concat());
    let id = opened["id"].as_str().unwrap().to_owned();
    let service = payee(&machine, 256);
    // More sockets than the process has descriptors.
    let mut held = flood(&service, 1_100, b"");
    assert_eq!(ask(&service, "GET", "/metrics", None).0, 200);
    let proof = payer.ok(&["write", &id, &machine.address, "0.2ether"]);
    let (status, paid) = ask(
        &service,
        "POST",
        "/payments",
        Some(&json!({ "proof": proof })),
    );
    assert_eq!(
        status, 200,
        "the node and the store must have descriptors: {paid}"
    );
    held.extend(flood(&service, 600, b"GET / HTTP/1.1\r\n"));
    node.advance(602);
    let redeemed = support::wait_for(|| {
        let (_, listed) = ask(&service, "GET", "/deposits?state=redeemed", None);
        (listed["deposits"].as_array()?.len() == 1).then_some(())
    });
    assert!(redeemed.is_some(), "{}", service.log());
    let log = fs::read_to_string(machine.folder().join("log")).unwrap();
    let told = log.matches("http_refused").count();
    assert!((1..10).contains(&told), "{told} lines of refusals");
    drop(held);
}

#[test]
fn holds_unfinished_headers_in_bounded_memory() {
    let node = Node::start();
    node.machine(0).deploy();
    let service = payee(&Arc::new(node.machine(1)), 8_192);
    assert_eq!(ask(&service, "GET", "/metrics", None).0, 200);
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        kilobytes / 1_024
    };
    let before = resident();
    let unfinished = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(400 << 10));
    let _held = flood(&service, 2_000, unfinished.as_bytes());
    assert_eq!(ask(&service, "GET", "/metrics", None).0, 200);
    let after = resident();
    assert!(
        after < before + 100,
        "{before} MB before, {after} MB with the headers"
    );
}

#[test]
fn refuses_web_pages_foreign_hosts_and_strangers() {
    let node = Node::start();
    node.machine(0).deploy();
    let machine = Arc::new(node.machine(1));
    let service = payee(&machine, 1_024);
    let url = service.url.get();
    let with = |header: &str, path: &str| {
        let (status, body) = request_with(header, &url, "GET", path, None).unwrap();
        (status, body["code"].clone())
    };
    let bearer = format!("authorization: bearer {TOKEN}\r\n");
    assert_eq!(with(&bearer, "/terms").0, 200, "the scheme has no case");
    assert_eq!(with("", "/terms"), (401, json!("unauthorized")));
    let page = format!("{bearer}origin: https://example.org\r\n");
    assert_eq!(with(&page, "/terms"), (403, json!("web_page")));
    let large = format!(
        "GET /terms HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "y".repeat(20 << 10)
    );
    let answer = raw(&service, &large);
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");

    // Without a token, a page whose name leads to this machine is refused by the host that it names.
    let open = Service::run(&Arc::new(node.machine(2)), "payee", &[], None);
    let rebound = |host: &str| {
        let head = "GET /terms HTTP/1.1\r\nconnection: close\r\n";
        raw(&open, &format!("{head}host: {host}\r\n\r\n"))
    };
    let refused = rebound("rebound.example.org:9552");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(refused.contains("wrong_host"), "{refused}");
    assert!(rebound("localhost").starts_with("HTTP/1.1 200"));
}
