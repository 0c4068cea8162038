//! Batches of the payee's service: several wins in one transaction.

use crate::fixtures::{Fixture, HOUR, memory, not_payable};
use crate::node::coins;
use crate::payee_steps::{redeemed, sends, service, status, step, wins};
use alloy::providers::Provider;
use cheque::Outcome;
use cheque::{
    bank::{RedeemError, redeem},
    payee::RedeemOptions,
    tx::{OutboxError, TxError},
};
use std::time::Duration;

#[tokio::test]
async fn redeems_no_deposit_apart_from_its_pending_batch() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw; 2], 24 * HOUR).await;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let batch = sends(&service, all[0].id).await;
    let impatient = account.wallet.clone().with_timeout(Duration::ZERO);
    let by_hand = service.payee().clone().with_wallet(impatient);
    for opened in &all {
        let waits = by_hand.redeem(opened.id, &RedeemOptions::default()).await;
        let RedeemError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) =
            waits.unwrap_err()
        else {
            panic!("the node mined the transaction");
        };
        assert_eq!(hash, batch);
    }
    assert_eq!(world.node.transactions(account.address).await, 0);
}

#[tokio::test]
async fn reports_deposit_skipped_by_batch_as_not_open() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let service = service(world, &fixture.payees[0], memory());
    let payee = service.payee();
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw; 2], 24 * HOUR).await;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let batch = sends(&service, all[0].id).await;
    world.node.drop_transaction(batch).await;
    world.node.automine(true).await;
    // A watch tower redeems one of the two first.
    let id = all[1].id;
    let redemption = payee.redemption(id, Default::default(), Default::default());
    let tower = &fixture.payees[1].wallet;
    let (redemption, round) = (redemption.await.unwrap(), world.beacon.round(draw));
    let paid = redeem(&world.reader, tower, &redemption, Some(&round)).await;
    assert_eq!(paid.unwrap().payout, coins(100));

    let skipped = payee.redeem(id, &RedeemOptions::default()).await;
    assert_eq!(not_payable(skipped), Outcome::NotOpen);
    let each_once = coins(200).to_u256();
    assert_eq!(world.balance(fixture.payees[0].address).await, each_once);
}

#[tokio::test]
async fn redeems_wins_skipped_without_seed_in_next_batch() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw; 2], 24 * HOUR).await;
    world.mine_at(draw + 1).await;
    let before = fixture.world.node.snapshot().await;
    // A watch tower has recorded the seed, so the batch has no proof.
    let tower = world.payee(&fixture.payees[1], memory());
    tower.record_seed(draw).await.unwrap().unwrap();
    world.node.automine(false).await;
    let batch = sends(&service, all[0].id).await;

    // A reorg moves the recording after the batch.
    let node = &world.node.provider;
    let raw = node.get_raw_transaction_by_hash(batch).await.unwrap();
    world.node.drop_transactions().await;
    fixture.world.node.revert(before).await;
    let _sent = node.send_raw_transaction(&raw.unwrap()).await.unwrap();
    world.node.mine(1).await;
    assert_eq!(world.node.transactions(account.address).await, 1);
    world.node.automine(true).await;
    tower.record_seed(draw).await.unwrap().unwrap();
    world.node.mine(1).await;
    assert_eq!(step(&service, all[0].id).await.name(), "won");
    assert_eq!(status(&service, all[1].id).await.state.name(), "won");
    assert_ne!(sends(&service, all[0].id).await, batch);
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    assert_eq!(world.node.transactions(account.address).await, 2);
}
