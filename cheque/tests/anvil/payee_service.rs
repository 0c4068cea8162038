//! The payee's service: it wins, decides when to redeem, and does so by itself.

use crate::cast::{Cast, memory, opened, pay, request};
use crate::node::{Party, World, coins};
use alloy::providers::Provider;
use alloy_primitives::{Address, TxHash};
use cheque::payee::{
    HoldingState, HoldingStatus, MissReason, PayeeService, PayeeSettings, WaitReason, Waiting,
};
use cheque::store::Store;
use cheque::{Amount, DepositId, HISTORY_WINDOW};
use cheque::{
    payee::Purpose,
    payer::{Draw, Opened, Payer},
};
use std::sync::Arc;
use std::time::Duration;

/// A service with the usual settings, as a process that has just been started sees it.
pub(crate) fn service(world: &World, party: &Party, store: Arc<dyn Store>) -> PayeeService {
    with_settings(world, party, store, |_| {})
}

pub(crate) fn with_settings(
    world: &World,
    party: &Party,
    store: Arc<dyn Store>,
    change: impl FnOnce(&mut PayeeSettings),
) -> PayeeService {
    let payee = world.payee(party, store);
    let mut settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
    change(&mut settings);
    PayeeService::new(payee, settings)
}

/// One step that fails nowhere; the state of a deposit after it.
pub(crate) async fn step(service: &PayeeService, id: DepositId) -> HoldingState {
    let stepped = service.step().await.unwrap();
    assert!(stepped.failed.is_empty(), "{:?}", status(service, id).await);
    status(service, id).await.state
}

pub(crate) async fn status(service: &PayeeService, id: DepositId) -> HoldingStatus {
    let all = service.status().await.unwrap();
    let found = all
        .into_iter()
        .find(|status| status.position.deposit_id() == id);
    found.expect("it is in the ledger")
}

/// Deposits for one payee alone, who is paid everything: it wins each of them, 100 coins in a thousand.
pub(crate) async fn wins(
    cast: &Cast,
    service: &PayeeService,
    draws: &[u64],
    window: u64,
) -> Vec<Opened> {
    let (payer, _) = cast.players();
    let mut all = Vec::new();
    for draw in draws {
        let mut request = request(&[&cast.payees[0]], &cast.payer, 0);
        request.draw = Draw::At(*draw);
        request.redeem_window = Some(window);
        let opened = opened(&cast.world, &payer, &request).await;
        // As deep as the most careful of them wants it.
        cast.world.node.mine(2).await;
        service.payee().poll().await.unwrap();
        pay(&payer, service.payee(), opened.id, coins(100)).await;
        all.push(opened);
    }
    all
}

/// The price of gas in the next blocks, while they are empty, in gwei.
pub(crate) async fn set_gas_price(world: &World, gwei: u64) {
    let fee = format!("{:#x}", gwei * 1_000_000_000);
    world
        .node
        .anvil("anvil_setNextBlockBaseFeePerGas", [fee])
        .await;
    world.node.mine(1).await;
}

/// A price at which redeeming costs more than a tenth of 0.1 coins, and recording a seed less.
pub(crate) const DEAR: u64 = 140;

pub(crate) async fn sent_by(world: &World, account: Address) -> u64 {
    let count = world.node.provider.get_transaction_count(account);
    count.await.unwrap()
}

pub(crate) async fn waits(service: &PayeeService, id: DepositId) -> Waiting {
    match step(service, id).await {
        HoldingState::Won(wait) => wait,
        other => panic!("it does not wait: {other:?}"),
    }
}

/// The transaction that a step has sent.
pub(crate) async fn sends(service: &PayeeService, id: DepositId) -> TxHash {
    match step(service, id).await {
        HoldingState::Redeeming { hash } => hash,
        other => panic!("it does not redeem: {other:?}"),
    }
}

/// What a redemption that was sent has paid, and in which block. The node answers before it has mined.
pub(crate) async fn redeemed(service: &PayeeService, id: DepositId) -> (Amount, u64) {
    for _ in 0..200 {
        match step(service, id).await {
            HoldingState::Redeemed { payout, block } => return (payout, block),
            HoldingState::Redeeming { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            other => panic!("it is not redeemed: {other:?}"),
        }
    }
    panic!("the transaction is not mined");
}

async fn everybody_is_paid(world: &World, payer: &Payer, services: &[PayeeService], id: DepositId) {
    for service in services {
        let left = payer.allowances_left(id).await.unwrap();
        let party = service.payee().policy().payee;
        pay(payer, service.payee(), id, left[&party]).await;
        let state = step(service, id).await;
        assert!(matches!(state, HoldingState::Receiving { .. }), "{state:?}");
    }
    world.node.mine(1).await;
}

#[tokio::test]
async fn of_three_services_one_wins_and_redeems_with_the_header_in_the_call() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let services: Vec<_> = cast
        .payees
        .iter()
        .map(|party| service(world, party, memory()))
        .collect();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let (id, draw) = (opened.id, opened.deposit.drawBlock);
    everybody_is_paid(world, &payer, &services, id).await;

    world.node.mine_to(draw - 8).await;
    let state = step(&services[0], id).await;
    assert_eq!(state, HoldingState::PastCutoff { draw_block: draw });
    world.node.mine_to(draw).await;
    let deep_at = draw + 1;
    assert_eq!(
        step(&services[0], id).await,
        HoldingState::Drawn { deep_at }
    );
    world.node.mine(1).await;
    let mut winners = Vec::new();
    for service in &services {
        match step(service, id).await {
            HoldingState::NotDrawn => {}
            HoldingState::Redeeming { .. } => winners.push(service),
            other => panic!("drawn and deep: {other:?}"),
        }
    }
    let [winner] = winners[..] else {
        panic!("{} have won", winners.len());
    };
    let (payout, _) = redeemed(winner, id).await;
    assert_eq!(payout.get(), opened.deposit.amount);
    let account = winner.payee().policy().payee;
    assert_eq!(world.balance(account).await, payout.to_u256());
    assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);

    // Nothing is left to do, and nothing is done.
    assert!(winner.payee().pending_txs().await.unwrap().is_empty());
    let sent = sent_by(world, account).await;
    let again = winner.step().await.unwrap();
    assert!(again.changes.is_empty(), "{again:?}");
    assert_eq!(sent_by(world, account).await, sent);
    assert_eq!(sent, 1, "one transaction in all");
}

#[tokio::test]
async fn a_win_waits_for_a_better_price_with_its_seed_recorded_and_is_redeemed_when_it_comes() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 60;
    // Longer than the chain remembers.
    let opened = wins(&cast, &service, &[draw], HISTORY_WINDOW + 2_000).await;
    let id = opened[0].id;
    world.node.mine_to(draw).await;
    set_gas_price(world, DEAR).await;

    let wait = waits(&service, id).await;
    let WaitReason::GasPrice { cost, bearable } = wait.because else {
        panic!("{wait:?}");
    };
    assert_eq!(bearable, coins(10));
    assert!(cost > bearable && cost < coins(100), "{cost}");
    let reason = status(&service, id).await.reason();
    assert!(reason.contains("the gas price is too high"), "{reason}");
    // Recorded at once, and once. The node answers before it has mined.
    while world.reader.recorded_seed(draw).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set_gas_price(world, DEAR).await;
    let later = waits(&service, id).await;
    assert!(later.until > wait.until, "the seed keeps for ever");
    assert_eq!(sent_by(world, party.address).await, 1);

    set_gas_price(world, 1).await;
    sends(&service, id).await;
    assert_eq!(redeemed(&service, id).await.0, coins(100));
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
}

#[tokio::test]
async fn wins_of_one_draw_are_redeemed_in_one_transaction() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 3], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    let hash = sends(&service, all[0].id).await;
    for opened in &all {
        let state = status(&service, opened.id).await.state;
        assert_eq!(state, HoldingState::Redeeming { hash });
    }
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    assert_eq!(sent_by(world, party.address).await, 1);
    assert_eq!(world.balance(party.address).await, coins(300).to_u256());
}

#[tokio::test]
async fn the_seed_that_five_wins_share_is_recorded_before_they_are_redeemed() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 5], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let waiting = waits(&service, all[4].id).await;
    assert_eq!(waiting.because, WaitReason::Seed { block: draw });
    let pending_txs = service.payee().pending_txs().await.unwrap();
    assert_eq!(pending_txs.len(), 1);
    assert_eq!(pending_txs[0].purpose, Purpose::RecordSeed(draw));
    // While it waits, no second one is sent.
    assert_eq!(waits(&service, all[4].id).await.because, waiting.because);
    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [true]).await;

    sends(&service, all[4].id).await;
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    assert_eq!(sent_by(world, party.address).await, 2);
}

#[tokio::test]
async fn a_seed_that_waits_for_long_is_sent_again_for_more_while_its_wins_are_worth_it() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 5], HISTORY_WINDOW).await;
    let id = all[0].id;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let sent = || async {
        let wait = waits(&service, id).await;
        let pending_txs = service.payee().pending_txs().await.unwrap();
        let [one] = &pending_txs[..] else {
            panic!("one transaction: {pending_txs:?}");
        };
        (wait.because, one.hash)
    };
    let (because, first) = sent().await;
    assert_eq!(because, WaitReason::Seed { block: draw });

    // After ten blocks, but not while the wins are too dear.
    set_gas_price(world, 10 * DEAR).await;
    world.node.mine(10).await;
    set_gas_price(world, 2 * DEAR).await;
    let (because, same) = sent().await;
    assert!(
        matches!(because, WaitReason::GasPrice { .. }),
        "{because:?}"
    );
    assert_eq!(same, first);
    set_gas_price(world, 20).await;
    let (because, dearer) = sent().await;
    assert_eq!(because, WaitReason::Seed { block: draw });
    assert_ne!(dearer, first);
    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [true]).await;

    sends(&service, id).await;
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    assert_eq!(sent_by(world, party.address).await, 2);
}

#[tokio::test]
async fn a_win_waits_for_the_next_draw_and_shares_its_transaction() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let company = |settings: &mut PayeeSettings| settings.company = 50;
    let service = with_settings(world, party, memory(), company);
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw, draw + 20], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    let coming = draw + 21;
    let wait = waits(&service, all[0].id).await;
    assert_eq!(wait.because, WaitReason::Company { coming });
    world.node.mine_to(coming).await;
    let hash = sends(&service, all[0].id).await;
    let other = status(&service, all[1].id).await.state;
    assert_eq!(other, HoldingState::Redeeming { hash });
    assert_eq!(redeemed(&service, all[1].id).await.0, coins(100));
    assert_eq!(sent_by(world, party.address).await, 1);
}

#[tokio::test]
async fn before_its_window_closes_a_win_is_warned_about_and_redeemed_at_any_price_below_it() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let margin = |settings: &mut PayeeSettings| settings.margin = 20;
    let service = with_settings(world, &cast.payees[0], memory(), margin);
    let draw = world.head().await + 60;
    let id = wins(&cast, &service, &[draw], 100).await[0].id;
    let last = draw + 100;
    world.node.mine_to(last - 22).await;
    set_gas_price(world, DEAR).await;
    let stepped = service.step().await.unwrap();
    assert!(stepped.closing.is_empty());
    assert_eq!(waits(&service, id).await.until, last - 20);

    set_gas_price(world, DEAR).await;
    let stepped = service.step().await.unwrap();
    assert_eq!(stepped.closing, [id]);
    let status = status(&service, id).await;
    assert_eq!(status.closing, Some(last));
    let warning = format!("its window closes at block {last}");
    assert!(status.reason().contains(&warning), "{}", status.reason());
    assert!(matches!(status.state, HoldingState::Redeeming { .. }));
    assert_eq!(redeemed(&service, id).await.0, coins(100));
    assert!(service.step().await.unwrap().closing.is_empty());
}

#[tokio::test]
async fn a_win_that_costs_more_than_it_pays_is_not_redeemed_and_said_to_be_missed() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let margin = |settings: &mut PayeeSettings| settings.margin = 20;
    let service = with_settings(world, party, memory(), margin);
    let draw = world.head().await + 60;
    let opened = wins(&cast, &service, &[draw], 100).await.remove(0);
    let (id, last) = (opened.id, draw + 100);
    world.node.mine_to(last - 10).await;
    set_gas_price(world, 10 * DEAR).await;
    let WaitReason::Worthless { cost, payout } = waits(&service, id).await.because else {
        panic!("redeeming costs more than it pays");
    };
    assert!(cost > payout && payout == coins(100));
    world.node.mine_to(last).await;
    let missed = HoldingState::Missed(MissReason::Window { last_block: last });
    assert_eq!(step(&service, id).await, missed);
    assert_eq!(sent_by(world, party.address).await, 0);

    let (payer, _) = cast.players();
    world.node.mine(1).await;
    set_gas_price(world, 1).await;
    let block = payer.reclaim(id).await.unwrap().block;
    let missed = HoldingState::Missed(MissReason::Reclaimed { block });
    assert_eq!(step(&service, id).await, missed);
}
