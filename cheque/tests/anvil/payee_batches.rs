//! Several wins of the payee's service in one transaction.

use crate::cast::{Cast, memory, not_payable};
use crate::node::coins;
use crate::payee_recovery::{drop_since, snapshot};
use crate::payee_service::{redeemed, sends, sent_by, service, status, step, wins};
use alloy::providers::Provider;
use cheque::{HISTORY_WINDOW, Outcome, tx::TxError};
use cheque::{
    bank::{RedeemError, redeem},
    payee::RedeemOptions,
    tx::OutboxError,
};
use std::time::Duration;

#[tokio::test]
async fn a_deposit_of_a_batch_that_is_under_way_is_not_redeemed_apart_from_it() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 2], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let batch = sends(&service, all[0].id).await;
    let impatient = party.wallet.clone().with_timeout(Duration::ZERO);
    let by_hand = service.payee().clone().with_wallet(impatient);
    for opened in &all {
        let waits = by_hand.redeem(opened.id, &RedeemOptions::default()).await;
        let RedeemError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) =
            waits.unwrap_err()
        else {
            panic!("nothing mines it");
        };
        assert_eq!(hash, batch);
    }
    assert_eq!(sent_by(world, party.address).await, 0);
}

#[tokio::test]
async fn a_deposit_that_a_batch_has_skipped_was_not_redeemed_by_it() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let service = service(world, &cast.payees[0], memory());
    let payee = service.payee();
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 2], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let batch = sends(&service, all[0].id).await;
    world.node.anvil("anvil_dropTransaction", [batch]).await;
    world.node.anvil("evm_setAutomine", [true]).await;
    // A watch tower is faster with one of both, whichever stands in the batch.
    let id = all[1].id;
    let redemption = payee.redemption(id, Default::default(), Default::default());
    let tower = &cast.payees[1].wallet;
    let paid = redeem(&world.reader, tower, &redemption.await.unwrap()).await;
    assert_eq!(paid.unwrap().payout, coins(100));

    let skipped = payee.redeem(id, &RedeemOptions::default()).await;
    assert_eq!(not_payable(skipped), Outcome::NotOpen);
    let each_once = coins(200).to_u256();
    assert_eq!(world.balance(cast.payees[0].address).await, each_once);
}

#[tokio::test]
async fn wins_that_a_batch_has_skipped_for_want_of_their_seed_are_redeemed_by_another() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 2], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    let before = snapshot(&cast).await;
    // Somebody else has recorded the seed, so the batch brings no header.
    let tower = world.payee(&cast.payees[1], memory());
    tower.record_seed(draw).await.unwrap().unwrap();
    world.node.anvil("evm_setAutomine", [false]).await;
    let batch = sends(&service, all[0].id).await;

    // A reorganisation puts the record behind the batch.
    let node = &world.node.provider;
    let raw = node.get_raw_transaction_by_hash(batch).await.unwrap();
    world.node.anvil("anvil_dropAllTransactions", ()).await;
    drop_since(&cast, before).await;
    let _sent = node.send_raw_transaction(&raw.unwrap()).await.unwrap();
    world.node.mine(1).await;
    assert_eq!(sent_by(world, party.address).await, 1);
    world.node.anvil("evm_setAutomine", [true]).await;
    tower.record_seed(draw).await.unwrap().unwrap();
    world.node.mine(1).await;
    assert_eq!(step(&service, all[0].id).await.name(), "won");
    assert_eq!(status(&service, all[1].id).await.state.name(), "won");
    assert_ne!(sends(&service, all[0].id).await, batch);
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    assert_eq!(sent_by(world, party.address).await, 2);
}
