//! Rounds from the store, and the time of the newest round.

use super::*;
use crate::{protocol::beacon::local::LocalBeacon, store::Memory};

const GENESIS: u64 = 1_700_000_000;
const PERIOD: u64 = 3;
/// The time of round 101.
const DRAW: u64 = GENESIS + 300;

fn local() -> LocalBeacon {
    LocalBeacon::new(&[7; 32], GENESIS, PERIOD).unwrap()
}

fn book() -> SeedBook {
    let store = AsyncStore::new(Arc::new(Memory::default()));
    SeedBook::new(local().beacon().clone(), None, store).unwrap()
}

/// Writes bytes as the record of a draw time.
async fn write(book: &SeedBook, draw_time: u64, bytes: Vec<u8>) {
    let key = seed_key(&book.beacon, draw_time).to_vec();
    let set = book.store.set(Table::Seeds, key, None, Some(bytes));
    assert_eq!(set.await.unwrap(), Swap::Done);
}

fn row(round: u64) -> Vec<u8> {
    let signature = local().sign(round).into();
    encode(&SeedRow { signature })
}

#[tokio::test]
async fn returns_a_stored_round_without_relays() {
    let book = book();
    write(&book, DRAW, row(101)).await;
    let round = book.round(DRAW).await.unwrap().unwrap();
    assert_eq!((round.round(), round.time()), (101, DRAW));
    assert_eq!(book.clone().round(DRAW).await.unwrap(), Some(round));
}

#[tokio::test]
async fn believes_no_record_that_does_not_verify() {
    let book = book();
    write(&book, DRAW, row(102)).await;
    write(&book, DRAW + PERIOD, vec![1, 2, 3]).await;
    for time in [DRAW, DRAW + PERIOD] {
        let refused = book.round(time).await;
        assert!(
            matches!(refused, Err(SeedError::NoClient(due)) if due == time),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn knows_no_round_of_the_future_or_off_schedule() {
    let book = book();
    let future = DRAW + PERIOD * 1_000_000_000;
    assert_eq!(book.round(future).await.unwrap(), None);
    let off = book.round(DRAW + 1).await;
    assert!(matches!(off, Err(SeedError::Schedule(_))), "{off:?}");
    assert_eq!(book.newest_time().await, None);
    let now = book.now(5, 7).await;
    assert_eq!((now.clock, now.head_time, now.round_time), (5, 7, None));
}

#[tokio::test]
async fn refuses_the_client_of_another_beacon() {
    let client = BeaconClient::quicknet().unwrap();
    let store = AsyncStore::new(Arc::new(Memory::default()));
    let made = SeedBook::new(local().beacon().clone(), Some(client), store);
    assert!(matches!(made, Err(SeedError::OtherBeacon { .. })));
}

#[tokio::test]
async fn forgets_rounds_before_a_time() {
    let book = book();
    for round in 101..=104 {
        let time = GENESIS + PERIOD * (round - 1);
        write(&book, time, row(round)).await;
    }
    let removed = book.forget_before(DRAW + 2 * PERIOD).await.unwrap();
    assert_eq!(removed, 2);
    assert!(book.round(DRAW + PERIOD).await.is_err());
    assert!(book.round(DRAW + 2 * PERIOD).await.unwrap().is_some());
}

#[cfg(feature = "local-beacon")]
#[tokio::test]
async fn waits_for_the_newest_round_after_idling() {
    use crate::beacon::LocalRelay;
    use std::sync::atomic::{AtomicU64, Ordering};

    let local = LocalBeacon::new(&[7; 32], GENESIS, 1).unwrap();
    let time = Arc::new(AtomicU64::new(unix_now() - 29));
    let (address, clock) = ("127.0.0.1:0".parse().unwrap(), time.clone());
    let clock = move || clock.load(Ordering::Relaxed);
    let relay = LocalRelay::start_with_clock(local.clone(), address, clock);
    let relay = relay.await.unwrap();
    let beacon = local.beacon().clone();
    let client = BeaconClient::new(beacon.clone(), beacon.chain_hash(), &[relay.url()]).unwrap();
    // The host knows a round that is 29 s old, and has not asked for the newest one lately.
    let old = time.load(Ordering::Relaxed);
    client.round(beacon.round_at(old).unwrap()).await.unwrap();
    assert_eq!(client.newest_verified().map(|(_, time)| time), Some(old));
    let store = AsyncStore::new(Arc::new(Memory::default()));
    let book = SeedBook::new(beacon, Some(client), store).unwrap();
    time.store(old + 29, Ordering::Relaxed);
    assert_eq!(book.newest_time().await, Some(old + 29));
    // The relays have answered a moment ago: nobody waits for them.
    time.store(old + 30, Ordering::Relaxed);
    assert_eq!(book.newest_time().await, Some(old + 29));
}
