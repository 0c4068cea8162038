//! Every fault of a relay, with and without a good relay beside it.

use crate::{
    fixtures::{NEWEST, World, time_of, world},
    relay::Fault,
};
use cheque::{
    InvalidRound,
    beacon::{BeaconError, RelayError},
};
use std::time::Duration;
use tokio::time::Instant;

const FAULTS: [Fault; 15] = [
    Fault::Silence,
    Fault::Late(Duration::from_millis(400)),
    Fault::OtherKey,
    Fault::OtherSignature,
    Fault::OtherRound,
    Fault::NoPoint,
    Fault::Html,
    Fault::Endless,
    Fault::Cut,
    Fault::Limited(None),
    Fault::Limited(Some(3_600)),
    Fault::Status(500),
    Fault::Status(403),
    Fault::Circle,
    Fault::Behind(500),
];

/// The failure of the first relay in an error.
fn failure(error: &BeaconError) -> &RelayError {
    match error {
        BeaconError::NoAnswer { failures, .. } => &failures[0].1,
        other => panic!("{other}"),
    }
}

async fn failing(fault: Fault) -> World {
    let world = world(1).await;
    world.relays[0].fail(fault);
    world
}

#[tokio::test]
async fn names_the_fault_of_a_relay() {
    let chain = InvalidRound::WrongSignature { round: 5 };
    for (fault, expected) in [
        (
            Fault::Silence,
            RelayError::TimedOut(Duration::from_millis(600)),
        ),
        (Fault::OtherKey, RelayError::Invalid(chain)),
        (Fault::OtherSignature, RelayError::Invalid(chain)),
        (
            Fault::OtherRound,
            RelayError::WrongRound { asked: 5, found: 4 },
        ),
        (Fault::Html, RelayError::Unreadable),
        (Fault::Cut, RelayError::Unreadable),
        (Fault::Endless, RelayError::TooLong(16_384)),
        (
            Fault::Limited(None),
            RelayError::RateLimited { retry_after: None },
        ),
        (Fault::Status(500), RelayError::Status(500)),
        (Fault::Status(403), RelayError::Status(403)),
    ] {
        let error = failing(fault).await.client.round(5).await.unwrap_err();
        assert_eq!(*failure(&error), expected, "{fault:?}");
    }
    let error = failing(Fault::NoPoint)
        .await
        .client
        .round(5)
        .await
        .unwrap_err();
    let RelayError::Invalid(InvalidRound::Signature { round: 5, .. }) = failure(&error) else {
        panic!("{error}")
    };
    let error = failing(Fault::Circle)
        .await
        .client
        .round(5)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    assert!(error.to_string().contains("name other relays"), "{error}");
}

#[tokio::test]
async fn needs_one_good_relay_of_three() {
    for fault in FAULTS {
        for good in 0..3 {
            let world = world(3).await;
            for (index, relay) in world.relays.iter().enumerate() {
                if index != good {
                    relay.fail(fault);
                }
            }
            let started = Instant::now();
            let round = world.client.round(5).await;
            let newest = world.client.newest().await;
            assert_eq!(round.unwrap(), world.beacon.round(5).unwrap(), "{fault:?}");
            assert_eq!(newest.unwrap().round(), NEWEST, "{fault:?}");
            assert!(started.elapsed() < Duration::from_secs(3), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn asks_dead_relays_last_and_forgives_them() {
    let world = world(3).await;
    let [first, second, _] = &world.relays[..] else {
        panic!("three relays")
    };
    first.fail(Fault::Status(502));
    world.client.round(5).await.unwrap();
    first.asked();
    world.client.round(6).await.unwrap();
    assert_eq!((first.asked().len(), second.asked().len()), (0, 2));
    let states = world.client.relays();
    assert_eq!(states[0].failures, 1);
    assert_eq!(states[0].last_error, Some(RelayError::Status(502)));
    assert!(states[0].retry_in > Duration::ZERO);

    first.heal();
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    world.client.round(7).await.unwrap();
    assert_eq!((first.asked().len(), second.asked().len()), (1, 0));
    assert_eq!(world.client.relays()[0].failures, 0);
}

#[tokio::test]
async fn asks_demoted_relays_when_all_others_fail() {
    let world = world(2).await;
    world.relays[0].fail(Fault::OtherKey);
    world.client.round(5).await.unwrap();
    world.relays[0].heal();
    world.relays[1].fail(Fault::Silence);
    // The first relay waits for its turn for 10 s, and is asked nevertheless.
    assert_eq!(world.client.round(6).await.unwrap().round(), 6);
}

#[tokio::test]
async fn leaves_a_relay_alone_that_asks_for_a_pause() {
    let world = failing(Fault::Limited(Some(2))).await;
    let error = world.client.round(5).await.unwrap_err();
    let retry_after = Some(Duration::from_secs(2));
    assert_eq!(*failure(&error), RelayError::RateLimited { retry_after });
    world.relays[0].heal();
    world.relays[0].asked();
    let error = world.client.round(5).await.unwrap_err();
    assert!(matches!(failure(&error), RelayError::Paused(_)), "{error}");
    let error = world.client.newest().await.unwrap_err();
    assert!(matches!(failure(&error), RelayError::Paused(_)), "{error}");
    assert!(world.relays[0].asked().is_empty());
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(world.client.round(5).await.is_ok());
}

#[tokio::test]
async fn asks_the_next_relay_beside_a_slow_one() {
    let world = world(2).await;
    world.relays[0].fail(Fault::Late(Duration::from_millis(450)));
    let started = Instant::now();
    world.client.round(5).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(400));
    // From now on the fast relay comes first.
    world.relays[0].asked();
    world.client.round(6).await.unwrap();
    assert!(world.relays[0].asked().is_empty());
}

#[tokio::test]
async fn demotes_relays_that_keep_rounds_back() {
    let world = world(2).await;
    world.relays[0].fail(Fault::Behind(100));
    assert_eq!(world.client.newest().await.unwrap().round(), NEWEST);
    let behind = RelayError::Behind {
        found: NEWEST - 100,
        newest: NEWEST,
    };
    assert_eq!(world.client.relays()[0].last_error, Some(behind));
    assert_eq!(world.client.relays()[1].failures, 0);
    assert_eq!(
        world.client.newest_verified(),
        Some((NEWEST, time_of(NEWEST)))
    );
}
