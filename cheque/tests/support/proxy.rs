//! A proxy of a node that injects faults into answers.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

#[path = "fault.rs"]
mod fault;
#[path = "held.rs"]
mod held;

use alloy::{
    providers::{DynProvider, Provider},
    transports::RpcError,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::Response,
};
use fault::Before;
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

#[allow(unused_imports, reason = "every test binary uses its own part of this")]
pub(crate) use fault::{BatchRefusal, Fault, Reply};
#[allow(unused_imports, reason = "every test binary uses its own part of this")]
pub(crate) use held::Held;

/// An HTTP server in front of a node.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    node: DynProvider,
    faults: Mutex<Vec<Injected>>,
    asked: Mutex<HashMap<String, usize>>,
    packets: Mutex<Vec<usize>>,
}

/// A fault, its method (empty for all), and the number of requests that it is left for.
struct Injected {
    method: &'static str,
    fault: Fault,
    left: usize,
}

impl Proxy {
    pub(crate) async fn start(node: &DynProvider) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            node: node.clone(),
            faults: Mutex::default(),
            asked: Mutex::default(),
            packets: Mutex::default(),
        });
        let router = Router::new().fallback(serve).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    /// Injects a fault into a method, or into all if the name is empty.
    pub(crate) fn fail(&self, method: &'static str, fault: Fault) {
        self.fail_times(usize::MAX, method, fault);
    }

    /// Injects a fault into the next requests of a method.
    pub(crate) fn fail_times(&self, left: usize, method: &'static str, fault: Fault) {
        let injected = Injected {
            method,
            fault,
            left,
        };
        self.shared.faults.lock().unwrap().push(injected);
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

    /// Takes the sizes of the packets since the last call: 1 for a single request.
    pub(crate) fn packets(&self) -> Vec<usize> {
        std::mem::take(&mut self.shared.packets.lock().unwrap())
    }
}

async fn serve(State(shared): State<Arc<Shared>>, body: Bytes) -> Response<Body> {
    let asked: Value = serde_json::from_slice(&body).expect("a JSON-RPC request");
    let requests = match &asked {
        Value::Array(batch) => batch.clone(),
        single => vec![single.clone()],
    };
    shared.packets.lock().unwrap().push(requests.len());
    let (mut answered, batch) = (requests.len(), shared.batch_limit());
    if let Some((most, refusal)) = batch
        && asked.is_array()
        && requests.len() > most
    {
        let error = json!({ "code": 31, "message": "at most 3 requests on this plan" });
        let object = json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string();
        match refusal {
            BatchRefusal::Status => return reply(500, None, object),
            BatchRefusal::Object => return reply(200, None, object),
            BatchRefusal::Rest => answered = most,
        }
    }
    let mut answers = Vec::new();
    for request in requests.iter().take(answered) {
        match shared.answer(request).await {
            Ok(answer) => answers.push(answer),
            Err(response) => return *response,
        }
    }
    let body = match asked {
        Value::Array(_) => Value::Array(answers),
        _ => answers.remove(0),
    };
    reply(200, None, body.to_string())
}

impl Shared {
    /// Answers one request. An error is the answer to the whole packet.
    async fn answer(&self, request: &Value) -> Result<Value, Box<Response<Body>>> {
        let method = request["method"].as_str().expect("a method");
        self.count(method);
        let mut params = request["params"].clone();
        let is_latest = params[0] == "latest";
        let faults = self.faults_of(method);
        let head = if needs_head(&faults) {
            self.node.get_block_number().await.unwrap()
        } else {
            0
        };
        let mut answer = None;
        for fault in &faults {
            match fault.before(&mut params, head).await {
                Before::Ask => {}
                Before::Answer(given) => {
                    answer = Some(given);
                    break;
                }
                Before::Reply(whole) => {
                    let whole = reply(whole.status, whole.header, whole.body.to_owned());
                    return Err(Box::new(whole));
                }
                Before::Cut => return Err(Box::new(cut())),
            }
        }
        let mut answer = match answer {
            Some(answer) => answer,
            None => self.forward(method, params).await,
        };
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = request["id"].clone();
        for fault in &faults {
            fault.after(is_latest, &mut answer);
        }
        Ok(answer)
    }

    fn count(&self, method: &str) {
        let mut asked = self.asked.lock().unwrap();
        *asked.entry(method.to_owned()).or_default() += 1;
    }

    /// Takes the faults of a method, in the order in which they were injected.
    fn faults_of(&self, method: &str) -> Vec<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let mut found = Vec::new();
        for injected in faults.iter_mut() {
            let is_batch = matches!(injected.fault, Fault::Batches(..));
            if !is_batch && (injected.method.is_empty() || injected.method == method) {
                injected.left -= 1;
                found.push(injected.fault.clone());
            }
        }
        faults.retain(|injected| injected.left > 0);
        found
    }

    fn batch_limit(&self) -> Option<(usize, BatchRefusal)> {
        let faults = self.faults.lock().unwrap();
        faults.iter().find_map(|injected| match injected.fault {
            Fault::Batches(most, refusal) => Some((most, refusal)),
            _ => None,
        })
    }

    async fn forward(&self, method: &str, params: Value) -> Value {
        let method = Cow::Owned(method.to_owned());
        match self.node.raw_request::<_, Value>(method, params).await {
            Ok(result) => json!({ "result": result }),
            Err(RpcError::ErrorResp(error)) => json!({ "error": error }),
            Err(error) => panic!("the node fails: {error}"),
        }
    }
}

fn needs_head(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| matches!(fault, Fault::Behind(_)))
}

/// Answers and closes the connection.
fn reply(status: u16, header: Option<(&str, &str)>, body: String) -> Response<Body> {
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("connection", "close");
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

/// An answer whose connection ends in its middle.
fn cut() -> Response<Body> {
    let parts = [
        Ok(Bytes::from_static(b"{\"jsonrpc\":")),
        Err(io::Error::other("cut")),
    ];
    Response::new(Body::from_stream(futures_util::stream::iter(parts)))
}
