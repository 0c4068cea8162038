//! What has become of a deposit, told by events and receipts, and looked at again after deep reorganisations.

use crate::fixtures::{Fixture, HOUR, memory, pay, poll, request, state};
use crate::node::{Node, World, beacon::PERIOD, coins};
use crate::proxy::{Fault, Proxy};
use crate::settle::settle;
use cheque::store::Memory;
use cheque::{
    DepositId, Purse,
    bank::{BankError, Reader},
    node::connect,
    payer::{DepositRecord, DepositState, Opened, Payer, PayerError, PayerService},
    tx::Call,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Number of blocks whose state a full node keeps.
const STATES: u64 = 128;

#[tokio::test]
async fn tells_closed_from_never_opened_without_old_state() {
    let world = World::on(Node::keeping_states(STATES).await, PERIOD).await;
    let (account, of_payee) = (world.account(1).await, world.account(11).await);
    let store = memory();
    let payer = world.payer(&account, store.clone());
    let payee = world.payee(&of_payee, memory());
    let mut terms = request(&[&of_payee], &account, HOUR);
    terms.redeem_window = Some(HOUR);
    let won = payer.create_deposit(&terms).await.unwrap();
    let lost = payer.create_deposit(&terms).await.unwrap();
    let never = payer.prepare_deposit(&terms).await.unwrap();
    poll(&payer).await;
    pay(&payer, &payee, won.id, coins(100)).await;
    let purse = (account.address, won.deposit.token, won.deposit.lane);
    let open_at = world.head().await;
    world.draw(&won.deposit).await;
    assert_eq!(settle(&payee).await.unwrap().len(), 1);
    world.mine_at(lost.deposit.redeemUntil + 1).await;
    let reclaim = Call::reclaim(world.reader.bank(), &lost.deposit);
    of_payee.wallet.send(&reclaim).await.unwrap();
    let reclaimed_at = world.head().await;
    world.node.mine(2 * STATES).await;
    for block in [open_at, reclaimed_at] {
        let old = world.reader.purse(purse, block).await;
        assert!(old.is_err(), "the node has the state of block {block}");
    }

    // The payer has seen nothing of this, and remembers nothing.
    let restarted = world.payer(&account, store);
    let polled = restarted.poll().await.unwrap();
    assert!(polled.errors.is_empty(), "{:?}", polled.errors);
    let state = async |id| restarted.deposit(id).await.unwrap().state;
    let redeemed = DepositState::Redeemed {
        payee: of_payee.address,
        payout: coins(100),
    };
    assert_eq!(state(won.id).await, redeemed);
    assert_eq!(state(lost.id).await, DepositState::Reclaimed);
    assert_eq!(state(never.id).await, DepositState::NeverOpened);
}

#[tokio::test]
async fn believes_its_own_receipt_where_logs_are_missing() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let mut terms = fixture.request(HOUR);
    terms.redeem_window = Some(10);
    let impatient = fixture.payer.wallet.clone().with_timeout(Duration::ZERO);
    let killed = world.payer(&fixture.payer, fixture.store.clone());
    // Dies while the opening is pending.
    world.node.automine(false).await;
    let dies = killed.with_wallet(impatient).create_deposit(&terms).await;
    dies.unwrap_err();
    world.node.mine(1).await;
    world.node.automine(true).await;
    let proxy = Proxy::start(&world.node.provider).await;
    let provider = connect(&proxy.url).await.unwrap();
    let reader = Reader::open(provider, world.reader.bank().address());
    let payer = Payer::new(reader.await.unwrap(), fixture.store.clone());
    let [(id, record)] = &payer.deposits().await.unwrap()[..] else {
        panic!("not one deposit");
    };
    world.mine_at(record.deposit.redeemUntil + 1).await;
    let reclaim = Call::reclaim(world.reader.bank(), &record.deposit);
    fixture.payees[0].wallet.send(&reclaim).await.unwrap();

    proxy.fail("eth_getLogs", Fault::Answer(json!([])));
    let polled = payer.poll().await.unwrap();
    let [(of, PayerError::Bank(BankError::NoEvent { .. }))] = &polled.errors[..] else {
        panic!("{:?}", polled.errors);
    };
    assert_eq!(of, id);
    assert_eq!(payer.deposit(*id).await.unwrap(), *record);
    proxy.heal();
    assert_eq!(state(&payer, *id).await, DepositState::Reclaimed);
}

/// A payer's service that runs.
struct Running {
    service: PayerService,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(fixture: &Fixture, store: &Arc<Memory>) -> Self {
        let payer = fixture.world.payer(&fixture.payer, store.clone());
        let service = PayerService::new(payer, None);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn({
            let service = service.clone();
            async move { service.run(async { drop(stopped.await) }).await.unwrap() }
        });
        Self {
            service,
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// Waits until a deposit's record is as `wanted`.
    async fn until(&self, id: DepositId, wanted: impl Fn(&DepositRecord) -> bool) {
        for _ in 0..600 {
            if wanted(&self.service.payer().deposit(id).await.unwrap()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.service.status().await);
    }
}

fn is_redeemed(record: &DepositRecord) -> bool {
    record.settled && matches!(record.state, DepositState::Redeemed { .. })
}

fn is_reclaimed(record: &DepositRecord) -> bool {
    record.settled && record.state == DepositState::Reclaimed
}

async fn is_open(world: &World, opened: &Opened) -> bool {
    let terms = &opened.deposit;
    let purse = (terms.payer, terms.token, terms.lane);
    let now = world.reader.purse(purse, world.head().await).await;
    now.unwrap() == Purse::Open(opened.id)
}

#[tokio::test]
async fn looks_again_at_settled_deposits_if_final_blocks_change() {
    // Every head of a local chain counts as final. The service runs meanwhile, or is started afterwards.
    for runs in [true, false] {
        let fixture = Fixture::new().await;
        let world = &fixture.world;
        let (payer, payees) = fixture.actors();
        let mut terms = request(&[&fixture.payees[0]], &fixture.payer, HOUR);
        let won = payer.create_deposit(&terms).await.unwrap();
        terms.redeem_window = Some(10);
        let lost = payer.create_deposit(&terms).await.unwrap();
        poll(&payer).await;
        pay(&payer, &payees[0], won.id, coins(100)).await;
        world.mine_at(lost.deposit.redeemUntil + 1).await;
        let before = world.node.snapshot().await;
        assert_eq!(settle(&payees[0]).await.unwrap().len(), 1);
        let running = Running::start(&fixture, &fixture.store);
        running.until(won.id, is_redeemed).await;
        running.until(lost.id, is_reclaimed).await;

        let running = if runs {
            Some(running)
        } else {
            running.stop().await;
            None
        };
        world.node.revert(before).await;
        assert!(is_open(world, &won).await && is_open(world, &lost).await);
        world.node.advance(7).await;
        let start = || Running::start(&fixture, &fixture.store);
        let running = running.unwrap_or_else(start);
        // The win waits for its payee, and the money of the other deposit comes back once more.
        let drawn = |record: &DepositRecord| matches!(record.state, DepositState::Drawn { winner: Some(payee) } if payee == fixture.payees[0].address);
        running
            .until(won.id, |record| !record.settled && drawn(record))
            .await;
        running.until(lost.id, is_reclaimed).await;
        assert!(!is_open(world, &lost).await, "it was not reclaimed again");
        let error = running.service.health().last_error.unwrap_or_default();
        assert!(error.contains("were replaced, although"), "{error}");
        payees[0].poll().await.unwrap();
        assert_eq!(settle(&payees[0]).await.unwrap().len(), 1);
        running.until(won.id, is_redeemed).await;
        running.stop().await;
    }
}
