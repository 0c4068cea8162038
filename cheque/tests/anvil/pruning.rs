//! Forgetting what is over.

use crate::cast::{Cast, memory, opened, pay, play, poll};
use crate::node::coins;
#[cfg(feature = "service")]
use crate::payee_service::{redeemed, sends, service, status, wins, with_settings};
#[cfg(feature = "service")]
use alloy_primitives::Address;
use cheque::DepositId;
use cheque::store::{Change, Store, Swap, Table};
#[cfg(feature = "service")]
use cheque::{
    ChainProfile, Position,
    payee::PayeeSettings,
    payer::{Payer, PayerService},
};
use cheque::{bank::RedeemError, payee::RedeemOptions};
use std::{ops::ControlFlow, time::Duration};

#[tokio::test]
async fn what_can_never_be_redeemed_any_more_is_forgotten_on_request() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(20);
    let opened = opened(world, &payer, &request).await;
    pay(&payer, &payees[0], opened.id, coins(5)).await;
    world.node.mine_to(opened.deposit.lastRedeemBlock).await;
    assert_eq!(
        payees[0].prune().await.unwrap(),
        0,
        "the last block may be replaced"
    );
    world.node.mine(1).await;
    assert_eq!(payees[0].prune().await.unwrap(), 1);
    assert!(payees[0].ledger().await.unwrap().is_empty());
    assert_eq!(payees[0].prune().await.unwrap(), 0);
}

#[tokio::test]
async fn a_payee_keeps_a_deposit_until_what_was_sent_to_redeem_it_is_done() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let payer = world.payer(&cast.payer, memory());
    let stores: Vec<_> = cast.payees.iter().map(|_| memory()).collect();
    let payees = cast.payees.iter().zip(&stores);
    let payees: Vec<_> = payees
        .map(|(party, store)| world.payee(party, store.clone()))
        .collect();
    let mut request = cast.request(60);
    request.redeem_window = Some(20);
    let opened = opened(world, &payer, &request).await;
    let (winner, _) = play(world, &payer, &payees, &opened).await;
    let (payee, store) = (&payees[winner], &stores[winner]);
    // Sent, and never mined.
    let impatient = cast.payees[winner].wallet.clone();
    let impatient = impatient.with_timeout(Duration::ZERO);
    world.node.anvil("evm_setAutomine", [false]).await;
    let options = RedeemOptions::default();
    let waiting = payee.clone().with_wallet(impatient);
    let waiting = waiting.redeem(opened.id, &options).await;
    assert!(
        matches!(waiting, Err(RedeemError::Outbox(_))),
        "{waiting:?}"
    );
    world.node.anvil("anvil_dropAllTransactions", ()).await;
    let last = opened.deposit.lastRedeemBlock;
    world.node.mine_to(last).await;
    world.node.mine(1).await;
    assert_eq!(payee.prune().await.unwrap(), 0, "it may still be mined");
    assert_eq!(rows(&**store), 2);
    let sent = payee.pending_txs().await.unwrap().remove(0);
    payee.done(&sent).await.unwrap();
    assert_eq!(payee.prune().await.unwrap(), 1);
    assert_eq!(rows(&**store), 0);
}

#[cfg(feature = "service")]
#[tokio::test]
async fn what_redeems_a_batch_is_kept_while_a_deposit_of_it_is_open() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let store = memory();
    let service = service(world, &cast.payees[0], store.clone());
    let payee = service.payee();
    let draw = world.head().await + 80;
    // The first one, whose name the record has, is over before the second one is.
    let all = wins(&cast, &service, &[draw, draw + 10], 60).await;
    world.node.mine_to(draw + 11).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let batch = sends(&service, all[0].id).await;
    world.node.anvil("anvil_dropTransaction", [batch]).await;
    world.node.mine_to(all[0].deposit.lastRedeemBlock + 3).await;
    assert!(world.head().await < all[1].deposit.lastRedeemBlock);

    assert_eq!(payee.prune().await.unwrap(), 0);
    let pending_txs = payee.pending_txs().await.unwrap();
    let [kept] = &pending_txs[..] else {
        panic!("one transaction for both: {pending_txs:?}");
    };
    assert_eq!((kept.hash, kept.deposits().len()), (batch, 2));
    payee.done(kept).await.unwrap();
    assert_eq!(payee.prune().await.unwrap(), 1);
    let left = payee.ledger().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].deposit_id(), all[1].id);
}

#[cfg(feature = "service")]
#[tokio::test]
async fn a_payees_service_forgets_what_is_old_and_goes_on_with_what_is_kept() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let keep = |settings: &mut PayeeSettings| settings.keep = 1;
    let service = with_settings(world, &cast.payees[0], memory(), keep);
    let draw = world.head().await + 60;
    let first = wins(&cast, &service, &[draw], 130).await.remove(0).id;
    world.node.mine_to(draw + 1).await;
    sends(&service, first).await;
    redeemed(&service, first).await;

    let draw = world.head().await + 80;
    let old = wins(&cast, &service, &[draw], 60).await.remove(0);
    let lasting = wins(&cast, &service, &[draw], 2_000).await.remove(0).id;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let batch = sends(&service, old.id).await;
    world.node.anvil("anvil_dropTransaction", [batch]).await;
    // Meanwhile the first one's window is over.
    assert_eq!(service.payee().ledger().await.unwrap().len(), 3);
    world.node.mine_to(old.deposit.lastRedeemBlock + 3).await;
    let stepped = service.step().await.unwrap();
    let changed: Vec<_> = stepped.changes.iter().map(|one| one.deposit).collect();
    assert_eq!(changed, [old.id]);
    let held = service.payee().ledger().await.unwrap();
    let mut held: Vec<_> = held.iter().map(Position::deposit_id).collect();
    held.sort();
    let mut kept = [old.id, lasting];
    kept.sort();
    assert_eq!(held, kept, "one transaction redeems both");

    let again = service.step().await.unwrap();
    assert_eq!(again.changes, [], "nothing is new");
    assert_eq!(status(&service, old.id).await.state.name(), "missed");
    world.node.mine(1).await;
    redeemed(&service, lasting).await;
    for _ in 0..2 {
        world.node.mine(world.reader.profile().final_depth).await;
        service.step().await.unwrap();
    }
    let left = service.payee().ledger().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].deposit_id(), lasting, "its window is not over");
}

#[tokio::test]
async fn a_payer_forgets_settled_deposits_but_the_last_of_a_purse_and_those_with_something_under_way()
 {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(20);
    let over = opened(world, &payer, &request).await;
    let lasting = opened(world, &payer, &cast.request(3_000)).await;
    for deposit in [over.id, lasting.id] {
        pay(&payer, &payees[0], deposit, coins(5)).await;
        pay(&payer, &payees[1], deposit, coins(5)).await;
    }
    let last = over.deposit.lastRedeemBlock;
    world.node.mine_to(last + 1).await;
    payer.reclaim(over.id).await.unwrap();
    poll(&payer).await;
    assert_eq!(
        payer.prune_before(u64::MAX).await.unwrap(),
        0,
        "the block that took it back may be replaced"
    );
    world.node.mine(64).await;
    poll(&payer).await;
    assert_eq!(
        payer.prune_before(u64::MAX).await.unwrap(),
        0,
        "nothing else tells of its purse, which has money"
    );
    let next = opened(world, &payer, &cast.request(60)).await;
    assert_eq!(next.deposit.lane, over.deposit.lane);
    assert_eq!(payer.prune_before(last).await.unwrap(), 0, "too young");

    let key = [b"reclaim", over.id.0.as_slice()].concat();
    let change = |old, new| Change {
        table: Table::Outbox,
        key: &key,
        old,
        new,
    };
    let set = cast.store.swap(&[change(None, Some(b"sent"))]);
    assert_eq!(set.unwrap(), Swap::Done);
    assert_eq!(payer.prune_before(u64::MAX).await.unwrap(), 0);
    let gone = cast.store.swap(&[change(Some(b"sent"), None)]);
    assert_eq!(gone.unwrap(), Swap::Done);

    assert_eq!(rows_of(&*cast.store, over.id), 4);
    assert_eq!(payer.prune_before(last + 1).await.unwrap(), 1);
    assert_eq!(rows_of(&*cast.store, over.id), 0);
    assert_eq!(rows_of(&*cast.store, lasting.id), 4);
    pay(&payer, &payees[0], lasting.id, coins(1)).await;
    assert_eq!(payer.prune_before(u64::MAX).await.unwrap(), 0);
}

#[cfg(feature = "service")]
#[tokio::test]
async fn a_payers_service_forgets_rounds_that_are_settled_and_old() {
    let cast = Cast::new().await;
    let node = &cast.world.node;
    // A day has 24 blocks.
    let reader = cast.world.reader.clone();
    let reader = reader.with_profile(ChainProfile {
        block_time: 3_600,
        ..*cast.world.reader.profile()
    });
    node.anvil("anvil_setBlockTimestampInterval", [3_600]).await;
    let start = || {
        let payer = Payer::new(reader.clone(), cast.store.clone());
        let payer = payer
            .with_wallet(cast.payer.wallet.clone())
            .with_key(cast.payer.key.clone());
        let rounds = crate::payer_service::rounds(&cast);
        PayerService::new(payer, Some(rounds)).with_keep(0)
    };
    let service = start();
    service.step().await.unwrap();
    node.mine(1).await;
    service.step().await.unwrap();
    let (first, record) = service.payer().deposits().await.unwrap().remove(0);
    let payee = cast.payees[0].address;
    service.pay(payee, Address::ZERO, coins(5)).await.unwrap();
    let last = record.deposit.lastRedeemBlock;
    loop {
        node.mine(6).await;
        service.step().await.unwrap();
        if rows_of(&*cast.store, first) == 0 {
            break;
        }
        let head = cast.world.head().await;
        assert!(head < last + 64 + 24 + 24, "it is not forgotten");
    }
    assert!(cast.world.head().await >= last + 24, "not within a day");
    let later = service.payer().deposits().await.unwrap();
    assert!(!later.is_empty());
    // Whoever starts then does not need it.
    start().step().await.unwrap();
    assert!(service.health().ok);
}

/// How many records a payer's store holds of a deposit.
fn rows_of(store: &dyn Store, id: DepositId) -> usize {
    let mut count = 0;
    let mut each = |_, key: &[u8], _: &[u8]| {
        count += usize::from(key.windows(32).any(|part| part == id.0));
        ControlFlow::Continue(())
    };
    store.scan_all(&mut each).unwrap();
    count
}

/// How many records a store holds.
fn rows(store: &dyn Store) -> usize {
    let mut count = 0;
    let mut each = |_, _: &[u8], _: &[u8]| {
        count += 1;
        ControlFlow::Continue(())
    };
    store.scan_all(&mut each).unwrap();
    count
}
