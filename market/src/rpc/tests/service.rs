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
    let answers: Vec<_> = service.with(|_, _| {
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
    let connected = service.with(|operator, now| operator.connect(&[1, 1], b"home", now));
    connected.unwrap();
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
    let seen = service.with(|operator, _| operator.client_info(&[[1, 1]], &[], 0));
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
