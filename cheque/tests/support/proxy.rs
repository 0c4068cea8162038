//! A proxy of a node that injects faults into answers.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use alloy::{
    providers::{DynProvider, Provider},
    transports::RpcError,
};
use alloy_primitives::{Address, hex};
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A fault in the answers to a method.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Never answers.
    Silence,
    /// An HTTP status without a body.
    Status(u16),
    /// A body without JSON.
    Garbage,
    /// The connection ends in the middle of the answer.
    Cut,
    /// A JSON-RPC error.
    Refusal(i64, &'static str),
    /// Answers for the newest block with a block or state this many blocks older.
    Behind(u64),
    /// Adds to the number of the newest block.
    Ahead(u64),
    /// Shifts the time of blocks, in seconds.
    TimeShift(i64),
    /// Lacks the state after this block.
    Pruned(u64),
    /// Answers for blocks by number with another hash, as on a fork.
    OtherBlocks,
    /// Receipts without a block number.
    NoBlockNumber,
    /// Calls of this function find no contract.
    NoContract([u8; 4]),
    /// Another result.
    Answer(Value),
    /// Holds back answers about this account until their release.
    Hold(Address, Arc<Held>),
}

/// Requests whose answers are held back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    waiting: watch::Sender<usize>,
    release: watch::Sender<bool>,
}

impl Held {
    /// Waits until `count` answers are held back.
    pub(crate) async fn wait_for(&self, count: usize) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|now| *now >= count).await.unwrap();
    }

    /// Number of answers held back.
    pub(crate) fn count(&self) -> usize {
        *self.waiting.borrow()
    }

    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }

    async fn wait(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut release = self.release.subscribe();
        release.wait_for(|release| *release).await.unwrap();
    }
}

/// An HTTP server in front of a node.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    node: DynProvider,
    /// Faults by method. An empty name stands for all methods.
    faults: Mutex<Vec<(&'static str, Fault)>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Proxy {
    pub(crate) async fn start(node: &DynProvider) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            node: node.clone(),
            faults: Mutex::default(),
            asked: Mutex::default(),
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move { shared.serve(client).await });
            }
        });
        Self { url, shared }
    }

    /// Injects a fault into a method, or into all if the name is empty.
    pub(crate) fn fail(&self, method: &'static str, fault: Fault) {
        self.shared.faults.lock().unwrap().push((method, fault));
    }

    /// Removes all faults.
    pub(crate) fn heal(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// Number of requests of a method.
    pub(crate) fn asked(&self, method: &str) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        asked.get(method).copied().unwrap_or_default()
    }

    /// Number of requests of all methods.
    pub(crate) fn requests(&self) -> usize {
        self.shared.asked.lock().unwrap().values().sum()
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> Option<()> {
        let body = read(&mut client).await?;
        let asked: Value = serde_json::from_slice(&body).expect("a JSON-RPC request");
        let requests = match &asked {
            Value::Array(batch) => batch.clone(),
            single => vec![single.clone()],
        };
        let mut answers = Vec::new();
        for request in &requests {
            let method = request["method"].as_str().expect("a method").to_owned();
            *self
                .asked
                .lock()
                .unwrap()
                .entry(method.clone())
                .or_default() += 1;
            match self.fault(&method) {
                Some(Fault::Silence) => std::future::pending().await,
                Some(Fault::Status(status)) => return send(&mut client, status, b"", None).await,
                Some(Fault::Garbage) => return send(&mut client, 200, b"<html>", None).await,
                Some(Fault::Cut) => {
                    return send(&mut client, 200, b"{\"jsonrpc\":", Some(100)).await;
                }
                fault => {
                    let params = &request["params"];
                    let mut answer = self.answer(&method, params, fault).await;
                    answer["jsonrpc"] = json!("2.0");
                    answer["id"] = request["id"].clone();
                    answers.push(answer);
                }
            }
        }
        let body = match asked {
            Value::Array(_) => Value::Array(answers),
            _ => answers.remove(0),
        };
        send(&mut client, 200, body.to_string().as_bytes(), None).await
    }

    fn fault(&self, method: &str) -> Option<Fault> {
        let faults = self.faults.lock().unwrap();
        let mut faults = faults.iter();
        let of_method = |(of, _): &&(&str, Fault)| of.is_empty() || *of == method;
        faults.find(of_method).map(|(_, fault)| fault.clone())
    }

    async fn answer(&self, method: &str, params: &Value, fault: Option<Fault>) -> Value {
        let is_latest = params[0] == "latest";
        let function = params[0]["input"].as_str().unwrap_or_default();
        match fault {
            Some(Fault::Answer(result)) => json!({ "result": result }),
            Some(Fault::Refusal(code, message)) => {
                json!({ "error": { "code": code, "message": message } })
            }
            Some(Fault::Pruned(block)) if params[1] == format!("{block:#x}") => {
                json!({ "error": { "code": -32_000, "message": "missing trie node" } })
            }
            Some(Fault::NoContract(selector))
                if function.starts_with(&hex::encode_prefixed(selector)) =>
            {
                json!({ "result": "0x" })
            }
            Some(Fault::Behind(blocks)) => {
                let head = self.node.get_block_number().await.unwrap();
                let older = json!(format!("{:#x}", head - blocks));
                let mut params = params.clone();
                for param in params.as_array_mut().expect("a list") {
                    if *param == "latest" {
                        *param = older.clone();
                    }
                }
                self.forward(method, &params).await
            }
            Some(Fault::Ahead(blocks)) if is_latest => {
                let mut answer = self.forward(method, params).await;
                shift(&mut answer["result"]["number"], blocks as i64);
                answer
            }
            Some(Fault::TimeShift(seconds)) => {
                let mut answer = self.forward(method, params).await;
                shift(&mut answer["result"]["timestamp"], seconds);
                answer
            }
            Some(Fault::Hold(account, held)) => {
                let called = params[0].to_string();
                if called.contains(&format!("{account:x}")) {
                    held.wait().await;
                }
                self.forward(method, params).await
            }
            Some(Fault::OtherBlocks) if !is_latest => {
                let mut answer = self.forward(method, params).await;
                answer["result"]["hash"] = json!(alloy_primitives::B256::repeat_byte(0x66));
                answer
            }
            Some(Fault::NoBlockNumber) => {
                let mut answer = self.forward(method, params).await;
                answer["result"]["blockNumber"] = Value::Null;
                answer
            }
            _ => self.forward(method, params).await,
        }
    }

    async fn forward(&self, method: &str, params: &Value) -> Value {
        let method = Cow::Owned(method.to_owned());
        let answer = self.node.raw_request::<_, Value>(method, params.clone());
        match answer.await {
            Ok(result) => json!({ "result": result }),
            Err(RpcError::ErrorResp(error)) => json!({ "error": error }),
            Err(error) => panic!("the node fails: {error}"),
        }
    }
}

fn shift(number: &mut Value, by: i64) {
    let text = number.as_str().expect("a number").trim_start_matches("0x");
    let value = i64::from_str_radix(text, 16).unwrap();
    *number = json!(format!("{:#x}", value + by));
}

/// Reads the body of one HTTP request. `None`: the client has disconnected.
async fn read(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut got = Vec::new();
    loop {
        let mut part = [0; 4096];
        let length = client.read(&mut part).await.ok().filter(|n| *n > 0)?;
        got.extend_from_slice(&part[..length]);
        let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.expect("a length").trim().parse().unwrap();
        if got.len() >= end + 4 + length {
            return Some(got[end + 4..].to_vec());
        }
    }
}

/// Answers and closes the connection. `announced`: a length to announce in place of the body's.
async fn send(
    client: &mut TcpStream,
    status: u16,
    body: &[u8],
    announced: Option<usize>,
) -> Option<()> {
    let length = announced.unwrap_or(body.len());
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.ok()?;
    client.write_all(body).await.ok()?;
    client.shutdown().await.ok()
}
