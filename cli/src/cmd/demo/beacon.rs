//! The demo's beacon: rounds of a key that everybody knows, by the clock of the node.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cheque::{
    BeaconParameters, LocalBeacon,
    beacon::{BeaconClient, BeaconLimits, LocalRelay},
};
use eyre::{Result, WrapErr};

use crate::clock::unix_now;

/// The secret number of the beacon's key. Public, so that runs on one node share a bank: never use it for money.
const SECRET: [u8; 32] = [1; 32];

/// The time of round 1.
const GENESIS: u64 = 1_600_000_000;

/// The seconds between two rounds, as of quicknet.
const PERIOD: u64 = 3;

/// A relay on this machine answers at once, and is asked whenever the node's time has moved.
const LIMITS: BeaconLimits = BeaconLimits {
    timeout: Duration::from_secs(5),
    hedge: Duration::from_secs(1),
    poll: Duration::ZERO,
};

/// A beacon, its relay and a client.
pub(super) struct DemoBeacon {
    beacon: LocalBeacon,
    /// Shared by payer and payees.
    pub(super) client: BeaconClient,
    /// The time of the node's newest block known to the demo.
    head_time: Arc<AtomicU64>,
    _relay: LocalRelay,
}

impl DemoBeacon {
    /// Starts the relay at a free port.
    pub(super) async fn start() -> Result<Self> {
        let beacon = LocalBeacon::new(&SECRET, GENESIS, PERIOD).wrap_err("the demo's beacon")?;
        let head_time = Arc::new(AtomicU64::new(0));
        let shown = head_time.clone();
        let clock = move || unix_now().max(shown.load(Ordering::Acquire));
        let port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let relay = LocalRelay::start_with_clock(beacon.clone(), port, clock).await;
        let relay = relay.wrap_err("cannot start the demo's beacon")?;
        let hash = beacon.beacon().chain_hash();
        let urls = [relay.url()];
        let client = BeaconClient::with_limits(beacon.beacon().clone(), hash, &urls, LIMITS)?;
        Ok(Self {
            beacon,
            client,
            head_time,
            _relay: relay,
        })
    }

    /// The beacon as the bank's setting.
    pub(super) fn parameters(&self) -> BeaconParameters {
        self.beacon.beacon().parameters()
    }

    /// Moves the beacon's clock to the node's, and waits until the client knows the newest round.
    pub(super) async fn follow(&self, head_time: u64) -> Result<()> {
        self.head_time.fetch_max(head_time, Ordering::AcqRel);
        let newest = self.beacon.beacon().newest_at(head_time);
        // A request that had begun before may bring an older round.
        while newest > self.client.newest_verified().map(|(round, _)| round) {
            self.client.newest().await?;
        }
        Ok(())
    }
}
