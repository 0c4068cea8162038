//! Pruning of deposits that are over.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, pay_and_draw, poll};
use crate::node::coins;
use crate::over;
#[cfg(feature = "service")]
use crate::payee_steps::{redeemed, sends, service, status, wins, with_settings};
#[cfg(feature = "service")]
use alloy_primitives::Address;
use cheque::DepositId;
use cheque::store::{Change, Store, Swap, Table};
#[cfg(feature = "service")]
use cheque::{Position, payee::PayeeSettings, payer::PayerService};
use cheque::{bank::RedeemError, payee::RedeemOptions};
use std::{ops::ControlFlow, time::Duration};

#[tokio::test]
async fn prunes_deposit_that_can_never_be_redeemed() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let reader = over::final_after_64_seconds(world);
    let payees = [over::payee(world, &reader, &fixture.payees[0], memory())];
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(20);
    let opened = open_deposit(world, &payer, &request).await;
    // Until it is settled, a payee takes little from a deposit.
    world.node.mine(64).await;
    pay(&payer, &payees[0], opened.id, coins(5)).await;
    world.mine_at(opened.deposit.redeemUntil + 1).await;
    for blocks in [0, 63] {
        world.node.mine(blocks).await;
        assert_eq!(
            payees[0].prune().await.unwrap(),
            0,
            "pruned although a reorg may replace the last block"
        );
    }
    world.node.mine(1).await;
    assert_eq!(payees[0].prune().await.unwrap(), 1);
    assert!(payees[0].positions().await.unwrap().is_empty());
    assert_eq!(payees[0].prune().await.unwrap(), 0);
}

#[tokio::test]
async fn keeps_payee_deposit_with_pending_redemption() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let payer = world.payer(&fixture.payer, memory());
    let stores: Vec<_> = fixture.payees.iter().map(|_| memory()).collect();
    let payees = fixture.payees.iter().zip(&stores);
    let payees: Vec<_> = payees
        .map(|(account, store)| world.payee(account, store.clone()))
        .collect();
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(20);
    let opened = open_deposit(world, &payer, &request).await;
    let (winner, _) = pay_and_draw(world, &payer, &payees, &opened).await;
    let (payee, store) = (&payees[winner], &stores[winner]);
    // The redemption is sent and never mined.
    let impatient = fixture.payees[winner].wallet.clone();
    let impatient = impatient.with_timeout(Duration::ZERO);
    world.node.automine(false).await;
    let options = RedeemOptions::default();
    let waiting = payee.clone().with_wallet(impatient);
    let waiting = waiting.redeem(opened.id, &options).await;
    assert!(
        matches!(waiting, Err(RedeemError::Outbox(_))),
        "{waiting:?}"
    );
    world.node.drop_transactions().await;
    world.mine_at(opened.deposit.redeemUntil + 1).await;
    assert_eq!(
        payee.prune().await.unwrap(),
        0,
        "pruned although the redemption may still be mined"
    );
    assert_eq!(rows(&**store), 2);
    let sent = payee.pending_txs().await.unwrap().remove(0);
    payee.remove(&sent).await.unwrap();
    assert_eq!(payee.prune().await.unwrap(), 1);
    assert_eq!(rows(&**store), 0);
}

#[cfg(feature = "service")]
#[tokio::test]
async fn keeps_batch_record_while_one_deposit_is_open() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let store = memory();
    let service = service(world, &fixture.payees[0], store.clone());
    let payee = service.payee();
    let draw = world.now().await + HOUR;
    // The first deposit, which names the record, ends before the second.
    let all = wins(&fixture, &service, &[draw, draw + 10], 60).await;
    world.mine_at(draw + 11).await;
    world.node.automine(false).await;
    let batch = sends(&service, all[0].id).await;
    world.node.drop_transaction(batch).await;
    world.mine_at(all[0].deposit.redeemUntil + 3).await;
    assert!(world.now().await < all[1].deposit.redeemUntil);

    assert_eq!(payee.prune().await.unwrap(), 0);
    let pending_txs = payee.pending_txs().await.unwrap();
    let [kept] = &pending_txs[..] else {
        panic!("not one transaction for both: {pending_txs:?}");
    };
    assert_eq!((kept.hash, kept.deposits().len()), (batch, 2));
    payee.remove(kept).await.unwrap();
    assert_eq!(payee.prune().await.unwrap(), 1);
    let left = payee.positions().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].deposit_id(), all[1].id);
}

#[cfg(feature = "service")]
#[tokio::test]
async fn prunes_old_deposits_of_payee_service_and_keeps_the_rest() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let keep = |settings: &mut PayeeSettings| settings.retention = 1;
    let service = with_settings(world, &fixture.payees[0], memory(), keep);
    let draw = world.now().await + HOUR;
    let first = wins(&fixture, &service, &[draw], 130).await.remove(0).id;
    world.mine_at(draw + 1).await;
    sends(&service, first).await;
    redeemed(&service, first).await;

    let draw = world.now().await + HOUR;
    let old = wins(&fixture, &service, &[draw], 60).await.remove(0);
    let lasting = wins(&fixture, &service, &[draw], 2_000).await.remove(0).id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let batch = sends(&service, old.id).await;
    world.node.drop_transaction(batch).await;
    // Meanwhile the window of the first deposit has closed.
    assert_eq!(service.payee().positions().await.unwrap().len(), 2);
    world.mine_at(old.deposit.redeemUntil + 3).await;
    let stepped = service.step().await.unwrap();
    // The block passed over the transaction, so one with a higher fee replaces it. That is no other state.
    let changed: Vec<_> = stepped
        .changes
        .iter()
        .filter(|change| change.before.map(|before| before.name()) != Some(change.state.name()))
        .map(|change| change.deposit)
        .collect();
    assert_eq!(changed, [old.id]);
    let held = service.payee().positions().await.unwrap();
    let mut held: Vec<_> = held.iter().map(Position::deposit_id).collect();
    held.sort();
    let mut kept = [old.id, lasting];
    kept.sort();
    assert_eq!(held, kept, "not both deposits of the pending transaction");

    let again = service.step().await.unwrap();
    assert_eq!(again.changes, [], "a change was reported twice");
    assert_eq!(status(&service, old.id).await.state.name(), "missed");
    world.node.mine(1).await;
    redeemed(&service, lasting).await;
    for _ in 0..2 {
        world.advance(64).await;
        service.step().await.unwrap();
    }
    let left = service.payee().positions().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].deposit_id(), lasting, "another deposit was kept");
}

#[tokio::test]
async fn prunes_unneeded_settled_deposits_of_payer() {
    // The last deposit of a purse stays, and so does one with a pending transaction.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (_, payees) = fixture.actors();
    let reader = over::final_after_64_seconds(world);
    let payer = over::payer(world, &reader, &fixture.payer, fixture.store.clone());
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(20);
    let over = open_deposit(world, &payer, &request).await;
    let lasting = open_deposit(world, &payer, &fixture.request(2 * HOUR)).await;
    for deposit in [over.id, lasting.id] {
        pay(&payer, &payees[0], deposit, coins(5)).await;
        pay(&payer, &payees[1], deposit, coins(5)).await;
    }
    let last = over.deposit.redeemUntil;
    world.mine_at(last + 1).await;
    payer.reclaim(over.id).await.unwrap();
    poll(&payer).await;
    assert_eq!(
        payer.prune_before(u64::MAX).await.unwrap(),
        0,
        "pruned although a reorg may replace the reclaim"
    );
    world.node.mine(64).await;
    poll(&payer).await;
    assert_eq!(
        payer.prune_before(u64::MAX).await.unwrap(),
        0,
        "pruned although no other record names the purse with its money"
    );
    let next = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    assert_eq!(next.deposit.lane, over.deposit.lane);
    assert_eq!(
        payer.prune_before(last).await.unwrap(),
        0,
        "pruned too early"
    );

    let key = [b"reclaim", over.id.0.as_slice()].concat();
    let change = |old, new| Change {
        table: Table::Outbox,
        key: &key,
        old,
        new,
    };
    let set = fixture.store.swap(&[change(None, Some(b"sent"))]);
    assert_eq!(set.unwrap(), Swap::Done);
    assert_eq!(payer.prune_before(u64::MAX).await.unwrap(), 0);
    let gone = fixture.store.swap(&[change(Some(b"sent"), None)]);
    assert_eq!(gone.unwrap(), Swap::Done);

    assert_eq!(rows_of(&*fixture.store, over.id), 4);
    assert_eq!(payer.prune_before(last + 1).await.unwrap(), 1);
    assert_eq!(rows_of(&*fixture.store, over.id), 0);
    assert_eq!(rows_of(&*fixture.store, lasting.id), 4);
    pay(&payer, &payees[0], lasting.id, coins(1)).await;
    assert_eq!(payer.prune_before(u64::MAX).await.unwrap(), 0);
}

#[cfg(feature = "service")]
#[tokio::test]
async fn prunes_settled_old_rounds_of_payer_service() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let reader = over::final_after_64_seconds(world);
    let start = || {
        let store = fixture.store.clone();
        let payer = over::payer(&fixture.world, &reader, &fixture.payer, store);
        let rounds = fixture.rounds();
        PayerService::new(payer, Some(rounds)).with_retention(0)
    };
    let service = start();
    service.step().await.unwrap();
    world.node.mine(1).await;
    service.step().await.unwrap();
    let (first, record) = service.payer().deposits().await.unwrap().remove(0);
    let payee = fixture.payees[0].address;
    service.pay(payee, Address::ZERO, coins(5)).await.unwrap();
    let day_over = record.created + 24 * HOUR;
    loop {
        world.advance(HOUR / 2).await;
        service.step().await.unwrap();
        if rows_of(&*fixture.store, first) == 0 {
            break;
        }
        let now = world.now().await;
        assert!(now < day_over + 2 * HOUR, "the round is not pruned");
    }
    assert!(world.now().await >= day_over, "pruned within a day");
    let later = service.payer().deposits().await.unwrap();
    assert!(!later.is_empty());
    // A new process works without the pruned record.
    start().step().await.unwrap();
    assert!(service.health().ok);
}

/// Number of a deposit's records in a payer's store.
fn rows_of(store: &dyn Store, id: DepositId) -> usize {
    let mut count = 0;
    let mut each = |_, key: &[u8], _: &[u8]| {
        count += usize::from(key.windows(32).any(|part| part == id.0));
        ControlFlow::Continue(())
    };
    store.scan_all(&mut each).unwrap();
    count
}

/// Number of records in a store, except the rounds of the beacon, which no deposit owns.
fn rows(store: &dyn Store) -> usize {
    let mut count = 0;
    let mut each = |table, _: &[u8], _: &[u8]| {
        count += usize::from(table != Table::Seeds);
        ControlFlow::Continue(())
    };
    store.scan_all(&mut each).unwrap();
    count
}
