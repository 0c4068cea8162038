//! A relay of a local beacon that injects faults into answers, with a clock of its own.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use alloy_primitives::hex;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Response, Uri},
};
use cheque::LocalBeacon;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A fault of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Never answers.
    Silence,
    /// Answers late.
    Late(Duration),
    /// A signature by another key.
    OtherKey,
    /// The right signature of another round, under the number asked for.
    OtherSignature,
    /// The round before, with its right signature.
    OtherRound,
    /// A signature that is no point.
    NoPoint,
    /// A web page, as from a captive portal.
    Html,
    /// A body without an end.
    Endless,
    /// The body of a round, cut.
    Cut,
    /// 429, with this Retry-After in seconds.
    Limited(Option<u64>),
    /// A status without a body.
    Status(u16),
    /// A redirect to itself.
    Circle,
    /// Version 2 of the API is missing.
    Old,
    /// The newest round is this many rounds older.
    Behind(u64),
}

/// A relay on the loopback address. Ends when dropped.
pub(crate) struct TestRelay {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    beacon: LocalBeacon,
    now: Mutex<u64>,
    fault: Mutex<Option<Fault>>,
    asked: Mutex<Vec<String>>,
}

impl TestRelay {
    /// Starts a relay whose clock stands at `now`, in seconds since 1970.
    pub(crate) async fn start(beacon: &LocalBeacon, now: u64) -> Self {
        let shared = Arc::new(Shared {
            beacon: beacon.clone(),
            now: Mutex::new(now),
            fault: Mutex::default(),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            shared,
            server,
        }
    }

    pub(crate) fn fail(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some(fault);
    }

    pub(crate) fn heal(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }

    /// Sets the relay's clock.
    pub(crate) fn set(&self, now: u64) {
        *self.shared.now.lock().unwrap() = now;
    }

    /// Returns the paths asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }
}

impl Drop for TestRelay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, uri: Uri) -> Response<Body> {
    let path = uri.path();
    shared.asked.lock().unwrap().push(path.to_owned());
    let fault = *shared.fault.lock().unwrap();
    let now = *shared.now.lock().unwrap();
    let newest = shared.beacon.beacon().newest_at(now).unwrap_or_default();
    let is_old = !path.starts_with("/v2/");
    match fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Late(pause)) => tokio::time::sleep(pause).await,
        Some(Fault::Html) => return answer(200, &[], "<html>Sign in</html>"),
        Some(Fault::Endless) => return endless(),
        Some(Fault::Cut) => return answer(200, &[], "{\"round\":"),
        Some(Fault::Status(status)) => return answer(status, &[], ""),
        Some(Fault::Circle) => return answer(302, &[("location", path)], ""),
        Some(Fault::Limited(None)) => return answer(429, &[], ""),
        Some(Fault::Limited(Some(seconds))) => {
            return answer(429, &[("retry-after", &seconds.to_string())], "");
        }
        Some(Fault::Old) if !is_old => return answer(404, &[], "<html>Not found</html>"),
        _ => {}
    }
    let asked = match path.rsplit('/').next().unwrap() {
        "latest" => match fault {
            Some(Fault::Behind(rounds)) => newest.saturating_sub(rounds),
            _ => newest,
        },
        number => number.parse().unwrap(),
    };
    if asked == 0 || asked > newest {
        return answer(425, &[], "Requested future beacon");
    }
    let other = LocalBeacon::new(&[99; 32], 0, 1).unwrap();
    let (round, signature) = match fault {
        Some(Fault::OtherKey) => (asked, other.sign(asked)),
        Some(Fault::OtherSignature) => (asked, shared.beacon.sign(asked + 1)),
        Some(Fault::OtherRound) => (asked - 1, shared.beacon.sign(asked - 1)),
        Some(Fault::NoPoint) => (asked, [0x9a; 48]),
        _ => (asked, shared.beacon.sign(asked)),
    };
    let mut json = json!({ "round": round, "signature": hex::encode(signature) });
    if is_old {
        // Version 1 has this field, too. Nobody must believe it.
        json["randomness"] = json!("00".repeat(32));
    }
    answer(200, &[], &json.to_string())
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

/// A valid start of a JSON text that goes on for 64 MB.
fn endless() -> Response<Body> {
    Response::new(Body::from(format!(
        "{{\"round\":1{}",
        " ".repeat(64_000_000)
    )))
}
