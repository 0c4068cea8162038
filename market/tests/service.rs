//! A whole market in another process, killed at random moments under a load of calls and purchases: an acknowledged
//! change is neither lost nor made twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../cheque/tests/support/harness.rs"]
mod harness;
mod host;
#[path = "../../cheque/tests/support/process.rs"]
mod process;

use harness::tests;
use host::{CLIENTS, CONFIGURED, CUSTOMER, Id, added, number, open, store_at};
use jsonrpsee::{
    core::{ClientError, client::ClientT, params::ArrayParams},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use process::{Dialogue, Process};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use serde_json::{Value, json};
use std::{path::Path, process::ExitCode};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const STORE: &str = "CHEQUE_TEST_STORE";
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    harness::run(&[("market", run_market)], || {
        tests![keeps_acknowledged_changes_exactly_once_after_kills]
    })
}

/// Tokens of the order `serial`.
const fn tokens(serial: u64) -> u64 {
    1 + serial % 5
}

/// The last acknowledged and the last requested change.
#[derive(Clone, Copy, Debug, Default)]
struct Requested {
    acknowledged: u64,
    last: u64,
}

impl Requested {
    fn allows(self, found: u64) -> bool {
        found == self.acknowledged || found == self.last
    }
}

/// A client: makes calls until the market is gone, and reports every answer.
struct Caller {
    client: WsClient,
    answered: UnboundedSender<()>,
}

impl Caller {
    async fn new(url: &str, answered: &UnboundedSender<()>) -> Self {
        Self {
            client: WsClientBuilder::default().build(url).await.unwrap(),
            answered: answered.clone(),
        }
    }

    /// Returns `None` if the market is gone.
    async fn call(&self, method: &str, arguments: ArrayParams) -> Option<Value> {
        match self.client.request(method, arguments).await {
            Ok(answer) => {
                // The receiver is gone once the market is to be killed.
                let _ = self.answered.send(());
                Some(answer)
            }
            Err(ClientError::Call(refused)) => panic!("{method} was refused: {refused}"),
            Err(_) => None,
        }
    }

    /// Adds to a client's balance until the market is gone. Returns the requested and the acknowledged sums.
    async fn add(self, id: Id, amount: u64) -> Requested {
        let mut requested = Requested::default();
        loop {
            requested.last += amount;
            let arguments = rpc_params![text(id), amount];
            if self.call("les_addBalance", arguments).await.is_none() {
                return requested;
            }
            requested.acknowledged = requested.last;
        }
    }

    /// Sets parameters of clients and default prices to rising numbers.
    async fn set(self, from: u64) -> [Requested; 2] {
        let mut requested = [Requested::default(); 2];
        for number in from.. {
            let params = json!({ "userTags": [number.to_string()], "pricing/alert": number });
            let arguments = rpc_params![CONFIGURED.map(text), params];
            requested[0].last = number;
            if self.call("les_setClientParams", arguments).await.is_none() {
                break;
            }
            requested[0].acknowledged = number;
            requested[1].last = number;
            let arguments = rpc_params![json!({ "pricing/negative/timeFactor": number })];
            if self.call("les_setDefaultParams", arguments).await.is_none() {
                break;
            }
            requested[1].acknowledged = number;
        }
        requested
    }
}

fn text(id: Id) -> String {
    format!("0x{:02x}{:02x}", id[0], id[1])
}

/// Sends one order after another until the market is gone. Returns the last acknowledged serial number.
fn order(mut market: Dialogue, mut acknowledged: u64, answered: &UnboundedSender<()>) -> u64 {
    loop {
        let serial = acknowledged + 1;
        let answer = market.ask(&format!("{serial} {}", tokens(serial)));
        if answer.is_none() {
            return acknowledged;
        }
        acknowledged = serial;
        // The receiver is gone once the market is to be killed.
        let _ = answered.send(());
    }
}

/// The required values of the store.
#[derive(Debug, Default)]
struct Expected {
    balances: [u64; 3],
    /// Serial number of the last acknowledged order.
    serial: u64,
    settings: [Requested; 2],
}

#[tokio::main]
async fn keeps_acknowledged_changes_exactly_once_after_kills() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut expected = Expected::default();
    for round in 0..ROUNDS {
        let mut process = Process::start("market", &[(STORE, path.to_str().unwrap())]);
        let address = process.line().expect("the market prints its address");
        let url = format!("ws://{address}");
        let (answered, mut answers) = unbounded_channel();
        let mut adding = Vec::new();
        for (n, id) in CLIENTS.into_iter().enumerate() {
            let caller = Caller::new(&url, &answered).await;
            adding.push(tokio::spawn(caller.add(id, 1_000 * (n as u64 + 1))));
        }
        let caller = Caller::new(&url, &answered).await;
        let from = expected.settings[0].last + 1;
        let setting = tokio::spawn(caller.set(from));
        let (last, dialogue) = (expected.serial, process.dialogue());
        let ordering = tokio::task::spawn_blocking(move || order(dialogue, last, &answered));

        for _ in 0..20 + random.next_u64() % 200 {
            answers.recv().await.unwrap();
        }
        process.kill();

        let mut raised = Vec::new();
        for adding in adding {
            raised.push(adding.await.unwrap());
        }
        expected.serial = ordering.await.unwrap();
        for (before, requested) in expected.settings.iter_mut().zip(setting.await.unwrap()) {
            // Without a new request or acknowledgement the earlier number stays.
            before.last = before.last.max(requested.last);
            before.acknowledged = before.acknowledged.max(requested.acknowledged);
        }
        check(&path, round, &raised, &mut expected);
    }
    assert!(expected.balances.iter().all(|balance| *balance > 0));
    assert!(expected.serial > 0 && expected.settings[1].acknowledged > 0);
}

fn check(path: &Path, round: usize, raised: &[Requested], expected: &mut Expected) {
    let store = store_at(path);
    let mut operator = open(&store);
    for ((id, before), raised) in CLIENTS.iter().zip(&mut expected.balances).zip(raised) {
        let found = added(&operator, id);
        let by = found - *before;
        assert!(
            raised.allows(by),
            "round {round}: {id:?} rose by {by}, requested were {raised:?}"
        );
        *before = found;
    }

    let serial = number(&store, "serial");
    let missing = serial.checked_sub(expected.serial);
    assert!(
        missing.is_some_and(|more| more <= 1),
        "round {round}: the serial number is {serial}"
    );
    let bought: u64 = (1..=serial).map(tokens).sum();
    assert_eq!(added(&operator, &CUSTOMER), bought, "round {round}");
    let sale = operator.hall().sale().unwrap();
    assert_eq!(sale.curve().amount(), bought, "round {round}");

    let infos = operator.client_info(&CONFIGURED, &[], 0).unwrap();
    let set = infos
        .values()
        .map(|info| info.get("pricing/alert").map_or(0, number_of));
    let set: Vec<_> = set.collect();
    assert_eq!(set[0], set[1], "round {round}");
    assert!(
        expected.settings[0].allows(set[0]),
        "round {round}: the settings are {set:?}"
    );
    for info in infos.values().filter(|_| set[0] > 0) {
        assert_eq!(info["userTags"], json!([set[0].to_string()]));
    }
    let newcomer = [9, 9];
    operator.connect(&newcomer, b"home", 0).unwrap();
    let infos = operator.client_info(&[newcomer], &[], 0).unwrap();
    let price = number_of(&infos[&newcomer]["pricing/negative/timeFactor"]);
    assert!(
        expected.settings[1].allows(price),
        "round {round}: the price is {price}"
    );
    for (settings, found) in expected.settings.iter_mut().zip([set[0], price]) {
        *settings = Requested {
            acknowledged: found,
            last: found,
        };
    }
}

fn number_of(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Role: a market, serving and taking orders until killed.
#[tokio::main]
async fn run_market() {
    let path = std::env::var(STORE).unwrap();
    host::host(Path::new(&path)).await;
}
