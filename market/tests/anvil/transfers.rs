//! Payments by transfers.

use crate::transfer_scene::{CONFIRM_S, PREFIX, Scene, TOKEN, rejection};
use alloy_primitives::Address;
use cheque::store::Memory;
use cheque_market::{
    payment::{PaymentSender, TransferRejection, prepare},
    store::{self, Batch},
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn credits_confirmed_coin_and_token_transfers_once() {
    for token in [Address::ZERO, TOKEN] {
        let scene = Scene::new(token).await;
        let (customer, payee) = (scene.customer.address, scene.payee.address);
        let sender = scene
            .sender(scene.customer.wallet.clone(), &Arc::default())
            .await;
        let module = scene.module().await;
        let mut modules = cheque_market::payment::Receivers::new();
        modules.register(Arc::new(module));
        assert!(modules.agree(&sender.offer()).is_ok());

        let expected = sender.payment_cost(payee, 500).await.unwrap();
        let sent = sender.request_payment(payee, 1, 500).await.unwrap();
        assert_eq!((sent.amount, sent.proofs.len()), (500, 1));
        // Blocks are nearly empty here, so the base fee falls by an eighth per block.
        let (fee, expected) = (sent.cost - 500, expected - 500);
        assert!(
            fee <= expected && fee > expected - expected / 4,
            "{fee}, {expected}"
        );

        let (store, proof) = (store::Memory::new(), &sent.proofs[0]);
        let early = scene.take(customer, proof, &store).await;
        let not_confirmed = |age_s| {
            let needed_s = CONFIRM_S;
            Err(TransferRejection::NotConfirmed { age_s, needed_s })
        };
        assert_eq!(early, not_confirmed(0));
        scene.world.advance(CONFIRM_S - 1).await;
        let early = scene.take(customer, proof, &store).await;
        assert_eq!(early, not_confirmed(CONFIRM_S - 1));
        scene.world.advance(1).await;
        // An observer of the chain gains nothing by presenting the transaction first.
        let (found, expected) = (customer, scene.payee.address);
        let thief = scene.take(expected, proof, &store).await;
        assert_eq!(thief, Err(TransferRejection::WrongFrom { found, expected }));
        let again = scene.prepared(customer, proof, &store).await;
        let taken = scene.take(customer, proof, &store).await.unwrap();
        assert_eq!((taken.value, taken.credit_to), (500, customer));
        // A proof prepared earlier, or sent from another account, does not count either.
        let mut batch = Batch::new();
        let again = again.store_received(&store, &mut batch).map_err(rejection);
        assert!(matches!(again, Err(TransferRejection::Replay { .. })));
        for from in [customer, scene.payee.address] {
            let again = scene.take(from, proof, &store).await;
            assert!(matches!(again, Err(TransferRejection::Replay { .. })));
        }
        let again = sender.latest_proofs(payee).await.unwrap();
        assert_eq!(again, sent.proofs);
    }
}

/// Ten times the base fee, which the wallet offers to block producers.
#[tokio::test]
async fn quotes_the_fee_that_the_wallet_offers() {
    const TIP: u128 = 10_000_000_000;
    let scene = Scene::new(Address::ZERO).await;
    let wallet = scene.customer.wallet.clone().with_tip(TIP);
    let sender = scene.sender(wallet, &Arc::default()).await;
    let payee = scene.payee.address;
    let expected = sender.payment_cost(payee, 500).await.unwrap();
    let sent = sender.request_payment(payee, 1, 500).await.unwrap();
    assert!(sent.cost > 21_000 * TIP);
    assert!(
        sent.cost <= expected && sent.cost > expected - expected / 4,
        "{}, {expected}",
        sent.cost
    );
}

#[tokio::test]
async fn resends_transfer_dropped_by_a_reorg() {
    for token in [Address::ZERO, TOKEN] {
        let scene = Scene::new(token).await;
        let node = &scene.world.node;
        let sender = scene
            .sender(scene.customer.wallet.clone(), &Arc::default())
            .await;
        let before = node.snapshot().await;
        let payee = scene.payee.address;
        let proof = &sender.request_payment(payee, 1, 500).await.unwrap().proofs[0];
        node.mine(CONFIRM_S - 1).await;
        node.revert(before).await;
        node.mine(CONFIRM_S + 2).await;
        let (customer, store) = (scene.customer.address, store::Memory::new());
        let dropped = scene.take(customer, proof, &store).await;
        assert!(matches!(dropped, Err(TransferRejection::Unknown { .. })));

        let again = sender.latest_proofs(payee).await.unwrap();
        assert_eq!((again.len(), &again[0]), (1, proof), "another transaction");
        node.advance(CONFIRM_S).await;
        let taken = scene.take(customer, proof, &store).await.unwrap();
        assert_eq!(taken.value, 500);
    }
}

#[tokio::test]
async fn rejects_transfers_to_others_and_unknown_proofs() {
    for token in [Address::ZERO, TOKEN] {
        let scene = Scene::new(token).await;
        let customer = scene.customer.address;
        let sender = scene
            .sender(scene.customer.wallet.clone(), &Arc::default())
            .await;
        let other = Address::repeat_byte(0x42);
        let elsewhere = sender.request_payment(other, 1, 500).await.unwrap();
        scene.world.advance(CONFIRM_S).await;
        let store = store::Memory::new();
        let (found, expected) = (other, scene.payee.address);
        let wrong = scene.take(customer, &elsewhere.proofs[0], &store).await;
        assert_eq!(
            wrong,
            Err(TransferRejection::WrongPayee { found, expected })
        );

        // Another position in the same transaction, and an unknown transaction.
        let payee = scene.payee.address;
        let mut proof = sender.request_payment(payee, 1, 7).await.unwrap().proofs[0].clone();
        scene.world.advance(CONFIRM_S).await;
        proof[39] ^= 1;
        let nothing = scene.take(customer, &proof, &store).await;
        assert!(matches!(nothing, Err(TransferRejection::Unknown { .. })));
        let unknown = [&[9; 32][..], &[0; 8]].concat();
        let unknown = scene.take(customer, &unknown, &store).await;
        assert!(matches!(unknown, Err(TransferRejection::Unknown { .. })));
        let module = scene.module().await;
        let short = prepare(&module, &store, PREFIX, customer, &[1; 39]).await;
        let length = TransferRejection::Length { found: 39 };
        assert_eq!(rejection(short.unwrap_err()), length);
    }
}

#[tokio::test]
async fn finishes_interrupted_transfer_once() {
    let scene = Scene::new(Address::ZERO).await;
    let node = &scene.world.node;
    let store = Arc::default();
    let payee = scene.payee.address;
    let before = scene.world.coin(payee).await;
    let wallet = &scene.customer.wallet;
    let impatient = scene
        .sender(wallet.clone().with_timeout(Duration::ZERO), &store)
        .await;
    node.automine(false).await;
    let error = impatient.request_payment(payee, 1, 500).await.unwrap_err();
    assert!(error.to_string().contains("was not mined"), "{error}");
    drop(impatient);

    // After a restart, the request differs from the interrupted payment.
    node.automine(true).await;
    node.mine(1).await;
    let sender = scene.sender(wallet.clone(), &store).await;
    let error = sender.request_payment(payee, 501, 900).await.unwrap_err();
    assert!(error.to_string().contains("payment of 500"), "{error}");
    let proofs = sender.latest_proofs(payee).await.unwrap();
    node.advance(CONFIRM_S).await;
    let taken = scene
        .take(scene.customer.address, &proofs[0], &store::Memory::new())
        .await;
    assert_eq!(taken.unwrap().value, 500);
    // The next request is a new payment.
    let sent = sender.request_payment(payee, 1, 400).await.unwrap();
    assert_eq!(sent.amount, 400);
    let received = scene.world.coin(payee).await - before;
    assert_eq!(received.to::<u64>(), 900);

    // After another kill, the request matches the interrupted payment.
    node.automine(false).await;
    let impatient = wallet.clone().with_timeout(Duration::ZERO);
    let impatient = scene.sender(impatient, &store).await;
    impatient.request_payment(payee, 1, 300).await.unwrap_err();
    node.automine(true).await;
    node.mine(1).await;
    let sent = sender.request_payment(payee, 100, 350).await.unwrap();
    assert_eq!(sent.amount, 300);
    let received = scene.world.coin(payee).await - before;
    assert_eq!(received.to::<u64>(), 1_200);
}

#[tokio::test]
async fn pays_in_unfaithful_token_once_until_abandoned() {
    let scene = Scene::new(TOKEN).await;
    // Succeeds, returns true and emits no event.
    let code = "0x600160005260206000f3";
    scene.world.node.anvil("anvil_setCode", (TOKEN, code)).await;
    let store = Arc::new(Memory::new());
    let sender = scene.sender(scene.customer.wallet.clone(), &store).await;
    let (payee, account) = (scene.payee.address, scene.customer.address);
    let transactions = || scene.world.node.transactions(account);
    for _ in 0..3 {
        let refused = sender.request_payment(payee, 1, 500).await.unwrap_err();
        assert!(
            refused.to_string().contains("abandon the payment"),
            "{refused}"
        );
        let refused = sender.latest_proofs(payee).await.unwrap_err();
        assert!(
            refused.to_string().contains("abandon the payment"),
            "{refused}"
        );
    }
    assert_eq!(transactions().await, 1);
    sender.abandon_payment(payee).await.unwrap();
    sender.request_payment(payee, 1, 500).await.unwrap_err();
    assert_eq!(transactions().await, 2);
}
