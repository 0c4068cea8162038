//! A local beacon, some relays of it, and a client with short times.

use crate::relay::TestRelay;
use cheque::{
    LocalBeacon,
    beacon::{BeaconClient, BeaconLimits},
};
use std::time::Duration;

pub(crate) const GENESIS: u64 = 1_700_000_000;
pub(crate) const PERIOD: u64 = 3;

/// The number of the newest round at the start of a test.
pub(crate) const NEWEST: u64 = 1_000;

/// Short times, so that tests of dead relays are quick.
pub(crate) const LIMITS: BeaconLimits = BeaconLimits {
    timeout: Duration::from_millis(600),
    hedge: Duration::from_millis(150),
    poll: Duration::from_millis(200),
};

pub(crate) fn beacon() -> LocalBeacon {
    LocalBeacon::new(&[7; 32], GENESIS, PERIOD).unwrap()
}

pub(crate) fn time_of(round: u64) -> u64 {
    beacon().beacon().time_of(round).unwrap()
}

pub(crate) struct World {
    pub(crate) beacon: LocalBeacon,
    pub(crate) relays: Vec<TestRelay>,
    pub(crate) client: BeaconClient,
}

/// Starts relays at the time of round [`NEWEST`], and a client of them all.
pub(crate) async fn world(count: usize) -> World {
    let beacon = beacon();
    let mut relays = Vec::new();
    for _ in 0..count {
        relays.push(TestRelay::start(&beacon, time_of(NEWEST)).await);
    }
    let client = client_of(&beacon, &relays, LIMITS);
    World {
        beacon,
        relays,
        client,
    }
}

pub(crate) fn client_of(
    beacon: &LocalBeacon,
    relays: &[TestRelay],
    limits: BeaconLimits,
) -> BeaconClient {
    let urls: Vec<_> = relays.iter().map(|relay| &relay.url).collect();
    let hash = beacon.beacon().chain_hash();
    BeaconClient::with_limits(beacon.beacon().clone(), hash, &urls, limits).unwrap()
}

impl World {
    pub(crate) fn set(&self, round: u64) {
        for relay in &self.relays {
            relay.set(time_of(round));
        }
    }
}
