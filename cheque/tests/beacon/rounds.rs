//! Rounds by number: versions of the API, memory, and URLs.

use crate::{
    fixtures::{LIMITS, NEWEST, beacon, client_of, time_of, world},
    relay::{Fault, TestRelay},
};
use cheque::{
    Beacon, LocalBeacon, ScheduleError,
    beacon::{BeaconClient, BeaconError, LocalRelay, QUICKNET_RELAYS, RelayError},
};
use std::time::Duration;

#[tokio::test]
async fn fetches_verified_round_once() {
    let world = world(1).await;
    let round = world.client.round(5).await.unwrap();
    assert_eq!(round, world.beacon.round(5).unwrap());
    assert_eq!(round.time(), time_of(5));
    assert_eq!(world.client.round(5).await.unwrap(), round);
    let chain = hex(&world.beacon);
    assert_eq!(
        world.relays[0].asked(),
        [format!("/v2/chains/{chain}/rounds/5")]
    );
}

fn hex(beacon: &LocalBeacon) -> String {
    alloy_primitives::hex::encode(beacon.beacon().chain_hash())
}

#[tokio::test]
async fn falls_back_to_version_1_and_stays_there() {
    let world = world(1).await;
    world.relays[0].fail(Fault::Old);
    for round in [5, 6] {
        let fetched = world.client.round(round).await.unwrap();
        assert_eq!(fetched, world.beacon.round(round).unwrap());
    }
    assert_eq!(world.client.newest().await.unwrap().round(), NEWEST);
    let chain = hex(&world.beacon);
    assert_eq!(
        world.relays[0].asked(),
        [
            format!("/v2/chains/{chain}/rounds/5"),
            format!("/{chain}/public/5"),
            format!("/{chain}/public/6"),
            format!("/{chain}/public/latest"),
        ]
    );
}

#[tokio::test]
async fn shares_one_request_among_all_who_want_the_round() {
    let world = world(1).await;
    world.relays[0].fail(Fault::Late(Duration::from_millis(100)));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let client = world.client.clone();
            tokio::spawn(async move { client.round(9).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().round(), 9);
    }
    assert_eq!(world.relays[0].asked().len(), 1);
}

#[tokio::test]
async fn tells_rounds_of_the_future_from_failures() {
    let world = world(2).await;
    let error = world.client.round(NEWEST + 1).await.unwrap_err();
    let BeaconError::NotYet { round, time } = error else {
        panic!("{error}")
    };
    assert_eq!((round, time), (NEWEST + 1, time_of(NEWEST + 1)));
    let error = world.client.round(0).await.unwrap_err();
    assert!(matches!(
        error,
        BeaconError::Schedule(ScheduleError::RoundZero)
    ));
    for state in world.client.relays() {
        assert_eq!((state.failures, state.retry_in), (0, Duration::ZERO));
    }
}

#[tokio::test]
async fn keeps_keys_in_urls_out_of_errors() {
    let local = beacon();
    let with = |url: &str| {
        let hash = local.beacon().chain_hash();
        BeaconClient::with_limits(local.beacon().clone(), hash, &[url], LIMITS)
    };
    for (url, shown) in [
        ("ftp://user:secret@example.org/secret", "ftp://example.org"),
        ("secret", "(\"\")"),
    ] {
        let error = with(url).unwrap_err().to_string();
        assert!(
            error.contains(shown) && !error.contains("secret"),
            "{error}"
        );
    }
    let client = with("http://user:secret@127.0.0.1:9/secret?key=secret").unwrap();
    let error = client.round(5).await.unwrap_err();
    let text = format!("{error} {error:?} {client:?} {:?}", client.relays());
    assert!(
        text.contains("http://127.0.0.1:9") && !text.contains("secret"),
        "{text}"
    );
    let none: [&str; 0] = [];
    let hash = local.beacon().chain_hash();
    let error = BeaconClient::new(local.beacon().clone(), hash, &none).unwrap_err();
    assert!(matches!(error, BeaconError::NoRelay));
}

#[tokio::test]
async fn keeps_the_path_before_the_api() {
    let local = beacon();
    let relay = TestRelay::start(&local, time_of(NEWEST)).await;
    let url = format!("{}/key/", relay.url);
    let hash = local.beacon().chain_hash();
    let client = BeaconClient::with_limits(local.beacon().clone(), hash, &[url], LIMITS).unwrap();
    // The relay does not know the prefix, and answers as version 1 for every path.
    client.round(5).await.unwrap();
    assert!(relay.asked()[0].starts_with("/key/v2/chains/"));
}

#[tokio::test]
async fn ends_the_local_relay_with_its_handle() {
    let local = beacon();
    let relay = LocalRelay::start(local.clone(), ([127, 0, 0, 1], 0).into());
    let relay = relay.await.unwrap();
    let hash = local.beacon().chain_hash();
    let client = BeaconClient::with_limits(local.beacon().clone(), hash, &[relay.url()], LIMITS);
    let client = client.unwrap();
    assert_eq!(client.round(5).await.unwrap(), local.round(5).unwrap());
    drop(relay);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(client.round(6).await.is_err());
}

#[tokio::test]
async fn demotes_relays_without_a_round_that_another_has() {
    let world = world(2).await;
    world.relays[1].set(time_of(NEWEST + 1));
    world.client.round(NEWEST + 1).await.unwrap();
    let states = world.client.relays();
    let behind = RelayError::Behind {
        found: 0,
        newest: NEWEST + 1,
    };
    assert_eq!(states[0].last_error, Some(behind));
}

#[tokio::test]
async fn forgets_nothing_between_clones() {
    let world = world(1).await;
    let clone = world.client.clone();
    world.client.round(5).await.unwrap();
    assert_eq!(clone.newest_verified(), Some((5, time_of(5))));
    let other = client_of(&world.beacon, &world.relays, LIMITS);
    assert_eq!(other.newest_verified(), None);
}

#[test]
fn knows_the_public_relays_of_quicknet() {
    let client = BeaconClient::quicknet().unwrap();
    assert_eq!(*client.beacon(), Beacon::quicknet());
    let hosts: Vec<_> = client
        .relays()
        .into_iter()
        .map(|state| state.host)
        .collect();
    assert_eq!(hosts, QUICKNET_RELAYS);
}
