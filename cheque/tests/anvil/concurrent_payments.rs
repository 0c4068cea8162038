//! Payments made or shown at the same time, out of order, or to workers with outdated caches.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, rejection};
use crate::node::{beacon::LIMITS, coins};
use crate::over;
use crate::proxy::{Fault, Proxy};
use cheque::bank::Reader;
use cheque::beacon::{BeaconClient, BeaconLimits};
use cheque::node::connect_within;
use cheque::store::Redb;
use cheque::{Amount, Rejection};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn credits_concurrent_copies_of_proof_once() {
    let fixture = Fixture::new().await;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;
    let (id, payee) = (opened.id, &payees[0]);
    let address = fixture.payees[0].address;
    let mut credited = Amount::ZERO;
    // The first proof is an opening, the others are cheques.
    for _ in 0..5 {
        let payment = payer.write_cheque(id, address, coins(3)).await.unwrap();
        let proof = payment.proof;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (payee, proof) = (payee.clone(), proof.clone());
                tokio::spawn(async move { payee.receive_payment(None, &proof).await })
            })
            .collect();
        let mut accepted = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(taken) => {
                    accepted += 1;
                    credited = credited.checked_add(taken.value).unwrap();
                }
                Err(error) => assert_eq!(rejection(Err(error)), Rejection::Replay),
            }
        }
        assert_eq!(accepted, 1);
    }
    let position = payee.position(id).await.unwrap().unwrap();
    assert_eq!(
        (position.total(), position.credited()),
        (coins(15), credited)
    );
}

#[tokio::test]
async fn keeps_payment_whose_client_disconnects_during_write() {
    // The payment counts once.
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let id = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    let address = fixture.payees[0].address;
    let directory = tempfile::tempdir().unwrap();
    let store = Redb::open(directory.path().join("payee")).unwrap();
    let payee = fixture.world.payee(&fixture.payees[0], Arc::new(store));
    // A client that asks for the newest round once.
    let (url, beacon) = (
        &fixture.world.beacon.url,
        fixture.world.beacon.local.beacon(),
    );
    let limits = BeaconLimits {
        poll: Duration::from_secs(3_600),
        ..LIMITS
    };
    let client = BeaconClient::with_limits(beacon.clone(), beacon.chain_hash(), &[url], limits);
    let payee = payee.with_beacon(client.unwrap()).unwrap();
    let write = async || {
        let payment = payer.write_cheque(id, address, coins(1)).await.unwrap();
        payment.proof
    };
    let mut newest = write().await;
    payee.receive_payment(None, &newest).await.unwrap();
    for round in 1..=3 {
        // With a fresh chain view, a payment waits only for the disk.
        let again = payee.receive_payment(None, &newest).await;
        assert_eq!(rejection(again), Rejection::Replay);
        newest = write().await;
        tokio::select! {
            biased;
            _ = payee.receive_payment(None, &newest) => {}
            () = std::future::ready(()) => {}
        }
        let total = coins(2 * round);
        let kept = async {
            while payee.position(id).await.unwrap().unwrap().total() != total {
                tokio::task::yield_now().await;
            }
        };
        let kept = tokio::time::timeout(Duration::from_secs(30), kept).await;
        kept.expect("the payment in the store");
        let again = payee.receive_payment(None, &newest).await;
        assert_eq!(rejection(again), Rejection::Replay);

        let credited = payee.position(id).await.unwrap().unwrap().credited();
        newest = write().await;
        let taken = payee.receive_payment(None, &newest).await.unwrap();
        assert_eq!(taken.total, coins(2 * round + 1));
        let now = credited.checked_add(taken.value).unwrap();
        assert_eq!(taken.position.credited(), now);
    }
}

#[tokio::test]
async fn ignores_outdated_position_cache_of_worker() {
    // A stale cache never causes a rejection.
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let id = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    let address = fixture.payees[0].address;
    let store = memory();
    let [worker, other] = [(); 2].map(|()| fixture.world.payee(&fixture.payees[0], store.clone()));
    let opening = payer.write_cheque(id, address, coins(1)).await.unwrap();
    let opening = opening.proof;
    worker.receive_payment(None, &opening).await.unwrap();
    let stream = payer.open_stream(id, address, Amount::ZERO, coins(1), 10);
    let stream = stream.await.unwrap().proof;
    other.receive_payment(None, &stream).await.unwrap();

    // A step of a stream that the worker has not cached.
    let step = payer.pay_steps(id, address, 3).await.unwrap().proof;
    let taken = worker.receive_payment(None, &step).await.unwrap();
    assert_eq!(taken.total, coins(4));
    // The other worker's cache is outdated.
    let cheque = payer.write_cheque(id, address, coins(2)).await.unwrap();
    let taken = other.receive_payment(None, &cheque.proof).await;
    assert_eq!(taken.unwrap().total, coins(6));
    let old = worker.receive_payment(None, &opening).await;
    assert!(matches!(rejection(old), Rejection::Stale { .. }));
}

#[tokio::test]
async fn adds_up_cheques_out_of_order_exactly() {
    // Eight tasks deliver the cheques. An overtaken cheque is stale, and no other rejection occurs.
    const CHEQUES: u64 = 96;
    let fixture = Fixture::new().await;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;
    let (id, payee) = (opened.id, &payees[0]);
    let (_, first) = pay(&payer, payee, id, coins(4)).await;
    let mut proofs = Vec::new();
    for _ in 0..CHEQUES {
        let payment = payer.write_cheque(id, fixture.payees[0].address, coins(1));
        proofs.push(payment.await.unwrap().proof);
    }
    proofs.shuffle(&mut ChaCha8Rng::seed_from_u64(8));
    let shares = proofs.chunks(proofs.len() / 8).map(<[_]>::to_vec);
    let tasks: Vec<_> = shares
        .map(|share| {
            let payee = payee.clone();
            tokio::spawn(async move {
                let mut results = Vec::new();
                for proof in share {
                    results.push(payee.receive_payment(None, &proof).await);
                }
                results
            })
        })
        .collect();
    assert_eq!(tasks.len(), 8);
    let mut values = first.value;
    let mut stale = 0;
    for task in tasks {
        for result in task.await.unwrap() {
            match result {
                Ok(accepted) => values = values.checked_add(accepted.value).unwrap(),
                Err(error) => match rejection(Err(error)) {
                    Rejection::Stale {
                        total,
                        newest_total,
                        ..
                    } => {
                        assert!(total < newest_total);
                        stale += 1;
                    }
                    other => panic!("an honest cheque was refused: {other}"),
                },
            }
        }
    }
    assert!(stale > 0, "no cheque came out of order");
    let position = payee.position(id).await.unwrap().unwrap();
    assert_eq!(
        (position.total(), position.credited()),
        (coins(100), values)
    );
    let worth = position.payout().unwrap();
    let worth = worth.expected_value(
        Amount::new(position.deposit().amount),
        position.redeem_cost(),
    );
    assert_eq!(
        values, worth,
        "the values differ from those of the last cheque alone"
    );
}

#[tokio::test]
async fn keeps_concurrent_payments_within_allowance() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let id = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    let payee = fixture.payees[0].address;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let payer = payer.clone();
            tokio::spawn(async move { payer.write_cheque(id, payee, coins(9)).await })
        })
        .collect();
    let mut totals = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(payment) => totals.push(payment.spent),
            Err(cheque::payer::PayerError::NotCoveredByDeposit { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    totals.sort();
    let expected: Vec<_> = (1..=11).map(|paid| coins(9 * paid)).collect();
    assert_eq!(
        totals, expected,
        "not eleven payments of 9 by an allowance of 100"
    );
    let last = payer.spent_and_left(id, payee).await.unwrap();
    assert_eq!(last, Some((coins(99), coins(1))));
}

/// A node that answers in 0.8 s, slower than a snapshot of the chain ages. Once each payment looked by itself, 20 took 104 s.
#[tokio::test]
async fn looks_once_for_payments_at_the_same_time() {
    const PAYMENTS: usize = 20;
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let id = open_deposit(world, &payer, &fixture.request(HOUR)).await.id;
    let proxy = Proxy::start(&world.node.provider).await;
    let provider = connect_within(&[&proxy.url], Duration::from_secs(10)).await;
    let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
    let reader = reader.await.unwrap().with_profile(*world.reader.profile());
    let payee = over::payee(world, &reader, &fixture.payees[0], memory());
    let write = async || {
        let address = fixture.payees[0].address;
        let payment = payer.write_cheque(id, address, coins(1)).await.unwrap();
        payment.proof
    };
    payee.receive_payment(None, &write().await).await.unwrap();
    let max_age = reader.profile().poll * 2;
    let age = async || tokio::time::sleep(max_age.max(Duration::from_secs(1))).await;

    proxy.fail("", Fault::Delay(Duration::from_millis(800)));
    age().await;
    let before = proxy.requests();
    payee.receive_payment(None, &write().await).await.unwrap();
    let of_one = proxy.requests() - before;
    assert!(of_one > 0, "the snapshot is still fresh");

    age().await;
    let mut proofs = Vec::new();
    for _ in 0..PAYMENTS {
        proofs.push(write().await);
    }
    let before = proxy.requests();
    let tasks: Vec<_> = proofs
        .into_iter()
        .map(|proof| {
            let payee = payee.clone();
            tokio::spawn(async move { payee.receive_payment(None, &proof).await })
        })
        .collect();
    let mut credited = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => credited += 1,
            // A later cheque of the same deposit was faster.
            Err(error) => assert!(matches!(rejection(Err(error)), Rejection::Stale { .. })),
        }
    }
    assert!(credited > 0);
    let of_all = proxy.requests() - before;
    assert!(
        of_all <= 2 * of_one,
        "{of_all} requests for {PAYMENTS} payments, {of_one} for one"
    );
}
