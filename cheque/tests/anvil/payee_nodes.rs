//! The payee's service over nodes that fail, lag or omit events. No single answer makes the payee lose money.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay_and_draw};
use crate::node::{Account, coins};
use crate::over;
use crate::payee_steps::{redeemed, sends, status, step, wins};
use crate::proxy::{Fault, Proxy};
use alloy_primitives::{B256, TxHash};
use alloy_sol_types::SolCall;
use cheque::payee::{HoldingState, PayeeService, PayeeSettings};
use cheque::store::Memory;
use cheque::{Amount, DepositId, Seed, roll};
use cheque::{bank::Reader, node::connect_within};
use cheque_bindings::IChequeBank::purseCall;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Actors for whom a block is final after 64 seconds.
async fn final_after_64_seconds() -> Fixture {
    let mut fixture = Fixture::new().await;
    fixture.world.reader = over::final_after_64_seconds(&fixture.world);
    fixture
}

/// The first payee's service. Reads go through the proxies, transactions directly to the node.
async fn through(fixture: &Fixture, proxies: &[&Proxy]) -> PayeeService {
    let account = &fixture.payees[0];
    started(fixture, account, proxies, memory()).await
}

/// The same service of a payee over its store.
async fn started(
    fixture: &Fixture,
    account: &Account,
    proxies: &[&Proxy],
    store: Arc<Memory>,
) -> PayeeService {
    let urls: Vec<_> = proxies.iter().map(|proxy| &proxy.url).collect();
    let provider = connect_within(&urls, Duration::from_millis(300)).await;
    let reader = Reader::open(provider.unwrap(), fixture.world.reader.bank().address());
    let profile = *fixture.world.reader.profile();
    let reader = reader.await.unwrap().with_profile(profile);
    let mut policy = fixture.world.policy(account);
    policy.max_unsettled_costs = u32::MAX;
    let settings = PayeeSettings::new(&policy, &profile);
    let payee = over::with_policy(&fixture.world, &reader, policy, store);
    PayeeService::new(payee.with_wallet(account.wallet.clone()), settings)
}

/// A win with a pending redemption, at the first head that allows sending.
async fn pending_redemption(fixture: &Fixture, service: &PayeeService) -> (DepositId, TxHash) {
    let world = &fixture.world;
    let draw = world.now().await + HOUR;
    let id = wins(fixture, service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let hash = sends(service, id).await;
    assert_eq!(
        world.node.all_transactions(fixture.payees[0].address).await,
        1
    );
    (id, hash)
}

/// Mines the redemption, and checks that only one was sent and has paid.
async fn assert_paid_once(fixture: &Fixture, service: &PayeeService, id: DepositId) {
    let (node, payee) = (&fixture.world.node, fixture.payees[0].address);
    assert_eq!(node.all_transactions(payee).await, 1);
    node.automine(true).await;
    node.mine(1).await;
    assert_eq!(redeemed(service, id).await.0, coins(100));
    assert_eq!(node.transactions(payee).await, 1);
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
}

#[tokio::test]
async fn keeps_pending_redemption_when_bank_is_unreadable() {
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let (id, hash) = pending_redemption(&fixture, &service).await;

    proxy.fail("eth_call", Fault::Refusal(-32_000, "try again"));
    let failed = service.step().await.unwrap_err().to_string();
    assert!(failed.contains("try again"), "{failed}");
    let kept = service.payee().pending_txs().await.unwrap();
    assert_eq!(kept.len(), 1);
    proxy.heal();
    assert_eq!(sends(&service, id).await, hash);
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn keeps_redemption_when_events_are_unreadable() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let (id, _) = pending_redemption(&fixture, &service).await;
    world.node.mine(1).await;

    proxy.fail("eth_getLogs", Fault::Status(500));
    assert_eq!(service.step().await.unwrap().failed, [id]);
    assert_eq!(service.payee().pending_txs().await.unwrap().len(), 1);
    let health = service.health();
    assert!(health.last_error.unwrap().contains("HTTP status 500"));
    proxy.heal();
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn finds_the_end_of_a_win_at_the_next_node() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let node = &world.node.provider;
    let (first, second) = (Proxy::start(node).await, Proxy::start(node).await);
    let service = through(&fixture, &[&first, &second]).await;
    let (id, _) = pending_redemption(&fixture, &service).await;
    world.node.mine(1).await;
    first.fail("eth_getLogs", Fault::Refusal(-32_604, "no logs here"));
    assert_eq!(service.step().await.unwrap().failed, [id]);
    assert_paid_once(&fixture, &service, id).await;
    assert!(second.asked("eth_getLogs") > 0);
}

#[tokio::test]
async fn shows_in_health_that_a_draw_has_no_round() {
    // Relays that know no newer round are no failure, and the win waits for ever.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw - 1).await;
    world.beacon.stop();
    world.node.mine_at(draw + 59).await;
    let told = || service.health().last_error.unwrap_or_default();
    service.step().await.unwrap();
    assert!(!told().contains("no relay"), "{}", told());
    world.node.advance(20).await;
    service.step().await.unwrap();
    let wanted = format!("no relay has given the round of draw time {draw}");
    assert!(told().contains(&wanted), "{}", told());
    world.beacon.resume();
    world.advance(1).await;
    sends(&service, id).await;
}

#[tokio::test]
async fn keeps_pending_redemption_when_head_goes_back() {
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let (id, hash) = pending_redemption(&fixture, &service).await;

    // Back to the blocks before the draw, where the bank pays nothing. The draw itself is public for ever.
    for blocks in [1, 2, 2] {
        proxy.fail("eth_getBlockByNumber", Fault::Behind(blocks));
        assert_eq!(step(&service, id).await, HoldingState::Redeeming { hash });
        let kept = service.payee().pending_txs().await.unwrap();
        assert_eq!(kept.len(), 1, "forgotten at a head {blocks} lower");
        proxy.heal();
    }
    assert_eq!(sends(&service, id).await, hash);
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn keeps_pending_redemption_when_node_lags() {
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let (id, hash) = pending_redemption(&fixture, &service).await;

    // At a block before the draw, the bank refuses the redemption.
    proxy.fail("eth_call", Fault::Behind(5));
    assert_eq!(sends(&service, id).await, hash);
    assert_eq!(service.payee().pending_txs().await.unwrap().len(), 1);
    proxy.heal();
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn keeps_deposit_when_node_has_no_bank() {
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let (id, hash) = pending_redemption(&fixture, &service).await;

    proxy.fail("eth_call", Fault::NoContract(purseCall::SELECTOR));
    let failed = service.step().await.unwrap_err().to_string();
    assert!(failed.contains("there is no bank"), "{failed}");
    assert_eq!(service.health().last_error, Some(failed));
    let state = status(&service, id).await.state;
    assert_eq!(state, HoldingState::Redeeming { hash });
    proxy.heal();
    assert_eq!(sends(&service, id).await, hash);
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn rechecks_missing_deposit_until_final() {
    let fixture = final_after_64_seconds().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let (id, _) = pending_redemption(&fixture, &service).await;
    world.node.mine(1).await;
    // By now a conclusion from the time of the draw would be final.
    world.node.mine(64).await;

    let since = world.now().await;
    proxy.fail("eth_getLogs", Fault::Answer(json!([])));
    for blocks in [0, 63] {
        world.node.mine(blocks).await;
        assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
        let kept = service.payee().pending_txs().await.unwrap();
        assert_eq!(kept.len(), 1, "forgotten although events may still come");
    }
    proxy.heal();
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn settles_deposit_that_stays_missing() {
    let fixture = final_after_64_seconds().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let (id, _) = pending_redemption(&fixture, &service).await;
    world.node.mine(1).await;
    let since = world.now().await;
    proxy.fail("eth_getLogs", Fault::Answer(json!([])));
    assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
    world.node.mine(64).await;
    for _ in 0..2 {
        assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
    }
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
    let asked = proxy.asked("eth_getLogs");
    assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
    assert_eq!(
        proxy.asked("eth_getLogs"),
        asked,
        "a settled deposit was checked again"
    );
}

#[tokio::test]
async fn concludes_nothing_from_answers_of_two_nodes() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let node = &world.node.provider;
    let (first, second) = (Proxy::start(node).await, Proxy::start(node).await);
    let service = through(&fixture, &[&first, &second]).await;
    let (id, hash) = pending_redemption(&fixture, &service).await;
    world.node.mine(1).await;

    // The first node knows that the purse is empty, and the second has no events yet.
    first.fail("eth_getLogs", Fault::Status(500));
    second.fail("eth_getLogs", Fault::Answer(json!([])));
    assert_eq!(service.step().await.unwrap().failed, [id]);
    let status = status(&service, id).await;
    assert_eq!(status.state, HoldingState::Redeeming { hash });
    assert!(status.last_error.is_some());
    first.heal();
    second.heal();
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn concludes_nothing_from_node_without_snapshot_block() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let node = &world.node.provider;
    let (first, second) = (Proxy::start(node).await, Proxy::start(node).await);
    let service = through(&fixture, &[&first, &second]).await;
    let (id, hash) = pending_redemption(&fixture, &service).await;
    world.node.mine(1).await;
    let draw = status(&service, id).await.position.deposit().drawTime;
    world.node.automine(true).await;
    let recorder = world.payee(&fixture.payees[1], memory());
    recorder.record_seed(draw).await.unwrap();

    // The node of the head then fails, and the other node is on another fork.
    first.fail("eth_call", Fault::Status(500));
    second.fail("eth_getBlockByNumber", Fault::OtherBlocks);
    second.fail("eth_getLogs", Fault::Answer(json!([])));
    let failed = service.step().await.unwrap_err().to_string();
    assert!(failed.contains("was replaced while"), "{failed}");
    let state = status(&service, id).await.state;
    assert_eq!(state, HoldingState::Redeeming { hash });
    first.heal();
    second.heal();
    assert_paid_once(&fixture, &service, id).await;
}

#[tokio::test]
async fn counts_no_draw_as_lost_by_the_word_of_a_node() {
    // Only a verified round decides: a loss is final, and would settle the deposit.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let stores: Vec<_> = fixture.payees.iter().map(|_| memory()).collect();
    let payees = fixture.payees.iter().zip(&stores);
    let payees: Vec<_> = payees
        .map(|(account, store)| world.payee(account, store.clone()))
        .collect();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let (id, account) = (opened.id, &fixture.payees[winner]);
    let position = payees[winner].position(id).await.unwrap().unwrap();

    let node = &world.node.provider;
    let proxy = Proxy::start(node).await;
    let service = started(&fixture, account, &[&proxy], stores[winner].clone()).await;
    // The node then says that the bank has recorded the seed of a lost draw.
    let wins = |seed| {
        let roll = roll(Seed(seed), id, Amount::new(opened.deposit.amount));
        position.payout().unwrap().wins(position.start(), roll)
    };
    let lost = (1..=u8::MAX)
        .map(B256::repeat_byte)
        .find(|seed| !wins(*seed));
    proxy.fail("eth_call", Fault::Answer(json!(lost.unwrap())));
    let asked = proxy.asked("eth_call");
    // It says so of the purse as well, and no redemption can be sent.
    let _no_purse = service.step().await;
    assert!(proxy.asked("eth_call") > asked, "the bank was not read");
    let kept = status(&service, id).await;
    assert_eq!(kept.position, position);
    assert_ne!(kept.state, HoldingState::NotDrawn);

    proxy.heal();
    sends(&service, id).await;
    assert_eq!(redeemed(&service, id).await.0, payout);
}

#[tokio::test]
async fn reports_ill_health_when_deposits_are_unreadable() {
    // The head is readable all along.
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let store = memory();
    let account = &fixture.payees[0];
    let service = started(&fixture, account, &[&proxy], store.clone()).await;
    let (id, hash) = pending_redemption(&fixture, &service).await;
    assert!(service.health().ok, "{:?}", service.health());

    let again = started(&fixture, account, &[&proxy], store).await;
    proxy.fail("eth_call", Fault::NoContract(purseCall::SELECTOR));
    for _ in 0..2 {
        again.step().await.unwrap_err();
        let health = again.health();
        assert!(!health.ok, "{health:?}");
        assert!(health.reason.contains("there is no bank"), "{health:?}");
    }
    proxy.heal();
    assert_eq!(sends(&again, id).await, hash);
    assert!(again.health().ok, "{:?}", again.health());
}

#[tokio::test]
async fn warns_of_closing_window_while_node_fails() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&fixture, &[&proxy]).await;
    let margin = 2 * HOUR;
    let draw = world.now().await + HOUR;
    let redeem_until = draw + margin + 10;
    let id = wins(&fixture, &service, &[draw], margin + 10).await[0].id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    sends(&service, id).await;
    assert_eq!(status(&service, id).await.closes_at, None);

    proxy.fail("eth_call", Fault::Refusal(-32_000, "try again"));
    world.node.drop_transactions().await;
    world.advance(10).await;
    for _ in 0..2 {
        service.step().await.unwrap_err();
        let status = status(&service, id).await;
        assert_eq!(status.closes_at, Some(redeem_until), "{}", status.reason());
    }
    proxy.heal();
    sends(&service, id).await;
    assert_paid_once(&fixture, &service, id).await;
}
