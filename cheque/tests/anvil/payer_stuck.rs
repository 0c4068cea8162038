//! Transactions of the payer's service that wait for their fee, and the nonces behind them.

use crate::cast::{Cast, memory};
use crate::node::{World, coins};
use crate::payer_kills::process;
use crate::payer_service::{fees, rounds};
use alloy::{network::TransactionResponse, providers::Provider};
use alloy_primitives::{Address, TxHash, U256};
use cheque::ChainProfile;
use cheque::payer::{Completed, DepositStatus, PayerService, Rounds};
use cheque::{
    payer::{DepositState, Payer},
    tx::{Call, Wallet},
};
use cheque::{
    store::{Store, Table},
    tx::TxRecord,
};
use std::ops::ControlFlow;

/// From this head on no cheque is written from a deposit that is drawn then.
const CUTOFF: u64 = 16;

pub(crate) async fn automine(world: &World, on: bool) {
    world.node.anvil("evm_setAutomine", [on]).await;
}

/// Makes blocks so small that nothing is mined but transfers; or as large as ever again.
async fn crowded(world: &World, yes: bool) {
    let limit = if yes { "0x7530" } else { "0x1c9c380" };
    world.node.anvil("evm_setBlockGasLimit", [limit]).await;
}

/// Nonce, hash and receiver of what an account has waiting at the node.
pub(crate) async fn waiting(world: &World, account: Address) -> Vec<(u64, TxHash, Address)> {
    let content = world
        .node
        .provider
        .raw_request::<_, serde_json::Value>("txpool_content".into(), ());
    let content = content.await.unwrap();
    let mut found = Vec::new();
    for part in ["pending", "queued"] {
        for (from, by_nonce) in content[part].as_object().unwrap() {
            if from.parse::<Address>().unwrap() != account {
                continue;
            }
            for transaction in by_nonce.as_object().unwrap().values() {
                let nonce = transaction["nonce"].as_str().unwrap();
                found.push((
                    u64::from_str_radix(nonce.trim_start_matches("0x"), 16).unwrap(),
                    transaction["hash"].as_str().unwrap().parse().unwrap(),
                    transaction["to"].as_str().unwrap().parse().unwrap(),
                ));
            }
        }
    }
    found.sort();
    found
}

/// The nonces that are used.
async fn used(world: &World, account: Address) -> u64 {
    let count = world.node.provider.get_transaction_count(account);
    count.await.unwrap()
}

/// What the store knows as sent.
pub(crate) fn outbox(store: &impl Store) -> Vec<TxRecord> {
    let mut sent = Vec::new();
    let each = &mut |_: &[u8], value: &[u8]| {
        sent.push(TxRecord::from_bytes(value).unwrap());
        ControlFlow::Continue(())
    };
    store.scan(Table::Outbox, b"", each).unwrap();
    sent
}

fn service(payer: &Payer, wallet: Wallet, rounds: Option<&Rounds>) -> PayerService {
    PayerService::new(payer.clone().with_wallet(wallet), rounds.cloned())
}

/// The only deposit, or the one in this state.
async fn status(service: &PayerService) -> DepositStatus {
    let mut status = service.status().await.unwrap();
    assert_eq!(status.len(), 1, "{status:?}");
    status.remove(0)
}

#[tokio::test]
async fn an_opening_that_waits_until_it_is_of_no_use_is_cancelled_and_holds_up_nothing_any_more() {
    let cast = Cast::new().await;
    let (world, account) = (&cast.world, cast.payer.address);
    let mut of_rounds = rounds(&cast);
    of_rounds.draw_in = 80;
    let payer = cast.players().0;
    let service = service(&payer, cast.payer.wallet.clone(), Some(&of_rounds));
    let wallet = world.coin(account).await;
    automine(world, false).await;
    service.step().await.unwrap();
    crowded(world, true).await;
    let first = status(&service).await;
    let (since, draw) = (first.record.since, first.record.deposit.drawBlock);
    let [(0, opening, _)] = waiting(world, account).await[..] else {
        panic!("it waits");
    };

    // For so long, it is of use; for 30 blocks nothing seems to be wrong.
    let mut head = since;
    while head + CUTOFF < draw {
        let (round, health) = (service.round().await.unwrap().unwrap(), service.health());
        let stuck = head >= since + 30;
        assert_eq!(round.blocked, stuck, "{round:?} at {head}");
        let said = format!("waits since block {since}");
        assert_eq!(health.reason.contains(&said), stuck, "{health:?}");
        let reason = status(&service).await.reason;
        let said = format!("has waited since block {since}");
        assert_eq!(reason.contains(&said), stuck, "{reason}");
        assert!(health.ok, "{health:?}");
        assert_eq!(waiting(world, account).await[0].1, opening);
        world.node.mine(1).await;
        head += 1;
        service.step().await.unwrap();
    }
    let [(0, cancellation, to)] = waiting(world, account).await[..] else {
        panic!("one has taken the place of the other");
    };
    assert_eq!(to, account);
    let cancelling = status(&service).await;
    let said = format!("transaction {cancellation} cancels what was sent for it");
    assert!(cancelling.reason.contains(&said), "{}", cancelling.reason);
    assert_eq!(outbox(&*cast.store)[0].cancelled_by, [cancellation]);

    world.node.mine(1).await;
    assert_eq!(used(world, account).await, 1);
    service.step().await.unwrap();
    assert!(outbox(&*cast.store).is_empty());
    crowded(world, false).await;
    automine(world, true).await;
    for _ in 0..20 {
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
    assert_eq!(state(false), [DepositState::Active], "the next round");
    let (fees, count) = fees(world, account).await;
    assert_eq!(count, 2, "the cancellation and the next opening");
    let left = wallet - fees - coins(600).to_u256();
    assert_eq!(world.coin(account).await, left);
}

#[test]
fn a_service_that_is_killed_while_it_cancels_leaves_one_transaction_and_never_sends_what_it_cancelled()
 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cast = runtime.block_on(Cast::new());
    let (world, account) = (&cast.world, cast.payer.address);
    let (url, bank) = (&world.node.url, world.reader.bank().address());
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("payer");
    let step = |steps, with: Option<&Rounds>| {
        let stepped = process(url, bank, &store, steps, async |payer| {
            PayerService::new(payer, with.cloned()).step().await
        });
        stepped.map(|stepped| stepped.unwrap())
    };
    runtime.block_on(automine(world, false));
    step(usize::MAX, Some(&rounds(&cast))).unwrap();
    runtime.block_on(crowded(world, true));
    let [(0, opening, _)] = runtime.block_on(waiting(world, account))[..] else {
        panic!("it waits");
    };
    runtime.block_on(world.node.mine(24));
    let (mut kills, mut ended, mut cancelled) = (0, 0, None);
    // Until a step is not killed any more, three times.
    while ended < 3 {
        match step(1 + kills, None) {
            Some(_) => ended += 1,
            None => kills += 1,
        }
        let [(0, hash, to)] = runtime.block_on(waiting(world, account))[..] else {
            panic!("there is always one");
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
        assert_eq!(used(world, account).await, 1);
        let (fees, count) = fees(world, account).await;
        assert_eq!((wallet - fees, 1), (world.coin(account).await, count));
        assert_eq!(world.coin(bank).await, U256::ZERO);
    });
}

#[tokio::test]
async fn an_opening_that_is_mined_before_its_cancellation_is_followed_and_taken_back() {
    let mut cast = Cast::new().await;
    cast.world.reader = cast.world.reader.clone().with_profile(ChainProfile {
        confirmations: 3,
        ..*cast.world.reader.profile()
    });
    let (world, account) = (&cast.world, cast.payer.address);
    let service = service(&cast.players().0, cast.payer.wallet.clone(), None);
    let mut request = cast.request(50);
    request.redeem_window = Some(5);
    let planned = service.payer().prepare_deposit(&request).await.unwrap();
    automine(world, false).await;
    service.step().await.unwrap();
    crowded(world, true).await;
    let raw = outbox(&*cast.store)[0].raw.clone();
    world.node.mine_to(planned.deposit.drawBlock - CUTOFF).await;
    service.step().await.unwrap();
    let [(0, cancellation, to)] = waiting(world, account).await[..] else {
        panic!("it is cancelled");
    };
    assert_eq!(to, account);
    // Another node had the opening still, and mines it.
    crowded(world, false).await;
    world
        .node
        .anvil("anvil_dropTransaction", [cancellation])
        .await;
    resend(world, &raw).await;
    world.node.mine(1).await;
    let mut done = Vec::new();
    automine(world, true).await;
    for _ in 0..40 {
        done.extend(service.step().await.unwrap().done);
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
    assert_eq!(fees(world, account).await.1, 2, "opened and taken back");
    assert!(outbox(&*cast.store).is_empty());
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "idle in its purse");
}

/// Hands a transaction to the node that it does not have any more.
pub(crate) async fn resend(world: &World, raw: &[u8]) {
    let resent = world.node.provider.send_raw_transaction(raw);
    let _pending = resent.await.unwrap();
}

/// Has calls of somebody mined before what the payer has waiting.
async fn be_faster(world: &World, store: &impl Store, calls: &[Call]) {
    let waits = outbox(store).remove(0);
    let hash = waits.hashes[0];
    world.node.anvil("anvil_dropTransaction", [hash]).await;
    automine(world, true).await;
    let somebody = world.party(8).await.wallet;
    for call in calls {
        somebody.send(call).await.unwrap();
    }
    automine(world, false).await;
    resend(world, &waits.raw).await;
    crowded(world, true).await;
}

#[tokio::test]
async fn what_was_to_take_back_a_deposit_that_somebody_else_takes_back_is_cancelled() {
    let cast = Cast::new().await;
    let (world, account) = (&cast.world, cast.payer.address);
    let (payer, _) = cast.players();
    let service = service(&payer, cast.payer.wallet.clone(), None);
    let mut request = cast.request(30);
    request.redeem_window = Some(5);
    let opened = payer.create_deposit(&request).await.unwrap();
    automine(world, false).await;
    world.node.mine_to(opened.deposit.lastRedeemBlock).await;
    service.step().await.unwrap();
    assert_eq!(waiting(world, account).await.len(), 1);
    let reclaim = Call::reclaim(world.reader.bank(), &opened.deposit);
    be_faster(world, &*cast.store, &[reclaim]).await;

    service.step().await.unwrap();
    let closed = status(&service).await;
    assert_eq!(closed.record.state, DepositState::Reclaimed);
    let reason = closed.reason;
    assert!(reason.contains("cancels what was sent"), "{reason}");
    assert_eq!(used(world, account).await, 1);
    world.node.mine(1).await;
    service.step().await.unwrap();
    assert_eq!(used(world, account).await, 2);
    assert!(outbox(&*cast.store).is_empty());
    assert_eq!(status(&service).await.reason, "its money was taken back");
    assert_eq!(fees(world, account).await.1, 2, "opened and cancelled");
}

#[tokio::test]
async fn an_opening_that_the_bank_would_refuse_is_cancelled_while_it_waits() {
    let cast = Cast::new().await;
    let (world, account) = (&cast.world, cast.payer.address);
    // Another program of the payer has a relayer open a deposit in the same purse.
    let other = world.payer(&cast.payer, memory());
    let taken = other.prepare_deposit(&cast.request(200)).await.unwrap();
    let deadline = U256::MAX;
    let signed = other.sign_opening(taken.id, deadline).await.unwrap();
    let service = service(&cast.players().0, cast.payer.wallet.clone(), None);
    let request = cast.request(100);
    let planned = service.payer().prepare_deposit(&request).await.unwrap();
    assert_eq!(planned.deposit.lane, taken.deposit.lane);
    automine(world, false).await;
    service.step().await.unwrap();
    assert_eq!(waiting(world, account).await.len(), 1);
    let (bank, money) = (world.reader.bank(), coins(600));
    let fund = Call::fund(bank, Address::ZERO, account, money).with_value(money.to_u256());
    let open = Call::open_for(bank, &taken.deposit, deadline, &signed.signature);
    be_faster(world, &*cast.store, &[fund, open]).await;

    world.node.mine(10).await;
    // What the bank says is asked for in blocks of the usual size.
    crowded(world, false).await;
    service.step().await.unwrap();
    let [(0, cancellation, to)] = waiting(world, account).await[..] else {
        panic!("it is cancelled");
    };
    assert_eq!(to, account);
    let reason = status(&service).await.reason;
    let said = format!("{cancellation} cancels");
    assert!(reason.contains(&said), "{reason}");
    for _ in 0..2 {
        world.node.mine(1).await;
        service.step().await.unwrap();
    }
    assert_eq!(used(world, account).await, 1);
    assert!(outbox(&*cast.store).is_empty());
    // It is tried anew, and not sent.
    let reason = status(&service).await.reason;
    assert!(reason.contains(&taken.id.to_string()), "{reason}");
    assert!(waiting(world, account).await.is_empty());
}

#[tokio::test]
async fn what_can_not_be_sent_for_more_is_handed_to_the_node_again_as_it_is() {
    let cast = Cast::new().await;
    let (world, account) = (&cast.world, cast.payer.address);
    let payer = cast.players().0;
    let request = cast.request(90);
    payer.prepare_deposit(&request).await.unwrap();
    automine(world, false).await;
    let rich = service(&payer, cast.payer.wallet.clone(), None);
    rich.step().await.unwrap();
    crowded(world, true).await;
    let before = waiting(world, account).await;
    assert_eq!(before.len(), 1);
    world.node.mine(10).await;
    crowded(world, false).await;
    let hash = before[0].1;
    world.node.anvil("anvil_dropTransaction", [hash]).await;
    assert!(waiting(world, account).await.is_empty());
    // Started again, with a limit below what the market asks.
    let limited = cast.payer.wallet.clone().with_max_fee(1_000);
    let frugal = service(&payer, limited, None);
    frugal.step().await.unwrap();
    let reason = status(&frugal).await.reason;
    assert!(reason.contains("the limit is 1000"), "{reason}");
    assert_eq!(waiting(world, account).await, before);
}

#[tokio::test]
async fn an_opening_that_a_reorganisation_drops_is_the_only_one_that_is_ever_sent() {
    let mut cast = Cast::new().await;
    cast.world.reader = cast.world.reader.clone().with_profile(ChainProfile {
        confirmations: 3,
        ..*cast.world.reader.profile()
    });
    let (world, account) = (&cast.world, cast.payer.address);
    let service = service(&cast.players().0, cast.payer.wallet.clone(), None);
    let planned = service
        .payer()
        .prepare_deposit(&cast.request(90))
        .await
        .unwrap();
    let snapshot = world.node.anvil("evm_snapshot", ()).await;
    let mut done = service.step().await.unwrap().done;
    world.node.mine(1).await;
    done.extend(service.step().await.unwrap().done);
    assert_eq!(done, [Completed::Opened(planned.id)], "told once");
    let raw = outbox(&*cast.store)[0].raw.clone();

    world.node.anvil("evm_revert", [snapshot]).await;
    world.node.anvil("evm_increaseTime", [7]).await;
    world.node.mine(2).await;
    automine(world, false).await;
    // What was in the block that is gone waits again.
    resend(world, &raw).await;
    let before = waiting(world, account).await;
    service.step().await.unwrap();
    assert_eq!(waiting(world, account).await, before, "and nothing else");
    automine(world, true).await;
    world.node.mine(3).await;
    service.step().await.unwrap();
    assert_eq!(status(&service).await.record.state, DepositState::Active);
    assert!(outbox(&*cast.store).is_empty());
    assert_eq!(fees(world, account).await.1, 1, "one transaction");
    let found = world
        .node
        .provider
        .get_transaction_by_hash(before[0].1)
        .await
        .unwrap();
    assert_eq!(found.unwrap().from(), account);
}
