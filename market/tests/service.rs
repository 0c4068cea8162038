//! A whole market in a process of its own, under load of calls and purchases, killed at random moments: what was
//! acknowledged is neither lost nor doubled.

#![cfg(all(feature = "redb", feature = "rpc"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

use cheque_market::store::Redb;
use host::{CLIENTS, CUSTOMER, Id, SETTLED, added, curve, number, open};
use jsonrpsee::{
    core::{ClientError, client::ClientT, params::ArrayParams},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const FILE: &str = "CHEQUE_MARKET_SERVICE_STORE";
const ROUNDS: usize = 5;

/// A market in another process.
struct Process {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
    url: String,
}

impl Process {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "the_process",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let address = heard(&mut said).expect("the process works");
        Self {
            child,
            orders,
            said,
            url: format!("ws://{address}"),
        }
    }
}

fn heard(said: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut lines = said.lines();
    lines.find_map(|line| line.ok()?.strip_prefix("> ").map(str::to_owned))
}

/// Tokens of an order.
const fn tokens(serial: u64) -> u64 {
    1 + serial % 5
}

/// The last change that was acknowledged, and the last that was asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    acknowledged: u64,
    last: u64,
}

impl Asked {
    fn allows(self, found: u64) -> bool {
        found == self.acknowledged || found == self.last
    }
}

/// Somebody who makes calls until the market is gone, and tells of every answer.
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

    /// `None` if the market is gone.
    async fn call(&self, method: &str, arguments: ArrayParams) -> Option<Value> {
        match self.client.request(method, arguments).await {
            Ok(answer) => {
                // Nobody listens any more when the market is to be killed.
                let _ = self.answered.send(());
                Some(answer)
            }
            Err(ClientError::Call(refused)) => panic!("{method} is refused: {refused}"),
            Err(_) => None,
        }
    }

    /// Adds to a client's balance; the sums that it should have been raised by.
    async fn add(self, id: Id, amount: u64) -> Asked {
        let mut asked = Asked::default();
        loop {
            asked.last += amount;
            let arguments = rpc_params![text(id), amount];
            if self.call("les_addBalance", arguments).await.is_none() {
                return asked;
            }
            asked.acknowledged = asked.last;
        }
    }

    /// Sets parameters of clients, and default prices, to one number after the other.
    async fn set(self, from: u64) -> [Asked; 2] {
        let mut asked = [Asked::default(); 2];
        for number in from.. {
            let params = json!({ "userTags": [number.to_string()], "pricing/alert": number });
            let arguments = rpc_params![SETTLED.map(text), params];
            asked[0].last = number;
            if self.call("les_setClientParams", arguments).await.is_none() {
                break;
            }
            asked[0].acknowledged = number;
            asked[1].last = number;
            let arguments = rpc_params![json!({ "pricing/negative/timeFactor": number })];
            if self.call("les_setDefaultParams", arguments).await.is_none() {
                break;
            }
            asked[1].acknowledged = number;
        }
        asked
    }
}

fn text(id: Id) -> String {
    format!("0x{:02x}{:02x}", id[0], id[1])
}

/// Orders one after the other until the market is gone: the serial number of the last that was acknowledged.
fn order(
    mut orders: ChildStdin,
    mut said: BufReader<ChildStdout>,
    mut acknowledged: u64,
    answered: &UnboundedSender<()>,
) -> u64 {
    loop {
        let serial = acknowledged + 1;
        let asked = writeln!(orders, "{serial} {}", tokens(serial));
        if asked.is_err() || heard(&mut said).is_none() {
            return acknowledged;
        }
        acknowledged = serial;
        // Nobody listens any more when the market is to be killed.
        let _ = answered.send(());
    }
}

/// What must be in the store.
#[derive(Debug, Default)]
struct Expected {
    balances: [u64; 3],
    /// The last order that was acknowledged.
    serial: u64,
    settings: [Asked; 2],
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_market_keeps_what_it_acknowledged_and_does_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut expected = Expected::default();
    for round in 0..ROUNDS {
        let process = Process::start(&path);
        let (answered, mut answers) = unbounded_channel();
        let mut adding = Vec::new();
        for (n, id) in CLIENTS.into_iter().enumerate() {
            let caller = Caller::new(&process.url, &answered).await;
            adding.push(tokio::spawn(caller.add(id, 1_000 * (n as u64 + 1))));
        }
        let caller = Caller::new(&process.url, &answered).await;
        let from = expected.settings[0].last + 1;
        let setting = tokio::spawn(caller.set(from));
        let (last, mut child) = (expected.serial, process.child);
        let ordering = tokio::task::spawn_blocking(move || {
            order(process.orders, process.said, last, &answered)
        });

        for _ in 0..20 + random.next_u64() % 200 {
            answers.recv().await.unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let mut raised = Vec::new();
        for adding in adding {
            raised.push(adding.await.unwrap());
        }
        expected.serial = ordering.await.unwrap();
        for (before, asked) in expected.settings.iter_mut().zip(setting.await.unwrap()) {
            // Where nothing was asked for or acknowledged, what was there before is.
            before.last = before.last.max(asked.last);
            before.acknowledged = before.acknowledged.max(asked.acknowledged);
        }
        check(&path, round, &raised, &mut expected);
    }
    assert!(expected.balances.iter().all(|balance| *balance > 0));
    assert!(expected.serial > 0 && expected.settings[1].acknowledged > 0);
}

fn check(path: &Path, round: usize, raised: &[Asked], expected: &mut Expected) {
    let store = Arc::new(Redb::open(path).unwrap());
    let mut operator = open(&store);
    for ((id, before), raised) in CLIENTS.iter().zip(&mut expected.balances).zip(raised) {
        let found = added(&operator, id);
        let by = found - *before;
        assert!(
            raised.allows(by),
            "round {round}: {id:?} by {by}, not {raised:?}"
        );
        *before = found;
    }

    let serial = number(&store, "serial");
    let missing = serial.checked_sub(expected.serial);
    assert!(
        missing.is_some_and(|more| more <= 1),
        "round {round}: {serial}"
    );
    let bought: u64 = (1..=serial).map(tokens).sum();
    assert_eq!(added(&operator, &CUSTOMER), bought, "round {round}");
    assert_eq!(curve(&store).amount(), bought, "round {round}");

    let infos = operator.client_info(&SETTLED, &[], 0).unwrap();
    let set = infos
        .values()
        .map(|info| info.get("pricing/alert").map_or(0, number_of));
    let set: Vec<_> = set.collect();
    assert_eq!(set[0], set[1], "round {round}");
    assert!(
        expected.settings[0].allows(set[0]),
        "round {round}: {set:?}"
    );
    for info in infos.values().filter(|_| set[0] > 0) {
        assert_eq!(info["userTags"], json!([set[0].to_string()]));
    }
    let newcomer = [9, 9];
    operator.connect(&newcomer, b"home", 0).unwrap();
    let infos = operator.client_info(&[newcomer], &[], 0).unwrap();
    let price = number_of(&infos[&newcomer]["pricing/negative/timeFactor"]);
    assert!(expected.settings[1].allows(price), "round {round}: {price}");
    for (settings, found) in expected.settings.iter_mut().zip([set[0], price]) {
        *settings = Asked {
            acknowledged: found,
            last: found,
        };
    }
}

fn number_of(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Not a statement of its own: what the test above runs as another process.
#[tokio::test(flavor = "multi_thread")]
async fn the_process() {
    if let Ok(path) = std::env::var(FILE) {
        host::host(&path).await;
    }
}
