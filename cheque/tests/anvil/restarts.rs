//! Being killed between two steps.

use crate::cast::{Cast, rejection, state};
use crate::node::coins;
use alloy_primitives::U256;
use cheque::chain::{ChainError, DepositState, OnceError, PayerError};
use cheque::store::Redb;
use cheque::{Amount, Proof, Rejection};
use cheque_bindings::IChequeBank::IChequeBankErrors;
use std::path::Path;
use std::sync::Arc;

/// The store of a party, opened anew: as a process that was killed and started again sees it.
fn reopened(directory: &Path, name: &str) -> Arc<Redb> {
    Arc::new(Redb::open(directory.join(name)).unwrap())
}

#[tokio::test]
async fn payer_and_payee_go_on_after_a_restart_between_any_two_steps() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let payer = || world.payer(&cast.payer, reopened(at, "payer"));
    let payee = |index: usize| {
        let store = reopened(at, &format!("payee{index}"));
        world.payee(&cast.payees[index], store)
    };

    let opened = payer().create_deposit(&cast.request(80)).await.unwrap();
    let id = opened.id;
    assert_eq!(state(&payer(), id).await, DepositState::Active);
    let mut spent = [Amount::ZERO; 3];
    for round in 1..=3 {
        for (index, party) in cast.payees.iter().enumerate() {
            let allowance = coins(100 * (index as u128 + 1));
            let amount = Amount::new(allowance.get() / 3);
            let payment = payer()
                .write_cheque(id, party.address, amount)
                .await
                .unwrap();
            spent[index] = spent[index].checked_add(amount).unwrap();
            assert_eq!(payment.spent, spent[index], "round {round}");
            let proof = payment.proof.unwrap();
            assert_eq!(matches!(proof, Proof::Opening(_)), round == 1);
            let taken = payee(index).receive_payment(None, &proof).await.unwrap();
            assert_eq!(taken.total, spent[index]);
            let again = payee(index).receive_payment(None, &proof).await;
            assert_eq!(rejection(again), Rejection::Replay);
            let last = payer()
                .last_proof(id, party.address)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(last.deposit_id(), proof.deposit_id());
        }
    }
    world.node.mine_to(opened.deposit.drawBlock + 1).await;
    let mut won = Amount::ZERO;
    for index in 0..3 {
        for (_, result) in payee(index).settle().await.unwrap() {
            won = result.unwrap().payout;
        }
        assert!(payee(index).settle().await.unwrap().is_empty());
    }
    assert!(!won.is_zero());
    assert!(matches!(
        state(&payer(), id).await,
        DepositState::Redeemed { payout, .. } if payout == won
    ));
}

#[tokio::test]
async fn a_deposit_that_was_stored_and_not_sent_is_opened_once() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let payer = || world.payer(&cast.payer, reopened(directory.path(), "payer"));
    let planned = payer().prepare_deposit(&cast.request(60)).await.unwrap();
    assert_eq!(state(&payer(), planned.id).await, DepositState::Pending);
    assert_eq!(world.coin(world.reader.bank().address()).await, U256::ZERO);

    let opened = payer().open(planned.id).await.unwrap();
    assert_eq!(opened.deposit, planned.deposit);
    assert_eq!(state(&payer(), planned.id).await, DepositState::Active);
    let twice = payer().open(planned.id).await.unwrap_err();
    let PayerError::Once(OnceError::Chain(ChainError::Refused(refusal))) = &twice else {
        panic!("{twice}");
    };
    assert!(matches!(*refusal.0, IChequeBankErrors::PurseBusy(_)));
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "paid once");
}

#[tokio::test]
async fn a_transaction_that_waits_is_found_again_and_not_sent_twice() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let impatient = cast
        .payer
        .sender
        .clone()
        .with_timeout(std::time::Duration::ZERO);
    let payer = |sender| {
        let store = reopened(directory.path(), "payer");
        world.payer(&cast.payer, store).with_sender(sender)
    };
    world.node.anvil("evm_setAutomine", [false]).await;
    let waiting = payer(impatient.clone())
        .create_deposit(&cast.request(90))
        .await;
    let PayerError::Once(OnceError::Chain(ChainError::NotMined { hash, .. })) =
        waiting.unwrap_err()
    else {
        panic!("nothing mines it");
    };
    let first = payer(impatient.clone()).deposits().await.unwrap();
    let [(id, _)] = first[..] else {
        panic!("one deposit: {first:?}");
    };
    // Once more at once: the same transaction. After ten blocks: a dearer one with the same nonce.
    let again = payer(impatient.clone()).open(id).await.unwrap_err();
    assert!(again.to_string().contains(&hash.to_string()), "{again}");
    world.node.anvil("anvil_dropTransaction", [hash]).await;
    world.node.mine(12).await;
    let dearer = payer(impatient).open(id).await.unwrap_err();
    assert!(!dearer.to_string().contains(&hash.to_string()), "{dearer}");

    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [true]).await;
    let opened = payer(cast.payer.sender.clone()).open(id).await.unwrap();
    assert_ne!(opened.sent.hash, hash);
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "paid once");
    assert_eq!(
        state(&payer(cast.payer.sender.clone()), id).await,
        DepositState::Active
    );
}
