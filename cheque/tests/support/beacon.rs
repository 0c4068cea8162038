//! A beacon whose clock is a node's: a test jumps over hours, and the rounds are there at once.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use cheque::{
    BeaconRound, LocalBeacon, Seed,
    beacon::{BeaconClient, BeaconLimits, LocalRelay},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// The time of round 1, long before any test.
const GENESIS: u64 = 1_700_000_000;

/// The usual period, in seconds: every second is on the schedule.
pub(crate) const PERIOD: u64 = 1;

/// A client asks for the newest round whenever it is wanted, and relays of this machine answer soon.
pub(crate) const LIMITS: BeaconLimits = BeaconLimits {
    timeout: Duration::from_secs(2),
    hedge: Duration::from_millis(500),
    poll: Duration::ZERO,
};

/// The longest wait of a relay for the node, whose last known time counts then.
const NODE_TIMEOUT: Duration = Duration::from_millis(500);

/// Makes the beacon of all tests, with a round every `period` seconds.
pub(crate) fn local(period: u64) -> LocalBeacon {
    LocalBeacon::new(&[7; 32], GENESIS, period).unwrap()
}

/// Makes a client of the usual beacon over the relay at `url`, for another process too.
pub(crate) fn client(url: &str) -> BeaconClient {
    client_of(&local(PERIOD), url)
}

fn client_of(local: &LocalBeacon, url: &str) -> BeaconClient {
    let beacon = local.beacon().clone();
    let hash = beacon.chain_hash();
    BeaconClient::with_limits(beacon, hash, &[url], LIMITS).unwrap()
}

/// A beacon, its relay and a client. The relay has threads of its own, so that a test may block.
pub(crate) struct TestBeacon {
    pub(crate) local: LocalBeacon,
    pub(crate) url: String,
    /// Shared by the payers and payees of a world.
    pub(crate) client: BeaconClient,
    clock: Arc<Clock>,
    runtime: Option<Runtime>,
}

impl TestBeacon {
    /// Starts the relay of a beacon that follows the node at `node`.
    pub(crate) async fn start(node: &str, local: LocalBeacon) -> Self {
        let clock = Arc::new(Clock::of(node));
        let (served, by) = (local.clone(), clock.clone());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        let (sender, started) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let address = "127.0.0.1:0".parse().unwrap();
            let relay = LocalRelay::start_with_clock(served, address, move || by.now()).await;
            let relay = relay.unwrap();
            let _ = sender.send(relay.url().to_owned());
            // The relay ends with the runtime.
            std::future::pending::<()>().await;
            drop(relay);
        });
        let url = started.await.unwrap();
        Self {
            client: client_of(&local, &url),
            local,
            url,
            clock,
            runtime: Some(runtime),
        }
    }

    /// The round of a time on schedule, even one of the future: the test knows the secret key.
    pub(crate) fn round(&self, time: u64) -> BeaconRound {
        let round = self.local.beacon().round_at(time).unwrap();
        self.local.round(round).unwrap()
    }

    pub(crate) fn seed(&self, time: u64) -> Seed {
        self.round(time).seed()
    }

    /// Stops the beacon: it makes no further round.
    pub(crate) fn stop(&self) {
        self.clock.stopped.store(self.clock.now(), Ordering::SeqCst);
    }

    /// Ends a stop: the rounds missed meanwhile are there.
    pub(crate) fn resume(&self) {
        self.clock.stopped.store(RUNS, Ordering::SeqCst);
    }

    /// Sets the beacon's clock this many seconds ahead of the node's, or behind.
    pub(crate) fn shift(&self, seconds: i64) {
        self.clock.ahead.store(seconds, Ordering::SeqCst);
    }

    /// Waits until the client knows the newest round.
    pub(crate) async fn sync(&self) {
        let newest = self.local.beacon().newest_at(self.clock.now());
        // A request that had begun before may bring an older round.
        while newest > self.client.newest_verified().map(|(round, _)| round) {
            self.client.newest().await.unwrap();
        }
    }
}

impl Drop for TestBeacon {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The value of [`Clock::stopped`] while the beacon runs.
const RUNS: u64 = u64::MAX;

/// The clock of a beacon. Never goes back by itself, as the chain's time does in a reorganisation.
struct Clock {
    /// Host and port of the node.
    node: String,
    newest: AtomicU64,
    ahead: AtomicI64,
    stopped: AtomicU64,
}

impl Clock {
    fn of(node: &str) -> Self {
        Self {
            node: node.strip_prefix("http://").unwrap().to_owned(),
            newest: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
            stopped: AtomicU64::new(RUNS),
        }
    }

    fn now(&self) -> u64 {
        if let Some(time) = self.node_time() {
            self.newest.fetch_max(time, Ordering::SeqCst);
        }
        let newest = self.newest.load(Ordering::SeqCst);
        let time = newest.saturating_add_signed(self.ahead.load(Ordering::SeqCst));
        time.min(self.stopped.load(Ordering::SeqCst))
    }

    /// Reads the time of the node's newest block. Blocks. `None` if the node does not answer, as after its end.
    fn node_time(&self) -> Option<u64> {
        let body =
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",false]}"#;
        let (node, length) = (&self.node, body.len());
        let mut stream = TcpStream::connect(node).ok()?;
        stream.set_read_timeout(Some(NODE_TIMEOUT)).ok()?;
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {node}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, json) = answer.split_once("\r\n\r\n")?;
        let answer: serde_json::Value = serde_json::from_str(json).ok()?;
        let time = answer["result"]["timestamp"].as_str()?;
        u64::from_str_radix(time.strip_prefix("0x")?, 16).ok()
    }
}
