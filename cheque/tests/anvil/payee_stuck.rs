//! Pending transactions of the payee's service: stuck, abandoned, cancelled, or blocking others.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay};
use crate::interrupt::{in_own_runtime, interrupt_when};
use crate::node::{beacon, coins, policy};
use crate::payee_steps::{
    HIGH_GAS_PRICE, overtaken, redeemed, sends, service, set_gas_price, status, step, wins,
    with_settings,
};
use crate::transactions::{mempool, outbox, replace, resend};
use alloy::providers::Provider;
use alloy_primitives::TxHash;
use cheque::{DepositId, bank::redeem};
use cheque::{
    payee::{HoldingState, PayeeService, PayeeSettings},
    service::metrics::PAYEE_STUCK,
};
use cheque::{
    payee::{Payee, Purpose, RedeemOptions},
    payer::{DepositRequest, Draw},
};
use cheque::{store::Redb, tx::TxRecord};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};
use std::time::Duration;

/// The number of the first payee's account.
const PAYEE: u8 = 11;

/// A recorder of the gauge of stuck transactions.
#[derive(Default)]
struct Stuck(Arc<AtomicU64>);

impl Stuck {
    fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::SeqCst))
    }
}

impl Recorder for Stuck {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match key.name() == PAYEE_STUCK {
            true => Gauge::from_arc(self.0.clone()),
            false => Gauge::noop(),
        }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn reports_transaction_pending_for_72_seconds() {
    let gauge = Stuck::default();
    let _here = metrics::set_default_local_recorder(&gauge);
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let service = service(world, &fixture.payees[0], memory());
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw; 2], 24 * HOUR).await;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let since = draw + 1;
    // Blocks have no room, at any fee.
    for seconds in [0, 25, 50, 71, 72, 100] {
        if seconds > 0 {
            world.node.drop_transactions().await;
            world.mine_at(since + seconds).await;
        }
        sends(&service, all[0].id).await;
        let stuck = seconds >= 72;
        let health = service.health();
        let said = format!("pending since time {since}");
        assert_eq!(health.reason.contains(&said), stuck, "{health:?}");
        for opened in &all {
            let status = status(&service, opened.id).await;
            assert_eq!(status.stuck_since, stuck.then_some(since));
            let reason = status.reason();
            assert_eq!(reason.contains("; pending since "), stuck, "{reason}");
        }
        let told = if stuck { 1.0 } else { 0.0 };
        assert_eq!(gauge.value(), told, "not one stuck transaction");
    }
    world.node.mine(1).await;
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
        assert_eq!(status(&service, opened.id).await.stuck_since, None);
    }
    assert_eq!(gauge.value(), 0.0);
    assert!(!service.health().reason.contains("pending"));
}

#[tokio::test]
async fn reports_transaction_signed_by_a_fast_clock() {
    let fixture = Fixture::new().await;
    let (world, store) = (&fixture.world, memory());
    let service = service(world, &fixture.payees[0], store.clone());
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    sends(&service, id).await;
    let [record] = &outbox(&*store)[..] else {
        panic!("not one transaction");
    };
    // Since then the clock was set back.
    let since = u64::MAX;
    let later = TxRecord {
        since,
        ..record.clone()
    };
    let [pending] = &service.payee().pending_txs().await.unwrap()[..] else {
        panic!("not one transaction");
    };
    replace(&*store, record, &later);
    assert_eq!(sends(&service, id).await, pending.hash);
    assert_eq!(status(&service, id).await.stuck_since, Some(since));
}

#[tokio::test]
async fn cancels_redemption_made_by_another_account() {
    // The next win is redeemed behind the cancellation.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let one_by_one = |settings: &mut PayeeSettings| settings.batch_size = 1;
    let service = with_settings(world, account, memory(), one_by_one);
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw, draw + 5], 24 * HOUR).await;
    let [overtaken, next] = [all[0].id, all[1].id];
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let ours = sends(&service, overtaken).await;
    let raw = world.node.provider.get_raw_transaction_by_hash(ours).await;
    let raw = raw.unwrap().expect("the node has the redemption");

    // The payout is the whole deposit, so any account may send the redemption.
    world.node.drop_transaction(ours).await;
    let other = world.account(8).await.wallet;
    let theirs = service.payee().clone().with_wallet(other.clone());
    let options = RedeemOptions::default();
    let planned = theirs.plan_redeem(overtaken, &options).await.unwrap();
    world.node.automine(true).await;
    other.send(&planned.call).await.unwrap();
    world.node.automine(false).await;
    assert_eq!(world.balance(account.address).await, coins(100).to_u256());
    world.mine_at(draw + 6).await;
    resend(world, &raw).await;

    assert_eq!(step(&service, overtaken).await.name(), "redeemed");
    let redemption = sends(&service, next).await;
    let bank = world.reader.bank().address();
    let [(0, cancellation, to), (1, second, at)] = mempool(world, account.address).await[..] else {
        panic!("{:?}", mempool(world, account.address).await);
    };
    assert_eq!((to, at, second), (account.address, bank, redemption));
    assert_ne!(cancellation, ours);
    world.node.mine(1).await;
    assert_eq!(redeemed(&service, next).await.0, coins(100));
    assert_eq!(world.balance(account.address).await, coins(200).to_u256());
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
    assert_eq!(world.node.transactions(account.address).await, 2);
    let receipt = world.node.provider.get_transaction_receipt(ours).await;
    assert_eq!(receipt.unwrap(), None, "the useless redemption was mined");
}

/// Sends a redemption without waiting for it.
async fn submitted(payee: &Payee, id: DepositId) -> TxHash {
    let submitted = payee.submit_redemptions(&[id]).await.unwrap();
    submitted.tx.expect("a payable win").hash
}

/// Abandons the only redemption, and drops it from the mempool.
async fn abandon_and_drop(fixture: &Fixture, payee: &Payee) {
    let pending = payee.pending_txs().await.unwrap().remove(0);
    payee
        .abandon(&pending)
        .await
        .unwrap()
        .expect("a transaction to cancel");
    let node = &fixture.world.node;
    node.drop_transactions().await;
}

#[tokio::test]
async fn cancels_twice_abandoned_redemption_once() {
    // The redemption is abandoned and dropped, then sent and abandoned again.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let service = service(world, &fixture.payees[0], memory());
    let payee = service.payee();
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let first = submitted(payee, id).await;
    abandon_and_drop(&fixture, payee).await;
    assert_eq!(submitted(payee, id).await, first);
    abandon_and_drop(&fixture, payee).await;
    let pending_txs = payee.pending_txs().await.unwrap();
    let [unwanted] = &pending_txs[..] else {
        panic!("not one transaction: {pending_txs:?}");
    };
    assert_eq!(
        (&unwanted.purpose, unwanted.hash),
        (&Purpose::Cancel, first)
    );
}

#[tokio::test]
async fn cancels_two_abandoned_redemptions_of_one_nonce() {
    // Neither blocks later nonces.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (account, store) = (&fixture.payees[0], memory());
    let service = service(world, account, store.clone());
    let payee = service.payee();
    let stranger = world.account(8).await.wallet;
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw, draw + 30], 24 * HOUR).await;
    let [id, next] = [all[0].id, all[1].id];
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let first = submitted(payee, id).await;
    abandon_and_drop(&fixture, payee).await;
    set_gas_price(world, 20).await;
    let second = submitted(payee, id).await;
    assert_ne!(second, first);
    let [(0, waits, bank)] = mempool(world, account.address).await[..] else {
        panic!("not one pending transaction of nonce 0");
    };
    assert_eq!(waits, second);
    let raw = world.node.provider.get_raw_transaction_by_hash(second);
    let raw = raw.await.unwrap().expect("the node has the redemption");
    world.node.drop_transactions().await;
    // A stranger redeems the whole deposit for the payee.
    world.node.automine(true).await;
    let redemption = payee.redemption(id, Default::default(), Default::default());
    let (redemption, round) = (redemption.await.unwrap(), world.beacon.round(draw));
    redeem(&world.reader, &stranger, &redemption, Some(&round))
        .await
        .unwrap();
    world.node.automine(false).await;
    world.mine_at(draw + 31).await;
    resend(world, &raw).await;

    assert_eq!(step(&service, id).await.name(), "redeemed");
    let third = sends(&service, next).await;
    let [(0, cancellation, to), later] = mempool(world, account.address).await[..] else {
        panic!("{:?}", mempool(world, account.address).await);
    };
    assert_eq!((to, later), (account.address, (1, third, bank)));
    let mut unwanted = outbox(&*store);
    unwanted.retain(|sent| sent.nonce == 0);
    for hash in [first, second] {
        let is_cancelled = |sent: &TxRecord| sent.hashes == [hash] && !sent.cancelled_by.is_empty();
        assert!(unwanted.iter().any(is_cancelled), "{unwanted:?}");
    }
    let mut cancellations = unwanted.iter().flat_map(|sent| &sent.cancelled_by);
    assert!(cancellations.any(|hash| *hash == cancellation));

    // A replaced nonce is confirmed after a few blocks.
    let blocks = async {
        loop {
            world.node.mine(1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let worked_off = async {
        assert_eq!(redeemed(&service, next).await.0, coins(100));
        while !payee.pending_txs().await.unwrap().is_empty() {
            step(&service, next).await;
        }
    };
    tokio::select! {
        () = worked_off => {}
        () = blocks => unreachable!("mining never ends"),
    }
    assert_eq!(world.node.transactions(account.address).await, 2);
    assert_eq!(world.balance(account.address).await, coins(200).to_u256());
}

/// The record with nonce 0.
fn first(store: &Redb) -> Option<TxRecord> {
    outbox(store).into_iter().find(|sent| sent.nonce == 0)
}

#[test]
fn resends_stored_cancellation_after_crash() {
    // The first process ends after it has stored the cancellation and before it sends.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let (world, account) = (&fixture.world, &fixture.payees[0]);
    let (url, bank) = (&world.node.url, world.reader.bank().address());
    let directory = tempfile::tempdir().unwrap();
    let open = || Arc::new(Redb::open(directory.path().join("payee")).unwrap());
    let (_, unwanted) = runtime.block_on(async {
        let service = service(world, account, open());
        overtaken(&fixture, &service).await
    });
    let is_cancelled =
        |store: &Redb| first(store).is_some_and(|sent| !sent.cancelled_by.is_empty());
    let stepped = |dies: bool| {
        in_own_runtime(url, bank, PAYEE, async |reader, wallet| {
            let (store, policy) = (open(), policy(&reader, account.address));
            let settings = PayeeSettings::new(&policy, reader.profile());
            let payee = Payee::new(reader, policy, store.clone()).unwrap();
            let payee = payee
                .with_beacon(beacon::client(&world.beacon.url))
                .unwrap();
            let payee = payee.with_wallet(wallet);
            let service = PayeeService::new(payee, settings);
            // The process ends as soon as the cancellation is on disk.
            let step = interrupt_when(|| dies && is_cancelled(&store), service.step());
            step.await.map(|stepped| stepped.unwrap().failed)
        })
    };
    assert_eq!(stepped(true), None, "the step was not interrupted");
    let kept = first(&open()).expect("a record with nonce 0").cancelled_by;
    let [cancellation] = kept[..] else {
        panic!("not one cancellation: {kept:?}");
    };
    let before = runtime.block_on(mempool(world, account.address));
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(before[0].1, unwanted, "the cancellation was sent");

    assert_eq!(stepped(false), Some(Vec::new()));
    let after = runtime.block_on(mempool(world, account.address));
    assert_eq!(after[0], (0, cancellation, account.address));
    runtime.block_on(world.node.mine(1));
    assert_eq!(stepped(false), Some(Vec::new()));
    runtime.block_on(async {
        assert_eq!(world.balance(account.address).await, coins(100).to_u256());
        assert_eq!(world.node.transactions(account.address).await, 1);
    });
    assert_eq!(outbox(&*open()), []);
}

#[tokio::test]
async fn redeems_large_win_behind_unprofitable_small_one() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let alone = |settings: &mut PayeeSettings| settings.batch_wait = 0;
    let service = with_settings(world, account, memory(), alone);
    let draw = world.now().await + HOUR;
    let small = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    let allowances = vec![(account.address, coins(900))];
    let draw_of_large = Draw::At(draw + 27);
    let request = DepositRequest::new(allowances, fixture.payer.address, draw_of_large);
    let (payer, _) = fixture.actors();
    let large = open_deposit(world, &payer, &request).await.id;
    world.node.mine(2).await;
    service.payee().poll().await.unwrap();
    pay(&payer, service.payee(), large, coins(900)).await;

    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let first = sends(&service, small).await;
    set_gas_price(world, 10 * HIGH_GAS_PRICE).await;
    world.mine_at(draw + 25).await;
    set_gas_price(world, 2 * HIGH_GAS_PRICE).await;
    service.step().await.unwrap();
    let unchanged = status(&service, small).await.state;
    assert_eq!(unchanged, HoldingState::Redeeming { hash: first });
    world.advance(2).await;
    let hash = sends(&service, large).await;
    assert_ne!(sends(&service, small).await, first);
    assert_ne!(hash, first);
    world.node.mine(1).await;
    assert_eq!(redeemed(&service, large).await.0, coins(900));
    assert_eq!(redeemed(&service, small).await.0, coins(100));
    assert_eq!(world.node.transactions(account.address).await, 2);
}
