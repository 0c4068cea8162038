//! Transactions of the payee's service that wait, and what becomes of those that are cancelled.

use crate::cast::{Cast, memory, opened, pay};
use crate::node::{coins, policy};
use crate::payee_recovery::{redraw, snapshot, worthless};
use crate::payee_service::{
    DEAR, redeemed, sends, sent_by, service, set_gas_price, status, step, wins, with_settings,
};
use crate::payer_kills::{apart, killed_when};
use crate::payer_stuck::{automine, outbox, resend, waiting};
use alloy::providers::Provider;
use alloy_primitives::TxHash;
use cheque::{DepositId, HISTORY_WINDOW};
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

/// The first payee's number.
const PAYEE: u8 = 11;

/// Keeps one gauge.
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
async fn what_waits_for_more_than_30_blocks_is_told() {
    let gauge = Stuck::default();
    let _here = metrics::set_default_local_recorder(&gauge);
    let cast = Cast::new().await;
    let world = &cast.world;
    let service = service(world, &cast.payees[0], memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 2], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    automine(world, false).await;
    sends(&service, all[0].id).await;
    let since = world.head().await;
    // No block has room for it, at whatever fee.
    for blocks in 0..=32 {
        let stuck = blocks >= 30;
        let health = service.health();
        let said = format!("waits since block {since}");
        assert_eq!(health.reason.contains(&said), stuck, "{health:?}");
        let said = format!("it has waited since block {since}");
        for opened in &all {
            let status = status(&service, opened.id).await;
            assert_eq!(status.waits_since, stuck.then_some(since));
            let reason = status.reason();
            assert_eq!(reason.contains(&said), stuck, "{reason}");
        }
        let told = if stuck { 1.0 } else { 0.0 };
        assert_eq!(gauge.value(), told, "one transaction for both");
        world.node.anvil("anvil_dropAllTransactions", ()).await;
        world.node.mine(1).await;
        sends(&service, all[0].id).await;
    }
    world.node.mine(1).await;
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
        assert_eq!(status(&service, opened.id).await.waits_since, None);
    }
    assert_eq!(gauge.value(), 0.0);
    assert!(!service.health().reason.contains("waits"));
}

#[tokio::test]
async fn a_redemption_that_somebody_else_makes_first_is_cancelled_and_the_next_win_is_redeemed() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let one_by_one = |settings: &mut PayeeSettings| settings.batch = 1;
    let service = with_settings(world, party, memory(), one_by_one);
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw, draw + 5], HISTORY_WINDOW).await;
    let [overtaken, next] = [all[0].id, all[1].id];
    world.node.mine_to(draw + 1).await;
    automine(world, false).await;
    let ours = sends(&service, overtaken).await;
    let raw = world.node.provider.get_raw_transaction_by_hash(ours).await;
    let raw = raw.unwrap().expect("the node has it");

    // It pays everything, so that anybody may send it.
    world.node.anvil("anvil_dropTransaction", [ours]).await;
    let somebody = world.party(8).await.wallet;
    let theirs = service.payee().clone().with_wallet(somebody.clone());
    let options = RedeemOptions::default();
    let planned = theirs.plan_redeem(overtaken, &options).await.unwrap();
    automine(world, true).await;
    somebody.send(&planned.call).await.unwrap();
    automine(world, false).await;
    assert_eq!(world.balance(party.address).await, coins(100).to_u256());
    world.node.mine_to(draw + 6).await;
    resend(world, &raw).await;

    assert_eq!(step(&service, overtaken).await.name(), "redeemed");
    let redemption = sends(&service, next).await;
    let bank = world.reader.bank().address();
    let [(0, cancellation, to), (1, second, at)] = waiting(world, party.address).await[..] else {
        panic!("{:?}", waiting(world, party.address).await);
    };
    assert_eq!((to, at, second), (party.address, bank, redemption));
    assert_ne!(cancellation, ours);
    world.node.mine(1).await;
    assert_eq!(redeemed(&service, next).await.0, coins(100));
    assert_eq!(world.balance(party.address).await, coins(200).to_u256());
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
    assert_eq!(sent_by(world, party.address).await, 2);
    let receipt = world.node.provider.get_transaction_receipt(ours).await;
    assert_eq!(receipt.unwrap(), None, "it would have been in vain");
}

/// A redemption that nobody looks after yet.
async fn submitted(payee: &Payee, id: DepositId) -> TxHash {
    let submitted = payee.submit_redemptions(&[id]).await.unwrap();
    submitted.sent.expect("the bank would pay").hash
}

/// Gives up the only redemption, and has the node drop it.
async fn given_up_and_dropped(cast: &Cast, payee: &Payee) {
    let one = payee.pending_txs().await.unwrap().remove(0);
    payee.give_up(&one).await.unwrap().expect("it waits");
    let node = &cast.world.node;
    node.anvil("anvil_dropAllTransactions", ()).await;
}

#[tokio::test]
async fn a_redemption_that_is_given_up_and_dropped_and_sent_and_given_up_again_is_one_to_cancel() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let service = service(world, &cast.payees[0], memory());
    let payee = service.payee();
    let draw = world.head().await + 80;
    let id = wins(&cast, &service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw + 1).await;
    automine(world, false).await;
    let first = submitted(payee, id).await;
    given_up_and_dropped(&cast, payee).await;
    assert_eq!(submitted(payee, id).await, first);
    given_up_and_dropped(&cast, payee).await;
    let pending_txs = payee.pending_txs().await.unwrap();
    let [unwanted] = &pending_txs[..] else {
        panic!("one of them: {pending_txs:?}");
    };
    assert_eq!(
        (&unwanted.purpose, unwanted.hash),
        (&Purpose::Cancel, first)
    );
}

#[tokio::test]
async fn redemptions_that_are_given_up_with_one_nonce_are_both_cancelled_and_hold_up_nothing() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (party, store) = (&cast.payees[0], memory());
    let service = service(world, party, store.clone());
    let payee = service.payee();
    let draw = world.head().await + 80;
    let id = wins(&cast, &service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw - 2).await;
    automine(world, false).await;
    let before = snapshot(&cast).await;
    world.node.mine_to(draw + 1).await;
    let first = submitted(payee, id).await;
    given_up_and_dropped(&cast, payee).await;
    set_gas_price(world, 20).await;
    let second = submitted(payee, id).await;
    assert_ne!(second, first);
    let [(0, waits, bank)] = waiting(world, party.address).await[..] else {
        panic!("it has the same nonce");
    };
    assert_eq!(waits, second);
    redraw(&cast, before, draw, second).await;

    assert_eq!(step(&service, id).await.name(), "won");
    let third = sends(&service, id).await;
    let [(0, cancellation, to), next] = waiting(world, party.address).await[..] else {
        panic!("{:?}", waiting(world, party.address).await);
    };
    assert_eq!((to, next), (party.address, (1, third, bank)));
    let mut unwanted = outbox(&*store);
    unwanted.retain(|sent| sent.nonce == 0);
    for hash in [first, second] {
        let is_cancelled = |sent: &TxRecord| sent.hashes == [hash] && !sent.cancelled_by.is_empty();
        assert!(unwanted.iter().any(is_cancelled), "{unwanted:?}");
    }
    let mut cancellations = unwanted.iter().flat_map(|sent| &sent.cancelled_by);
    assert!(cancellations.any(|hash| *hash == cancellation));

    // Whether a nonce went to another one is certain after a few blocks.
    let blocks = async {
        loop {
            world.node.mine(1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let worked_off = async {
        assert_eq!(redeemed(&service, id).await.0, coins(100));
        while !payee.pending_txs().await.unwrap().is_empty() {
            step(&service, id).await;
        }
    };
    tokio::select! {
        () = worked_off => {}
        () = blocks => unreachable!("there is always another one"),
    }
    assert_eq!(sent_by(world, party.address).await, 2);
    assert_eq!(world.balance(party.address).await, coins(100).to_u256());
}

/// What has the first nonce.
fn first(store: &Redb) -> Option<TxRecord> {
    outbox(store).into_iter().find(|sent| sent.nonce == 0)
}

#[test]
fn a_cancellation_that_was_stored_and_not_sent_when_the_service_was_killed_is_sent_by_the_next_one()
{
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cast = runtime.block_on(Cast::new());
    let (world, party) = (&cast.world, &cast.payees[0]);
    let (url, bank) = (&world.node.url, world.reader.bank().address());
    let directory = tempfile::tempdir().unwrap();
    let open = || Arc::new(Redb::open(directory.path().join("payee")).unwrap());
    let (_, unwanted) = runtime.block_on(async {
        let service = service(world, party, open());
        worthless(&cast, &service).await
    });
    let is_cancelled =
        |store: &Redb| first(store).is_some_and(|sent| !sent.cancelled_by.is_empty());
    let stepped = |dies: bool| {
        apart(url, bank, PAYEE, async |reader, wallet| {
            let (store, policy) = (open(), policy(&reader, party.address));
            let settings = PayeeSettings::new(&policy, reader.profile());
            let payee = Payee::new(reader, policy, store.clone()).with_wallet(wallet);
            let service = PayeeService::new(payee, settings);
            // It has no chance to go on once it is on disk.
            let step = killed_when(|| dies && is_cancelled(&store), service.step());
            step.await.map(|stepped| stepped.unwrap().failed)
        })
    };
    assert_eq!(stepped(true), None, "it is killed");
    let kept = first(&open()).expect("it is known").cancelled_by;
    let [cancellation] = kept[..] else {
        panic!("one of them: {kept:?}");
    };
    let before = runtime.block_on(waiting(world, party.address));
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(before[0].1, unwanted, "nothing was sent");

    assert_eq!(stepped(false), Some(Vec::new()));
    let after = runtime.block_on(waiting(world, party.address));
    assert_eq!(after[0], (0, cancellation, party.address));
    // What comes next does not wait for it, and it is paid once.
    for _ in 0..2 {
        runtime.block_on(world.node.mine(1));
        assert_eq!(stepped(false), Some(Vec::new()));
    }
    runtime.block_on(async {
        assert_eq!(world.balance(party.address).await, coins(100).to_u256());
        assert_eq!(sent_by(world, party.address).await, 2);
    });
    assert_eq!(outbox(&*open()), []);
}

#[tokio::test]
async fn a_small_win_that_is_not_worth_a_higher_price_does_not_hold_up_a_large_one() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let alone = |settings: &mut PayeeSettings| settings.company = 0;
    let service = with_settings(world, party, memory(), alone);
    let draw = world.head().await + 80;
    let small = wins(&cast, &service, &[draw], HISTORY_WINDOW).await[0].id;
    let allowances = vec![(party.address, coins(900))];
    let draw_of_large = Draw::At(draw + 13);
    let request = DepositRequest::new(allowances, cast.payer.address, draw_of_large);
    let (payer, _) = cast.players();
    let large = opened(world, &payer, &request).await.id;
    world.node.mine(2).await;
    service.payee().poll().await.unwrap();
    pay(&payer, service.payee(), large, coins(900)).await;

    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let first = sends(&service, small).await;
    set_gas_price(world, 10 * DEAR).await;
    world.node.mine(10).await;
    set_gas_price(world, 2 * DEAR).await;
    service.step().await.unwrap();
    let too_dear = status(&service, small).await.state;
    assert_eq!(too_dear, HoldingState::Redeeming { hash: first });
    world.node.mine(1).await;
    let hash = sends(&service, large).await;
    assert_ne!(sends(&service, small).await, first);
    assert_ne!(hash, first);
    world.node.mine(1).await;
    assert_eq!(redeemed(&service, large).await.0, coins(900));
    assert_eq!(redeemed(&service, small).await.0, coins(100));
    assert_eq!(sent_by(world, party.address).await, 2);
}
