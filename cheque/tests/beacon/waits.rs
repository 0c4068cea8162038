//! Waiting for a round: its second, late relays, a beacon that stops and one that has ended.

use crate::{
    fixtures::{LIMITS, NEWEST, beacon, client_of, time_of, world},
    relay::{Fault, TestRelay},
};
use cheque::{
    LocalBeacon,
    beacon::{BeaconClient, BeaconError, LocalRelay},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of a beacon in real time"
)]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[tokio::test]
async fn waits_for_the_second_of_a_round() {
    let local = LocalBeacon::new(&[7; 32], unix_now().as_secs() - 100, 1).unwrap();
    let address = ([127, 0, 0, 1], 0).into();
    let relay = LocalRelay::start(local.clone(), address).await.unwrap();
    let hash = local.beacon().chain_hash();
    let client = BeaconClient::new(local.beacon().clone(), hash, &[relay.url()]).unwrap();
    let round = local.beacon().newest_at(unix_now().as_secs()).unwrap() + 2;
    let fetched = client.wait(round, Duration::from_secs(20)).await.unwrap();
    assert_eq!(fetched, local.round(round).unwrap());
    assert!(unix_now().as_secs() >= fetched.time());
}

#[tokio::test]
async fn returns_known_and_past_rounds_at_once() {
    let world = world(1).await;
    let started = Instant::now();
    let wait = Duration::from_secs(60);
    assert_eq!(world.client.wait(5, wait).await.unwrap().round(), 5);
    world.relays[0].fail(Fault::Silence);
    assert_eq!(world.client.wait(5, wait).await.unwrap().round(), 5);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn outlasts_a_beacon_that_stops_and_relays_that_fail() {
    let world = world(2).await;
    world.relays[1].fail(Fault::Html);
    let client = world.client.clone();
    let wait =
        tokio::spawn(async move { client.wait(NEWEST + 100, Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.relays[0].fail(Fault::Status(500));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!wait.is_finished());
    world.relays[0].heal();
    world.set(NEWEST + 1_200);
    assert_eq!(wait.await.unwrap().unwrap().time(), time_of(NEWEST + 100));
}

#[tokio::test]
async fn gives_up_on_an_ended_beacon_at_the_deadline() {
    let world = world(2).await;
    let started = Instant::now();
    let waited = Duration::from_millis(800);
    let error = world.client.wait(NEWEST + 1, waited).await.unwrap_err();
    assert!((waited..waited * 4).contains(&started.elapsed()));
    let text = error.to_string();
    let BeaconError::TimedOut { round, last, .. } = error else {
        panic!("{text}")
    };
    assert_eq!(round, NEWEST + 1);
    assert!(matches!(*last.unwrap(), BeaconError::NotYet { .. }));
    assert!(text.contains("may have stopped"), "{text}");
}

#[tokio::test]
async fn believes_a_newer_round_over_a_slow_clock() {
    // By the machine's clock, this beacon is an hour ahead.
    let genesis = unix_now().as_secs() + 3_600;
    let local = LocalBeacon::new(&[7; 32], genesis, 3).unwrap();
    let relays = [TestRelay::start(&local, genesis + 300).await];
    let client = client_of(&local, &relays, LIMITS);
    assert_eq!(client.newest().await.unwrap().round(), 101);
    let wait = client.wait(50, Duration::from_secs(10)).await;
    assert_eq!(wait.unwrap().round(), 50);
}

#[tokio::test]
async fn sleeps_through_the_time_before_a_round() {
    let genesis = unix_now().as_secs() + 3_600;
    let local = LocalBeacon::new(&[7; 32], genesis, 3).unwrap();
    let relays = [TestRelay::start(&local, genesis - 3_600).await];
    let client = client_of(&local, &relays, LIMITS);
    let error = client
        .wait(1, Duration::from_millis(700))
        .await
        .unwrap_err();
    assert!(matches!(error, BeaconError::TimedOut { round: 1, .. }));
    // It only looks whether the own clock is slow.
    let asked = relays[0].asked();
    assert!(!asked.is_empty() && asked.len() < 20, "{asked:?}");
    assert!(
        asked.iter().all(|path| path.ends_with("latest")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn refuses_to_wait_for_rounds_without_a_time() {
    let client = client_of(&beacon(), &world(1).await.relays, LIMITS);
    for round in [0, u64::MAX] {
        let error = client.wait(round, Duration::MAX).await.unwrap_err();
        assert!(matches!(error, BeaconError::Schedule(_)), "{error}");
    }
}
