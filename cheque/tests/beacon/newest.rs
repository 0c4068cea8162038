//! The newest round: one request for all, an age when nobody answers.

use crate::{
    fixtures::{LIMITS, NEWEST, client_of, time_of, world},
    relay::Fault,
};
use cheque::beacon::{BeaconError, BeaconLimits};
use std::time::Duration;

#[tokio::test]
async fn asks_for_the_newest_round_once_per_pause() {
    let world = world(2).await;
    let slow = BeaconLimits {
        poll: Duration::from_secs(3_600),
        ..LIMITS
    };
    let client = client_of(&world.beacon, &world.relays, slow);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.newest().await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().round(), NEWEST);
    }
    world.set(NEWEST + 5);
    assert_eq!(client.newest().await.unwrap().round(), NEWEST);
    for relay in &world.relays {
        assert_eq!(relay.asked().len(), 1);
    }
    // Rounds fetched by number count, too.
    client.round(NEWEST + 3).await.unwrap();
    assert_eq!(client.newest().await.unwrap().round(), NEWEST + 3);
    let time = time_of(NEWEST + 3);
    assert_eq!(client.newest_verified(), Some((NEWEST + 3, time)));
}

#[tokio::test]
async fn returns_to_the_beacon_after_an_hour_of_silence() {
    let world = world(3).await;
    assert_eq!(world.client.newest().await.unwrap().round(), NEWEST);
    // The beacon stops for an hour: its relays go on with the round before.
    for _ in 0..3 {
        tokio::time::sleep(LIMITS.poll * 2).await;
        assert_eq!(world.client.newest().await.unwrap().time(), time_of(NEWEST));
    }
    // Some relays fail in that hour.
    world.relays[0].fail(Fault::Status(503));
    world.relays[1].fail(Fault::Html);
    world.relays[2].fail(Fault::Status(500));
    for _ in 0..3 {
        tokio::time::sleep(LIMITS.poll * 2).await;
        assert_eq!(world.client.newest().await.unwrap().time(), time_of(NEWEST));
    }
    for relay in &world.relays {
        relay.heal();
    }
    world.set(NEWEST + 1_200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.client.newest().await.unwrap().round(), NEWEST + 1_200);
    assert_eq!(
        world.client.round(NEWEST + 600).await.unwrap().time(),
        time_of(NEWEST + 600)
    );
}

#[tokio::test]
async fn fails_if_no_relay_has_ever_answered() {
    let world = world(2).await;
    for relay in &world.relays {
        relay.fail(Fault::Status(500));
    }
    for _ in 0..2 {
        let error = world.client.newest().await.unwrap_err();
        let BeaconError::NoAnswer {
            round: None,
            failures,
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(failures.len(), 2);
    }
    // The second call came within the pause.
    assert_eq!(world.relays[0].asked().len(), 1);
    assert_eq!(world.client.newest_verified(), None);
    for relay in &world.relays {
        relay.heal();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.client.newest().await.unwrap().round(), NEWEST);
}

#[tokio::test]
async fn never_goes_back_to_an_older_round() {
    let world = world(1).await;
    assert_eq!(world.client.newest().await.unwrap().round(), NEWEST);
    world.set(NEWEST - 10);
    tokio::time::sleep(LIMITS.poll * 2).await;
    assert_eq!(world.client.newest().await.unwrap().round(), NEWEST);
}
