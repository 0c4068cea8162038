//! Paying and being paid.

use crate::cast::{Cast, memory, opened, pay, rejection};
use crate::node::{COIN, coins};
use alloy_primitives::Address;
use cheque::store::{Redb, Store, Swap, Table};
use cheque::{Amount, MasterSalt, Proof, Rejection};
use cheque::{
    payee::Payee,
    payer::{Draw, PayerError},
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn one_proof_shown_twice_at_once_is_credited_once() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let opened = opened(&cast.world, &payer, &cast.request(60)).await;
    let (id, payee) = (opened.id, &payees[0]);
    let address = cast.payees[0].address;
    let mut credited = Amount::ZERO;
    // The first is an opening, the others are cheques.
    for _ in 0..5 {
        let payment = payer.write_cheque(id, address, coins(3)).await.unwrap();
        let proof = payment.proof.unwrap();
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
    let position = payee.holding(id).await.unwrap().unwrap();
    assert_eq!(
        (position.total(), position.credited()),
        (coins(15), credited)
    );
}

#[tokio::test]
async fn a_payment_whose_client_goes_away_while_it_is_written_is_kept_and_counts_once() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let id = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let address = cast.payees[0].address;
    let directory = tempfile::tempdir().unwrap();
    let store = Redb::open(directory.path().join("payee")).unwrap();
    let payee = cast.world.payee(&cast.payees[0], Arc::new(store));
    let write = async || {
        let payment = payer.write_cheque(id, address, coins(1)).await.unwrap();
        payment.proof.unwrap()
    };
    let mut newest = write().await;
    payee.receive_payment(None, &newest).await.unwrap();
    for round in 1..=3 {
        // With a view of the chain that is fresh, a payment waits for nothing but the disk.
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
            while payee.holding(id).await.unwrap().unwrap().total() != total {
                tokio::task::yield_now().await;
            }
        };
        let kept = tokio::time::timeout(Duration::from_secs(30), kept).await;
        kept.expect("it was on its way to the disk");
        let again = payee.receive_payment(None, &newest).await;
        assert_eq!(rejection(again), Rejection::Replay);

        let credited = payee.holding(id).await.unwrap().unwrap().credited();
        newest = write().await;
        let taken = payee.receive_payment(None, &newest).await.unwrap();
        assert_eq!(taken.total, coins(2 * round + 1));
        let now = credited.checked_add(taken.value).unwrap();
        assert_eq!(taken.position.credited(), now);
    }
}

#[tokio::test]
async fn what_a_worker_remembers_never_speaks_against_a_payment() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let id = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let address = cast.payees[0].address;
    let store = memory();
    let [worker, other] = [(); 2].map(|()| cast.world.payee(&cast.payees[0], store.clone()));
    let opening = payer.write_cheque(id, address, coins(1)).await.unwrap();
    let opening = opening.proof.unwrap();
    worker.receive_payment(None, &opening).await.unwrap();
    let stream = payer.open_stream(id, address, Amount::ZERO, coins(1), 10);
    let stream = stream.await.unwrap().proof.unwrap();
    other.receive_payment(None, &stream).await.unwrap();

    // Of a stream that the worker has never heard of.
    let step = payer.pay_steps(id, address, 3).await.unwrap().proof;
    let taken = worker.receive_payment(None, &step.unwrap()).await.unwrap();
    assert_eq!(taken.total, coins(4));
    // The other remembers less than there is now.
    let cheque = payer.write_cheque(id, address, coins(2)).await.unwrap();
    let taken = other.receive_payment(None, &cheque.proof.unwrap()).await;
    assert_eq!(taken.unwrap().total, coins(6));
    let old = worker.receive_payment(None, &opening).await;
    assert!(matches!(rejection(old), Rejection::Stale { .. }));
}

#[tokio::test]
async fn cheques_that_eight_tasks_deliver_out_of_order_add_up_exactly_and_are_stale_at_worst() {
    const CHEQUES: u64 = 96;
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let opened = opened(&cast.world, &payer, &cast.request(60)).await;
    let (id, payee) = (opened.id, &payees[0]);
    let (_, first) = pay(&payer, payee, id, coins(4)).await;
    let mut proofs = Vec::new();
    for _ in 0..CHEQUES {
        let payment = payer.write_cheque(id, cast.payees[0].address, coins(1));
        proofs.push(payment.await.unwrap().proof.unwrap());
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
                    other => panic!("an honest cheque is refused: {other}"),
                },
            }
        }
    }
    assert!(stale > 0, "they came out of order");
    let position = payee.holding(id).await.unwrap().unwrap();
    assert_eq!(
        (position.total(), position.credited()),
        (coins(100), values)
    );
    let worth = position.payout().unwrap();
    let worth = worth.expected_value(
        Amount::new(position.deposit().amount),
        position.redeem_cost(),
    );
    assert_eq!(values, worth, "as if only the last one had come");
}

#[tokio::test]
async fn payments_written_at_once_add_up_and_never_exceed_the_allowance() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let id = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let payee = cast.payees[0].address;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let payer = payer.clone();
            tokio::spawn(async move { payer.write_cheque(id, payee, coins(9)).await.unwrap() })
        })
        .collect();
    let mut totals = Vec::new();
    for task in tasks {
        let payment = task.await.unwrap();
        if payment.proof.is_some() {
            totals.push(payment.spent);
        }
    }
    totals.sort();
    let expected: Vec<_> = (1..=11).map(|paid| coins(9 * paid)).collect();
    assert_eq!(
        totals, expected,
        "an allowance of 100 covers eleven times 9"
    );
    let last = payer.last_cheque(id, payee).await.unwrap();
    assert_eq!(last, Some((coins(99), coins(1))));
}

#[tokio::test]
async fn streams_pay_by_steps_and_the_shown_total_is_what_a_win_pays() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let id = opened.id;
    for (payee, party) in payees.iter().zip(&cast.payees) {
        let allowance = payer
            .last_cheque(id, party.address)
            .await
            .unwrap()
            .unwrap()
            .1;
        let step = Amount::new(allowance.get() / 100);
        let opening = payer.open_stream(id, party.address, Amount::ZERO, step, 100);
        let opening = opening.await.unwrap();
        let first = payee
            .receive_payment(None, &opening.proof.unwrap())
            .await
            .unwrap();
        assert_eq!((first.value, first.total), (Amount::ZERO, Amount::ZERO));
        for steps in [1, 30, 69] {
            let payment = payer.pay_steps(id, party.address, steps).await.unwrap();
            let proof = payment.proof.unwrap();
            assert!(matches!(proof, Proof::Step { .. }));
            let taken = payee.receive_payment(None, &proof).await.unwrap();
            assert_eq!(taken.total, payment.spent);
        }
        let over = payer.pay_steps(id, party.address, 1).await;
        assert!(matches!(over, Err(PayerError::Write(_))));
    }
    world.node.mine_to(opened.deposit.drawBlock + 1).await;
    let mut paid = 0;
    for payee in &payees {
        for (_, result) in payee.settle().await.unwrap() {
            assert_eq!(result.unwrap().payout.get(), opened.deposit.amount);
            paid += 1;
        }
    }
    assert_eq!(paid, 1);
}

#[tokio::test]
async fn one_payment_is_split_over_several_deposits_or_not_made_at_all() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let payee = cast.payees[0].address;
    let later = opened(&cast.world, &payer, &cast.request(90)).await;
    let sooner = opened(&cast.world, &payer, &cast.request(60)).await;
    let native = Address::ZERO;

    let refused = payer.pay(payee, native, coins(201)).await.unwrap_err();
    let PayerError::NotCovered {
        available, needed, ..
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((available, needed), (coins(200), coins(201)));
    for id in [sooner.id, later.id] {
        let untouched = payer.last_cheque(id, payee).await.unwrap();
        assert_eq!(untouched, Some((Amount::ZERO, coins(100))));
    }

    let payments = payer.pay(payee, native, coins(150)).await.unwrap();
    let parts: Vec<_> = payments
        .iter()
        .map(|part| (part.deposit, part.spent))
        .collect();
    assert_eq!(parts, [(sooner.id, coins(100)), (later.id, coins(50))]);
    for part in payments {
        let proof = part.proof.unwrap();
        assert!(matches!(proof, Proof::Opening(_)));
        let taken = payees[0].receive_payment(None, &proof).await.unwrap();
        assert_eq!(taken.total, part.spent);
    }
}

#[tokio::test]
async fn exposure_to_one_signer_and_draw_block_is_bounded_over_all_deposits() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let mut policy = world.policy(&cast.payees[0]);
    let limits = policy.tokens.get_mut(&Address::ZERO).unwrap();
    limits.max_exposure = coins(1_200);
    let store = memory();
    let payee = Payee::new(world.reader.clone(), policy.clone(), store.clone());
    let mut request = cast.request(0);
    request.draw = Draw::At(world.head().await + 80);
    let mut proofs = Vec::new();
    for _ in 0..3 {
        let id = opened(world, &payer, &request).await.id;
        let payment = payer
            .write_cheque(id, cast.payees[0].address, coins(1))
            .await;
        proofs.push(payment.unwrap().proof.unwrap());
    }
    payee.poll().await.unwrap();
    // All at once: whichever come first, the third is too much.
    let tasks: Vec<_> = proofs
        .iter()
        .map(|proof| {
            let (payee, proof) = (payee.clone(), proof.clone());
            tokio::spawn(async move { payee.receive_payment(None, &proof).await })
        })
        .collect();
    let mut refused = Vec::new();
    for (task, proof) in tasks.into_iter().zip(&proofs) {
        if let Err(error) = task.await.unwrap() {
            refused.push((rejection(Err(error)), proof));
        }
    }
    let [(Rejection::ExposureTooLarge { exposure, .. }, third)] = &refused[..] else {
        panic!("{refused:?}");
    };
    assert_eq!(*exposure, coins(1_800));
    // A restart does not forget what is held.
    let restarted = Payee::new(world.reader.clone(), policy, store);
    let again = restarted.receive_payment(None, third).await;
    assert!(matches!(
        rejection(again),
        Rejection::ExposureTooLarge { .. }
    ));
}

#[tokio::test]
async fn the_cost_of_redeeming_follows_the_gas_price_of_the_first_payment() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let opened = opened(&cast.world, &payer, &cast.request(60)).await;
    let (_, accepted) = pay(&payer, &payees[0], opened.id, coins(50)).await;
    let cost = accepted.position.redeem_cost();
    let price = cast.world.reader.prices().await.unwrap().gas_price;
    let gas = cost.get() / price;
    assert!((150_000..300_000).contains(&gas), "{gas} gas");
    assert!(accepted.value < coins(50) && accepted.value > coins(49));
    assert_eq!(Amount::new(COIN), coins(1_000));
}

#[tokio::test]
async fn a_payer_that_lost_its_records_goes_on_from_what_the_payee_shows() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut request = cast.request(80);
    request.master = Some(MasterSalt::from_bytes([5; 32]));
    let id = opened(world, &payer, &request).await.id;
    let payee = cast.payees[0].address;
    pay(&payer, &payees[0], id, coins(10)).await;
    let opening = payer.open_stream(id, payee, coins(1), coins(1), 20).await;
    let proof = opening.unwrap().proof.unwrap();
    payees[0].receive_payment(None, &proof).await.unwrap();
    let step = payer.pay_steps(id, payee, 4).await.unwrap();
    payees[0]
        .receive_payment(None, &step.proof.unwrap())
        .await
        .unwrap();

    // A backup from before the payments: the accounts are gone, the deposit is not.
    let backup = memory();
    for table in [Table::Deposits, Table::Trees] {
        cast.store
            .scan(table, &[], &mut |key, value| {
                let copied = backup.compare_and_set(table, key, None, value).unwrap();
                assert_eq!(copied, Swap::Done);
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    let restored = world.payer(&cast.payer, backup);
    let stale = restored.write_cheque(id, payee, coins(2)).await.unwrap();
    let refused = payees[0].receive_payment(None, &stale.proof.unwrap()).await;
    let Rejection::Stale { newest, shown, .. } = rejection(refused) else {
        panic!("the payee knows more");
    };
    let resumed = restored
        .resume_from(id, payee, &newest, shown)
        .await
        .unwrap();
    assert_eq!((resumed.spent, resumed.left), (coins(15), coins(85)));
    let (_, accepted) = pay(&restored, &payees[0], id, coins(3)).await;
    assert_eq!(accepted.total, coins(18));

    // And a payee that lost its records is sent an opening.
    let fresh = world.payee(&cast.payees[0], memory());
    let payment = restored.write_cheque(id, payee, coins(1)).await.unwrap();
    let refused = fresh.receive_payment(None, &payment.proof.unwrap()).await;
    assert_eq!(rejection(refused), Rejection::UnknownDeposit(id));
    let opening = restored.opening(id, payee).await.unwrap().unwrap();
    let accepted = fresh.receive_payment(None, &opening).await.unwrap();
    assert_eq!(accepted.total, coins(19));
}
