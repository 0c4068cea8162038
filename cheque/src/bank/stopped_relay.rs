//! A beacon that has stopped, and its relay, which takes its time to answer: for unit tests on a runtime of several threads.

use crate::{
    beacon::{BeaconClient, LocalRelay},
    protocol::beacon::local::LocalBeacon,
    sys::unix_now,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

const GENESIS: u64 = 1_700_000_000;

/// The time between two rounds, in seconds.
pub(crate) const PERIOD: u64 = 3;

/// The time that the relay takes for an answer.
pub(crate) const TIME_TO_ANSWER: Duration = Duration::from_millis(300);

/// How long ago the beacon has stopped, in seconds.
const STOPPED: u64 = 600;

pub(crate) struct StoppedBeacon {
    pub(crate) local: LocalBeacon,
    /// The time of the last round.
    pub(crate) stopped_at: u64,
    relay: LocalRelay,
    asked: Arc<AtomicU32>,
}

impl StoppedBeacon {
    pub(crate) async fn start() -> Self {
        let local = LocalBeacon::new(&[7; 32], GENESIS, PERIOD).unwrap();
        let stopped_at = unix_now() - STOPPED;
        let stopped_at = stopped_at - (stopped_at - GENESIS) % PERIOD;
        let asked = Arc::new(AtomicU32::new(0));
        let counted = asked.clone();
        let clock = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            #[expect(
                clippy::disallowed_methods,
                reason = "the relay's clock is no future, and its answer is to be slow"
            )]
            thread::sleep(TIME_TO_ANSWER);
            stopped_at
        };
        let address = "127.0.0.1:0".parse().unwrap();
        let relay = LocalRelay::start_with_clock(local.clone(), address, clock).await;
        Self {
            local,
            stopped_at,
            relay: relay.unwrap(),
            asked,
        }
    }

    pub(crate) fn client(&self) -> BeaconClient {
        let beacon = self.local.beacon().clone();
        let hash = beacon.chain_hash();
        BeaconClient::new(beacon, hash, &[self.relay.url()]).unwrap()
    }

    /// Returns the number of requests since the last call.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::Relaxed)
    }
}
