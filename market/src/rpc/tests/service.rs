//! The task that carries out payments.

use super::*;
use crate::{hall::CommitError, store::Batch};
use std::sync::atomic::{AtomicU64, Ordering};

fn service(store: &Store) -> Arc<Service<Id, Store>> {
    let clock = AtomicU64::new(0);
    let operator = open(store);
    Arc::new(Service::new(operator, move || {
        clock.fetch_add(1, Ordering::Relaxed)
    }))
}

#[tokio::test]
async fn shares_writes_among_payments_and_answers_after_them() {
    let store = Store::default();
    let service = service(&store);
    let before = store.writes();
    // The first payments wait for this call, so that all others share few writes.
    let answers: Vec<_> = service.read(|_, _| {
        let pay =
            |n: u8| service.submit(move |hall, now| hall.pay(&[n % 8, 7], 10, Batch::new(), now));
        (0..200).map(pay).collect()
    });
    let mut sums = [0; 8];
    for (n, answer) in answers.into_iter().enumerate() {
        let added = answer.await.unwrap().unwrap();
        sums[n % 8] += 10;
        assert_eq!(added.new, sums[n % 8]);
        // Durable by now.
        let stored = open(&store)
            .clients()
            .tracker()
            .tokens(&[(n % 8) as u8, 7], 0);
        assert!(stored.unwrap() >= added.new);
    }
    let writes = store.writes() - before;
    assert!(writes <= 10, "{writes} writes for 200 payments");
}

#[tokio::test]
async fn answers_with_the_error_of_a_commit_that_failed() {
    let store = Store::default();
    let service = service(&store);
    // The balance of a connected client needs no read.
    let connected = service.change(|operator, now| operator.connect(&[1, 1], b"home", now));
    connected.await.unwrap().unwrap();
    let pay =
        |amount| service.submit(move |hall, now| hall.pay(&[1, 1], amount, Batch::new(), now));
    pay(5).await.unwrap().unwrap();
    store.fail(true);
    let failed = pay(7).await.unwrap_err();
    let SubmitError::Commit(error) = failed else {
        panic!("{failed}");
    };
    assert!(matches!(*error, CommitError::Undone(_)), "{error}");
    store.hide(true);
    let unknown = pay(7).await.unwrap_err();
    assert!(matches!(unknown, SubmitError::Commit(_)), "{unknown}");
    let unsettled = pay(7).await.unwrap_err();
    assert!(matches!(unsettled, SubmitError::Unsettled), "{unsettled}");
    store.fail(false);
    store.hide(false);
    assert_eq!(pay(1).await.unwrap().unwrap().new, 6);
    let seen = service.read(|operator, _| operator.client_info(&[[1, 1]], &[], 0));
    assert_eq!(seen.unwrap()[&[1, 1]]["pricing/balance"], 6);
}

#[tokio::test]
async fn carries_on_after_a_dropped_answer() {
    let store = Store::default();
    let service = service(&store);
    drop(service.submit(|hall, now| hall.pay(&[1, 1], 3, Batch::new(), now)));
    let added = service.submit(|hall, now| hall.pay(&[1, 1], 3, Batch::new(), now));
    assert_eq!(added.await.unwrap().unwrap().new, 6);
}

/// A file is locked by its store: the next process, or test, can open it as soon as the service is gone.
#[tokio::test]
async fn releases_the_store_when_dropped() {
    let store = Store::default();
    let service = service(&store);
    let paid = service.submit(|hall, now| hall.pay(&[1, 1], 3, Batch::new(), now));
    drop(service);
    assert_eq!(Arc::strong_count(&store), 1);
    // Submitted operations were carried out before.
    assert_eq!(paid.await.unwrap().unwrap().new, 3);
}

#[tokio::test]
async fn shares_writes_among_clients_that_come_and_go() {
    let store = Store::default();
    let service = service(&store);
    let before = store.writes();
    let answers: Vec<_> = service.read(|_, _| {
        let visit = |n: u8| {
            service.change(move |operator, now| {
                operator.connect(&[n, 1], &[n], now).unwrap();
                operator.add_balance(&[n, 1], 10, now).unwrap();
                operator.disconnect(&[n, 1], now).unwrap();
            })
        };
        (0..200).map(visit).collect()
    });
    for (n, answer) in answers.into_iter().enumerate() {
        answer.await.unwrap();
        // Durable by now.
        let tokens = open(&store).clients().tracker().tokens(&[n as u8, 1], 0);
        assert!(tokens.unwrap() > 0);
    }
    let writes = store.writes() - before;
    assert!(writes <= 10, "{writes} writes for 200 clients");
}

/// Not made, and yet not lost: the memory of a change cannot be undone, so its rows are owed.
#[tokio::test]
async fn owes_the_rows_of_a_change_that_were_not_written() {
    let store = Store::default();
    let service = service(&store);
    let enter = service.change(|operator, now| {
        operator.connect(&[1, 1], b"home", now).unwrap();
        operator.add_balance(&[1, 1], 50, now).unwrap();
    });
    enter.await.unwrap();
    store.fail(true);
    let leave = service.change(|operator, now| {
        let mut params = Params::new();
        params.insert("userTags".to_owned(), json!(["gone"]));
        operator
            .set_client_params(&[[1, 1]], &[], &params, now)
            .unwrap();
        operator.disconnect(&[1, 1], now).unwrap();
    });
    let failed = leave.await.unwrap_err();
    let SubmitError::Commit(error) = failed else {
        panic!("{failed}");
    };
    assert!(matches!(*error, CommitError::Owed(_)), "{error}");
    let seen = || {
        let found = service.read(|operator, now| operator.client_info(&[[1, 1]], &[], now));
        let info = found.unwrap().remove(&[1, 1]).unwrap();
        assert_eq!(info["isConnected"], false);
        assert_eq!(info["userTags"], json!(["gone"]));
        info["pricing/balance"].as_u64().unwrap()
    };
    assert!(seen() > 0);
    // Nothing else happens before the owed rows are written.
    let pay = || service.submit(|hall, now| hall.pay(&[1, 1], 5, Batch::new(), now));
    assert!(matches!(pay().await, Err(SubmitError::Unsettled)));
    let poll = service.poll().await;
    assert!(matches!(poll, Err(SubmitError::Unsettled)));
    let before = seen();
    store.fail(false);
    assert_eq!(pay().await.unwrap().unwrap().new, before + 5);
    let stored = open(&store).client_info(&[[1, 1]], &[], 0).unwrap();
    assert_eq!(stored[&[1, 1]]["userTags"], json!(["gone"]));
    assert_eq!(stored[&[1, 1]]["pricing/balance"], before + 5);
}

#[tokio::test]
async fn tells_events_after_they_are_stored_and_loses_none() {
    let store = Store::default();
    let service = service(&store);
    let mut events = service.events();
    let enter = service.change(|operator, now| operator.connect(&[1, 1], b"home", now));
    enter.await.unwrap().unwrap();
    assert_eq!(
        events.recv().await.unwrap().payload()["clientEvent"],
        "connect"
    );
    // The connection's capacity is an event for the host; the write of the first poll fails.
    store.fail(true);
    let failing = service.change(|operator, now| {
        operator.add_balance(&[1, 1], 1 << 40, now).unwrap();
        operator
            .clients_mut()
            .set_capacity(&[1, 1], 200, 0, now)
            .unwrap();
    });
    assert!(failing.await.is_err());
    assert!(service.poll().await.is_err());
    store.fail(false);
    let (happened, next) = service.poll().await.unwrap();
    let capacities = happened.iter().filter_map(|event| match event {
        crate::pool::PoolEvent::Capacity(change) => Some(change.new),
        _ => None,
    });
    assert_eq!(capacities.max(), Some(200), "{happened:?}");
    assert!(next > 0);
}
