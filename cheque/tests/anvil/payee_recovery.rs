//! The payee's service after restarts, days offline and lost transactions.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit};
use crate::node::coins;
use crate::payee_service::crowd;
use crate::payee_steps::{
    HIGH_GAS_PRICE, overtaken, paid_block, sends, service, set_gas_price, status, step, wins,
    with_settings,
};
use crate::transactions::resend;
use alloy::consensus::Transaction;
use alloy::providers::Provider;
use alloy_primitives::U256;
use cheque::payee::{HoldingState, MissReason, PayeeSettings};
use cheque::store::Redb;
use cheque::{payee::Purpose, payer::Draw};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn resumes_after_kill_at_every_step() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let directory = tempfile::tempdir().unwrap();
    let restarted = || {
        let store = Redb::open(directory.path().join("payee")).unwrap();
        service(world, account, Arc::new(store))
    };
    let draw = world.now().await + HOUR;
    let all = crowd(&fixture, &restarted(), draw).await;
    let id = all[0].id;
    assert_eq!(step(&restarted(), id).await.name(), "receiving");
    world.mine_at(draw - 3).await;
    assert_eq!(step(&restarted(), id).await.name(), "past_cutoff");
    // The chain is at the draw time, and the beacon a second behind.
    world.beacon.shift(-1);
    world.mine_at(draw).await;
    assert_eq!(step(&restarted(), id).await.name(), "drawn");
    world.beacon.shift(0);
    world.advance(1).await;
    world.node.automine(false).await;
    // The first process sends the seed, and the second finds it pending.
    for _ in 0..2 {
        assert_eq!(step(&restarted(), id).await.name(), "won");
        assert_eq!(restarted().payee().pending_txs().await.unwrap().len(), 1);
    }
    world.node.mine(1).await;
    let hash = sends(&restarted(), id).await;
    assert_eq!(sends(&restarted(), id).await, hash);
    world.node.automine(true).await;
    world.node.mine(1).await;
    let running = restarted();
    // The events of so many redemptions are read in several steps.
    for _ in 0..3 {
        running.step().await.unwrap();
    }
    for opened in &all {
        paid_block(&running, opened.id).await;
    }
    assert!(running.payee().pending_txs().await.unwrap().is_empty());
    // The seed, a full batch, and the last win.
    assert_eq!(world.node.transactions(account.address).await, 3);
}

#[tokio::test]
async fn redeems_after_hours_offline() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let store = memory();
    let before = service(world, account, store.clone());
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &before, &[draw, draw + 7, draw + 9], 24 * HOUR).await;
    drop(before);
    world.mine_at(draw + 5 * HOUR).await;
    let back = service(world, account, store);
    let hash = sends(&back, all[0].id).await;
    for opened in &all {
        let state = status(&back, opened.id).await.state;
        assert_eq!(state, HoldingState::Redeeming { hash });
    }
    for opened in &all {
        paid_block(&back, opened.id).await;
    }
}

#[tokio::test]
async fn reports_wins_missed_while_offline() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let store = memory();
    let draw = world.now().await + HOUR;
    let before = service(world, account, store.clone());
    let all = wins(&fixture, &before, &[draw], 50).await;
    let (id, redeem_until) = (all[0].id, draw + 50);
    world.mine_at(redeem_until + 1).await;
    let missed = HoldingState::Missed(MissReason::Window { redeem_until });
    let keep = |settings: &mut PayeeSettings| settings.retention = 200;
    let back = with_settings(world, account, store, keep);
    assert_eq!(step(&back, id).await, missed);
    let reason = status(&back, id).await.reason();
    assert!(reason.contains("could be redeemed until"), "{reason}");

    // A missed win stays in the ledger for the retention.
    world.mine_at(redeem_until + 200).await;
    assert_eq!(step(&back, id).await, missed);
    world.node.mine(1).await;
    back.step().await.unwrap();
    assert!(back.status().await.unwrap().is_empty());
    assert!(back.payee().positions().await.unwrap().is_empty());
}

#[tokio::test]
async fn cancels_abandoned_transaction_without_blocking() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (account, store) = (&fixture.payees[0], memory());
    let restarted = || service(world, account, store.clone());
    let draw = world.now().await + HOUR + 60;
    let next = wins(&fixture, &restarted(), &[draw], 24 * HOUR).await[0].id;
    let (id, first) = overtaken(&fixture, &restarted()).await;
    let provider = &world.node.provider;
    let raw = provider.get_raw_transaction_by_hash(first).await.unwrap();
    world.node.drop_transactions().await;
    world.mine_at(draw + 1).await;
    resend(world, &raw.expect("the node has the redemption")).await;

    // The next redemption does not wait for the cancellation, which is sent once.
    assert_eq!(step(&restarted(), id).await.name(), "redeemed");
    let second = sends(&restarted(), next).await;
    let pending_txs = restarted().payee().pending_txs().await.unwrap();
    let [redemption, cancelling] = &pending_txs[..] else {
        panic!("not two transactions: {pending_txs:?}");
    };
    assert_eq!(redemption.hash, second);
    assert_eq!(cancelling.purpose, Purpose::Cancel);
    let cancellation = provider.get_transaction_by_hash(cancelling.hash).await;
    let cancellation = cancellation
        .unwrap()
        .expect("the node has the cancellation");
    assert_eq!(cancellation.to(), Some(account.address));
    assert_eq!(
        (cancellation.nonce(), cancellation.value()),
        (0, U256::ZERO)
    );
    assert_eq!(sends(&restarted(), next).await, second);
    let both = restarted().payee().pending_txs().await.unwrap();
    assert_eq!(both, pending_txs, "another transaction was sent");
    world.node.mine(1).await;
    paid_block(&restarted(), next).await;
    restarted().step().await.unwrap();
    assert!(restarted().payee().pending_txs().await.unwrap().is_empty());
    assert_eq!(world.node.transactions(account.address).await, 2);
    assert_eq!(world.balance(account.address).await, coins(200).to_u256());
}

#[tokio::test]
async fn cancels_abandoned_transaction_after_restart() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (account, store) = (&fixture.payees[0], memory());
    let restarted = || service(world, account, store.clone());
    let (id, first) = overtaken(&fixture, &restarted()).await;
    let payee = restarted().payee().clone();
    let pending = payee.pending_txs().await.unwrap().remove(0);
    let unwanted = payee
        .abandon(&pending)
        .await
        .unwrap()
        .expect("a transaction to cancel");
    assert_eq!(
        (&unwanted.purpose, unwanted.hash),
        (&Purpose::Cancel, first)
    );

    // The process ended before it sent the cancellation, and the next one sends it.
    assert_eq!(step(&restarted(), id).await.name(), "redeemed");
    let cancelling = payee.pending_txs().await.unwrap().remove(0);
    assert_eq!(cancelling.purpose, Purpose::Cancel);
    assert_ne!(cancelling.hash, first);
    world.node.mine(1).await;
    assert_eq!(step(&restarted(), id).await.name(), "redeemed");
    assert!(payee.pending_txs().await.unwrap().is_empty());
    assert_eq!(world.node.transactions(account.address).await, 1);
    let receipt = world.node.provider.get_transaction_receipt(first).await;
    assert_eq!(receipt.unwrap(), None, "the useless redemption was mined");
}

#[tokio::test]
async fn bumps_fee_of_pending_redemption_and_pays_once() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let first = sends(&service, id).await;
    world.node.drop_transaction(first).await;
    assert_eq!(
        sends(&service, id).await,
        first,
        "the transaction was not sent again"
    );

    // The fee is bumped after 24 seconds, but not above the value of the win.
    set_gas_price(world, 10 * HIGH_GAS_PRICE).await;
    world.advance(22).await;
    set_gas_price(world, HIGH_GAS_PRICE).await;
    service.step().await.unwrap();
    let unchanged = status(&service, id).await.state;
    assert_eq!(unchanged, HoldingState::Redeeming { hash: first });
    set_gas_price(world, 20).await;
    let bumped = sends(&service, id).await;
    assert_ne!(bumped, first);
    world.node.mine(1).await;
    paid_block(&service, id).await;
    assert_eq!(world.node.transactions(account.address).await, 1);
}

#[tokio::test]
async fn redeems_while_running_and_stops_on_request() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let service = service(world, &fixture.payees[0], memory());
    assert!(!service.health().ok, "{:?}", service.health());
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    let drawn_at = world.head().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = service.clone();
    let task = tokio::spawn(async move {
        let stopped = async move { drop(stopped.await) };
        running.run(stopped).await
    });
    while status(&service, id).await.state.name() != "redeemed" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let health = service.health();
    assert!(health.ok, "{health:?}");
    assert!(health.head >= Some(drawn_at));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();

    // An error of the whole step shows in the health.
    let nowhere = crate::payee_steps::service(world, &fixture.payees[0], memory());
    drop(fixture);
    let failed = nowhere.step().await.unwrap_err();
    let health = nowhere.health();
    assert_eq!(health.last_error, Some(failed.to_string()));
    assert!(
        health
            .reason
            .contains("has not seen the chain yet: the request to the node"),
        "{health:?}"
    );
}

#[tokio::test]
async fn counts_payment_in_ledger_before_next_step() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let service = service(world, &fixture.payees[0], memory());
    let mut request = fixture.request(0);
    request.draw = Draw::At(world.now().await + HOUR);
    let opened = open_deposit(world, &payer, &request).await;
    service.step().await.unwrap();
    let address = fixture.payees[0].address;
    let payment = payer.write_cheque(opened.id, address, coins(2)).await;
    let proof = payment.unwrap().proof;
    let accepted = service.receive_payment(None, &proof).await.unwrap();
    let status = status(&service, opened.id).await;
    assert_eq!(status.state.name(), "receiving");
    assert_eq!(status.position.total(), accepted.total);
    service.receive_payment(None, &proof).await.unwrap_err();
}
