//! Pending transactions of the payer's service: cancellations, fee bumps, and the nonces behind them.

use crate::fixtures::{Fixture, HOUR, memory};
use crate::interrupt::interrupted_payer;
use crate::node::{World, coins};
use crate::transactions::{fees, mempool, outbox, resend};
use crate::utc::utc;
use alloy::{network::TransactionResponse, providers::Provider};
use alloy_primitives::{Address, U256};
use cheque::payer::{Completed, DepositStatus, PayerService, Rounds};
use cheque::store::Store;
use cheque::{ChainProfile, PAYER_CUTOFF};
use cheque::{
    payer::{DepositState, Payer},
    tx::{Call, Wallet},
};

/// Seconds after which the fee of a pending transaction is raised.
const BUMP_AFTER: u64 = 24;

/// Seconds after which a pending transaction counts as stuck.
const STUCK_AFTER: u64 = 3 * BUMP_AFTER;

/// Shrinks blocks so that only plain transfers are mined, or restores their size.
async fn shrink_blocks(world: &World, yes: bool) {
    let limit = if yes { "0x7530" } else { "0x1c9c380" };
    world.node.anvil("evm_setBlockGasLimit", [limit]).await;
}

fn service(payer: &Payer, wallet: Wallet, rounds: Option<&Rounds>) -> PayerService {
    PayerService::new(payer.clone().with_wallet(wallet), rounds.cloned())
}

/// The status of the only deposit.
async fn status(service: &PayerService) -> DepositStatus {
    let mut status = service.status().await.unwrap();
    assert_eq!(status.len(), 1, "{status:?}");
    status.remove(0)
}

#[tokio::test]
async fn cancels_useless_opening_and_frees_its_nonce() {
    // An opening is useless from the cutoff of its deposit on.
    let fixture = Fixture::new().await;
    let (world, account) = (&fixture.world, fixture.payer.address);
    let mut of_rounds = fixture.rounds();
    of_rounds.draw_in = 150;
    let payer = fixture.actors().0;
    let service = service(&payer, fixture.payer.wallet.clone(), Some(&of_rounds));
    let wallet = world.coin(account).await;
    world.node.automine(false).await;
    service.step().await.unwrap();
    shrink_blocks(world, true).await;
    let first = status(&service).await;
    let (since, draw) = (first.record.created, first.record.deposit.drawTime);
    let [(0, opening, _)] = mempool(world, account).await[..] else {
        panic!("no pending opening");
    };

    // The opening is useful up to the cutoff, and reported as stuck before.
    let mut now = since;
    while now + PAYER_CUTOFF < draw {
        let (round, health) = (service.round().await.unwrap().unwrap(), service.health());
        let stuck = now >= since + STUCK_AFTER;
        assert_eq!(round.blocked, stuck, "{round:?} at {now}");
        let said = format!("pending since time {since}");
        assert_eq!(health.reason.contains(&said), stuck, "{health:?}");
        let reason = status(&service).await.reason;
        let said = format!("has waited since {}", utc(since));
        assert_eq!(reason.contains(&said), stuck, "{reason}");
        assert!(health.ok, "{health:?}");
        assert_eq!(mempool(world, account).await[0].1, opening);
        world.node.mine(1).await;
        now += 1;
        service.step().await.unwrap();
    }
    let [(0, cancellation, to)] = mempool(world, account).await[..] else {
        panic!("the cancellation does not replace the opening");
    };
    assert_eq!(to, account);
    let cancelling = status(&service).await;
    let said = format!("transaction {cancellation} cancels its pending transaction");
    assert!(cancelling.reason.contains(&said), "{}", cancelling.reason);
    assert_eq!(outbox(&*fixture.store)[0].cancelled_by, [cancellation]);

    world.node.mine(1).await;
    assert_eq!(world.node.transactions(account).await, 1);
    service.step().await.unwrap();
    assert!(outbox(&*fixture.store).is_empty());
    shrink_blocks(world, false).await;
    world.node.automine(true).await;
    // No later block can open it: the next round follows.
    world.mine_at(draw - world.reader.min_lead()).await;
    for _ in 0..5 {
        world.node.mine(1).await;
        service.step().await.unwrap();
    }
    assert!(!service.health().reason.contains("waits"));
    let deposits = service.payer().deposits().await.unwrap();
    let state = |lost| {
        let of = deposits.iter().filter(|(id, _)| (*id == first.id) == lost);
        of.map(|(_, record)| record.state).collect::<Vec<_>>()
    };
    assert_eq!(state(true), [DepositState::NeverOpened]);
    assert_eq!(
        state(false),
        [DepositState::Active],
        "the next round is not active"
    );
    let (fees, count) = fees(world, account).await;
    assert_eq!(count, 2, "not the cancellation and the next opening");
    let left = wallet - fees - coins(600).to_u256();
    assert_eq!(world.coin(account).await, left);
}

#[test]
fn leaves_one_transaction_after_interrupted_cancellation() {
    // The cancelled opening is never sent again.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let (world, account) = (&fixture.world, fixture.payer.address);
    let (url, bank) = (&world.node.url, world.reader.bank().address());
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("payer");
    let step = |steps, with: Option<&Rounds>| {
        let stepped = interrupted_payer(url, bank, &store, steps, async |payer| {
            PayerService::new(payer, with.cloned()).step().await
        });
        stepped.map(|stepped| stepped.unwrap())
    };
    runtime.block_on(world.node.automine(false));
    let mut rounds = fixture.rounds();
    rounds.draw_in = PAYER_CUTOFF + 20;
    step(usize::MAX, Some(&rounds)).unwrap();
    runtime.block_on(shrink_blocks(world, true));
    let [(0, opening, _)] = runtime.block_on(mempool(world, account))[..] else {
        panic!("no pending opening");
    };
    runtime.block_on(world.node.mine(24));
    let (mut kills, mut ended, mut cancelled) = (0, 0, None);
    // Until three steps run to their end.
    while ended < 3 {
        match step(1 + kills, None) {
            Some(_) => ended += 1,
            None => kills += 1,
        }
        let [(0, hash, to)] = runtime.block_on(mempool(world, account))[..] else {
            panic!("no pending transaction");
        };
        match cancelled {
            None if hash == opening => {}
            None => cancelled = Some(hash),
            Some(before) => assert_eq!(hash, before, "after {kills} kills"),
        }
        assert_eq!(to == account, cancelled.is_some());
    }
    assert!(kills > 10 && cancelled.is_some(), "{kills}");
    let wallet = runtime.block_on(async {
        let wallet = world.coin(account).await;
        world.node.mine(1).await;
        wallet
    });
    step(usize::MAX, None).unwrap();
    let sent = outbox(&cheque::store::Redb::open(&store).unwrap());
    assert!(sent.is_empty(), "{sent:?}");
    runtime.block_on(async {
        assert_eq!(world.node.transactions(account).await, 1);
        let (fees, count) = fees(world, account).await;
        assert_eq!((wallet - fees, 1), (world.coin(account).await, count));
        assert_eq!(world.coin(bank).await, U256::ZERO);
    });
}

#[tokio::test]
async fn follows_opening_mined_before_its_cancellation() {
    let mut fixture = Fixture::new().await;
    fixture.world.reader = fixture.world.reader.clone().with_profile(ChainProfile {
        confirm: 3,
        ..*fixture.world.reader.profile()
    });
    let (world, account) = (&fixture.world, fixture.payer.address);
    let service = service(&fixture.actors().0, fixture.payer.wallet.clone(), None);
    let mut request = fixture.request(60);
    request.redeem_window = Some(5);
    let planned = service.payer().prepare_deposit(&request).await.unwrap();
    world.node.automine(false).await;
    service.step().await.unwrap();
    shrink_blocks(world, true).await;
    let raw = outbox(&*fixture.store)[0].raw.clone();
    world.mine_at(planned.deposit.drawTime - PAYER_CUTOFF).await;
    service.step().await.unwrap();
    let [(0, cancellation, to)] = mempool(world, account).await[..] else {
        panic!("no pending cancellation");
    };
    assert_eq!(to, account);
    // Another node still has the opening and mines it.
    shrink_blocks(world, false).await;
    world.node.drop_transaction(cancellation).await;
    resend(world, &raw).await;
    world.node.mine(1).await;
    let mut done = Vec::new();
    world.node.automine(true).await;
    for _ in 0..60 {
        done.extend(service.step().await.unwrap().completed);
        world.node.mine(1).await;
    }
    assert_eq!(
        done,
        [
            Completed::Opened(planned.id),
            Completed::Reclaimed(planned.id)
        ]
    );
    assert_eq!(status(&service).await.record.state, DepositState::Reclaimed);
    assert_eq!(
        fees(world, account).await.1,
        2,
        "not one opening and one reclaim"
    );
    assert!(outbox(&*fixture.store).is_empty());
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(
        held,
        coins(600).to_u256(),
        "the money is not idle in its purse"
    );
}

/// Mines calls of another account before the payer's pending transaction.
async fn mine_before(world: &World, store: &impl Store, calls: &[Call]) {
    let pending = outbox(store).remove(0);
    let hash = pending.hashes[0];
    world.node.drop_transaction(hash).await;
    world.node.automine(true).await;
    let other = world.account(8).await.wallet;
    for call in calls {
        other.send(call).await.unwrap();
    }
    world.node.automine(false).await;
    resend(world, &pending.raw).await;
    shrink_blocks(world, true).await;
}

#[tokio::test]
async fn cancels_reclaim_after_reclaim_by_another_account() {
    let fixture = Fixture::new().await;
    let (world, account) = (&fixture.world, fixture.payer.address);
    let (payer, _) = fixture.actors();
    let service = service(&payer, fixture.payer.wallet.clone(), None);
    let mut request = fixture.request(60);
    request.redeem_window = Some(5);
    let opened = payer.create_deposit(&request).await.unwrap();
    world.node.automine(false).await;
    world.mine_at(opened.deposit.redeemUntil + 1).await;
    service.step().await.unwrap();
    assert_eq!(mempool(world, account).await.len(), 1);
    let reclaim = Call::reclaim(world.reader.bank(), &opened.deposit);
    mine_before(world, &*fixture.store, &[reclaim]).await;

    service.step().await.unwrap();
    let closed = status(&service).await;
    assert_eq!(closed.record.state, DepositState::Reclaimed);
    let reason = closed.reason;
    assert!(
        reason.contains("cancels its pending transaction"),
        "{reason}"
    );
    assert_eq!(world.node.transactions(account).await, 1);
    world.node.mine(1).await;
    service.step().await.unwrap();
    assert_eq!(world.node.transactions(account).await, 2);
    assert!(outbox(&*fixture.store).is_empty());
    assert_eq!(status(&service).await.reason, "its money was reclaimed");
    assert_eq!(
        fees(world, account).await.1,
        2,
        "not one opening and one cancellation"
    );
}

#[tokio::test]
async fn cancels_pending_opening_that_bank_would_refuse() {
    let fixture = Fixture::new().await;
    let (world, account) = (&fixture.world, fixture.payer.address);
    // By another program of the payer, a relayer opens a deposit in the same purse.
    let other = world.payer(&fixture.payer, memory());
    let taken = other
        .prepare_deposit(&fixture.request(2 * HOUR))
        .await
        .unwrap();
    let deadline = U256::MAX;
    let signed = other.sign_opening(taken.id, deadline).await.unwrap();
    let service = service(&fixture.actors().0, fixture.payer.wallet.clone(), None);
    let request = fixture.request(HOUR);
    let planned = service.payer().prepare_deposit(&request).await.unwrap();
    assert_eq!(planned.deposit.lane, taken.deposit.lane);
    world.node.automine(false).await;
    service.step().await.unwrap();
    assert_eq!(mempool(world, account).await.len(), 1);
    let (bank, money) = (world.reader.bank(), coins(600));
    let fund = Call::fund(bank, Address::ZERO, account, money).with_value(money.to_u256());
    let open = Call::open_for(bank, &taken.deposit, deadline, &signed.signature);
    mine_before(world, &*fixture.store, &[fund, open]).await;

    world.node.mine(BUMP_AFTER).await;
    // The simulation needs a block of the usual size.
    shrink_blocks(world, false).await;
    service.step().await.unwrap();
    let [(0, cancellation, to)] = mempool(world, account).await[..] else {
        panic!("no pending cancellation");
    };
    assert_eq!(to, account);
    let reason = status(&service).await.reason;
    let said = format!("{cancellation} cancels");
    assert!(reason.contains(&said), "{reason}");
    for _ in 0..2 {
        world.node.mine(1).await;
        service.step().await.unwrap();
    }
    assert_eq!(world.node.transactions(account).await, 1);
    assert!(outbox(&*fixture.store).is_empty());
    // The retry fails in the simulation and sends nothing.
    let reason = status(&service).await.reason;
    assert!(reason.contains(&taken.id.to_string()), "{reason}");
    assert!(mempool(world, account).await.is_empty());
}

#[tokio::test]
async fn resends_transaction_unchanged_at_fee_limit() {
    let fixture = Fixture::new().await;
    let (world, account) = (&fixture.world, fixture.payer.address);
    let payer = fixture.actors().0;
    let request = fixture.request(HOUR);
    payer.prepare_deposit(&request).await.unwrap();
    world.node.automine(false).await;
    let rich = service(&payer, fixture.payer.wallet.clone(), None);
    rich.step().await.unwrap();
    shrink_blocks(world, true).await;
    let before = mempool(world, account).await;
    assert_eq!(before.len(), 1);
    world.node.mine(BUMP_AFTER).await;
    shrink_blocks(world, false).await;
    let hash = before[0].1;
    world.node.drop_transaction(hash).await;
    assert!(mempool(world, account).await.is_empty());
    // A restarted service, with a fee limit below the market.
    let limited = fixture.payer.wallet.clone().with_max_fee(1_000);
    let frugal = service(&payer, limited, None);
    frugal.step().await.unwrap();
    let reason = status(&frugal).await.reason;
    assert!(reason.contains("the limit is 1000;"), "{reason}");
    assert_eq!(mempool(world, account).await, before);
}

#[tokio::test]
async fn sends_no_second_opening_after_reorg() {
    let mut fixture = Fixture::new().await;
    fixture.world.reader = fixture.world.reader.clone().with_profile(ChainProfile {
        confirm: 3,
        ..*fixture.world.reader.profile()
    });
    let (world, account) = (&fixture.world, fixture.payer.address);
    let service = service(&fixture.actors().0, fixture.payer.wallet.clone(), None);
    let planned = service
        .payer()
        .prepare_deposit(&fixture.request(HOUR))
        .await
        .unwrap();
    let snapshot = world.node.snapshot().await;
    let mut done = service.step().await.unwrap().completed;
    world.node.mine(1).await;
    done.extend(service.step().await.unwrap().completed);
    assert_eq!(done, [Completed::Opened(planned.id)], "not reported once");
    let raw = outbox(&*fixture.store)[0].raw.clone();

    world.node.revert(snapshot).await;
    world.node.advance(7).await;
    world.node.mine(1).await;
    world.node.automine(false).await;
    // The transaction of the dropped block is pending again.
    resend(world, &raw).await;
    let before = mempool(world, account).await;
    service.step().await.unwrap();
    assert_eq!(
        mempool(world, account).await,
        before,
        "another transaction was sent"
    );
    world.node.automine(true).await;
    world.node.mine(5).await;
    service.step().await.unwrap();
    assert_eq!(status(&service).await.record.state, DepositState::Active);
    assert!(outbox(&*fixture.store).is_empty());
    assert_eq!(fees(world, account).await.1, 1, "not one transaction");
    let found = world.node.provider.get_transaction_by_hash(before[0].1);
    assert_eq!(found.await.unwrap().unwrap().from(), account);
}
