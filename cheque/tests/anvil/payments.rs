//! Streams, split payments, exposure, costs, and lost records.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, rejection};
use crate::node::{COIN, coins};
use crate::settle::settle;
use alloy_primitives::Address;
use cheque::store::{Store, Swap, Table};
use cheque::{Amount, MasterSalt, Proof, Rejection};
use cheque::{payee::Payee, payer::PayerError};
use std::ops::ControlFlow;

#[tokio::test]
async fn pays_by_stream_steps_up_to_the_win() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let id = opened.id;
    for (payee, account) in payees.iter().zip(&fixture.payees) {
        let allowance = payer
            .spent_and_left(id, account.address)
            .await
            .unwrap()
            .unwrap()
            .1;
        let step = Amount::new(allowance.get() / 100);
        let opening = payer.open_stream(id, account.address, Amount::ZERO, step, 100);
        let opening = opening.await.unwrap();
        let first = payee.receive_payment(None, &opening.proof).await.unwrap();
        assert_eq!((first.value, first.total), (Amount::ZERO, Amount::ZERO));
        for steps in [1, 30, 69] {
            let payment = payer.pay_steps(id, account.address, steps).await.unwrap();
            let proof = payment.proof;
            assert!(matches!(proof, Proof::Step { .. }));
            let taken = payee.receive_payment(None, &proof).await.unwrap();
            assert_eq!(taken.total, payment.spent);
        }
        let over = payer.pay_steps(id, account.address, 1).await;
        assert!(matches!(over, Err(PayerError::Write(_))));
    }
    world.draw(&opened.deposit).await;
    let mut paid = 0;
    for payee in &payees {
        for (_, result) in settle(payee).await.unwrap() {
            assert_eq!(result.unwrap().payout.get(), opened.deposit.amount);
            paid += 1;
        }
    }
    assert_eq!(paid, 1);
}

#[tokio::test]
async fn splits_payment_over_deposits_or_refuses_it() {
    let fixture = Fixture::new().await;
    let (payer, payees) = fixture.actors();
    let payee = fixture.payees[0].address;
    let later = open_deposit(&fixture.world, &payer, &fixture.request(2 * HOUR)).await;
    let sooner = open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;
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
        let untouched = payer.spent_and_left(id, payee).await.unwrap();
        assert_eq!(untouched, Some((Amount::ZERO, coins(100))));
    }

    let payments = payer.pay(payee, native, coins(150)).await.unwrap();
    let parts: Vec<_> = payments
        .iter()
        .map(|part| (part.deposit, part.spent))
        .collect();
    assert_eq!(parts, [(sooner.id, coins(100)), (later.id, coins(50))]);
    for part in payments {
        let proof = part.proof;
        assert!(matches!(proof, Proof::Opening(_)));
        let taken = payees[0].receive_payment(None, &proof).await.unwrap();
        assert_eq!(taken.total, part.spent);
    }
}

#[tokio::test]
async fn bounds_totals_of_a_signer_over_all_draws() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let mut policy = world.policy(&fixture.payees[0]);
    let limits = policy.tokens.get_mut(&Address::ZERO).unwrap();
    limits.max_exposure = coins(100);
    let store = memory();
    let payee = Payee::new(world.reader.clone(), policy.clone(), store.clone()).unwrap();
    let mut proofs = Vec::new();
    for hours in 1..=3 {
        let request = fixture.request(hours * HOUR);
        let id = open_deposit(world, &payer, &request).await.id;
        let payment = payer
            .write_cheque(id, fixture.payees[0].address, coins(40))
            .await;
        proofs.push(payment.unwrap().proof);
    }
    payee.poll().await.unwrap();
    // All at the same time: in any order, the third one exceeds the limit.
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
    assert_eq!(*exposure, coins(120));
    // A restart keeps the exposure.
    let restarted = Payee::new(world.reader.clone(), policy, store).unwrap();
    let again = restarted.receive_payment(None, third).await;
    assert!(matches!(
        rejection(again),
        Rejection::ExposureTooLarge { .. }
    ));
}

#[tokio::test]
async fn takes_redeem_cost_from_gas_price_of_first_payment() {
    let fixture = Fixture::new().await;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;
    let (_, accepted) = pay(&payer, &payees[0], opened.id, coins(50)).await;
    let cost = accepted.position.redeem_cost();
    let price = fixture.world.reader.prices().await.unwrap().gas_price;
    let gas = cost.get() / price;
    assert!((150_000..300_000).contains(&gas), "{gas} gas");
    assert!(accepted.value < coins(50) && accepted.value > coins(49));
    assert_eq!(Amount::new(COIN), coins(1_000));
}

#[tokio::test]
async fn resumes_lost_payer_records_from_payee() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.master = Some(MasterSalt::from_bytes([5; 32]));
    let id = open_deposit(world, &payer, &request).await.id;
    let payee = fixture.payees[0].address;
    pay(&payer, &payees[0], id, coins(10)).await;
    let opening = payer.open_stream(id, payee, coins(1), coins(1), 20).await;
    let proof = opening.unwrap().proof;
    payees[0].receive_payment(None, &proof).await.unwrap();
    let step = payer.pay_steps(id, payee, 4).await.unwrap();
    payees[0].receive_payment(None, &step.proof).await.unwrap();

    // A backup from before the payments has the deposit and no accounts.
    let backup = memory();
    for table in [Table::Deposits, Table::Trees] {
        fixture
            .store
            .scan(table, &[], &mut |key, value| {
                let copied = backup.compare_and_set(table, key, None, value).unwrap();
                assert_eq!(copied, Swap::Done);
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    let restored = world.payer(&fixture.payer, backup);
    let stale = restored.write_cheque(id, payee, coins(2)).await.unwrap();
    let refused = payees[0].receive_payment(None, &stale.proof).await;
    let Rejection::Stale { newest, shown, .. } = rejection(refused) else {
        panic!("not stale for the payee");
    };
    let resumed = restored
        .resume_from(id, payee, &newest, shown)
        .await
        .unwrap();
    assert_eq!(resumed, (coins(15), coins(85)));
    let (_, accepted) = pay(&restored, &payees[0], id, coins(3)).await;
    assert_eq!(accepted.total, coins(18));

    // A payee that lost its records needs the opening again.
    let fresh = world.payee(&fixture.payees[0], memory());
    let payment = restored.write_cheque(id, payee, coins(1)).await.unwrap();
    let refused = fresh.receive_payment(None, &payment.proof).await;
    assert_eq!(rejection(refused), Rejection::UnknownDeposit(id));
    let opening = restored.opening_proof(id, payee).await.unwrap().unwrap();
    let accepted = fresh.receive_payment(None, &opening).await.unwrap();
    assert_eq!(accepted.total, coins(19));
}
