//! The payee's service over nodes that fail, lag and leave out: no answer of theirs alone costs it money.

use crate::cast::{Cast, memory};
use crate::node::coins;
use crate::payee_service::{redeemed, sends, sent_by, status, step, wins};
use crate::proxy::{Fault, Proxy};
use alloy::providers::Provider;
use alloy_primitives::TxHash;
use alloy_sol_types::SolCall;
use cheque::payee::{HoldingState, PayeeService, PayeeSettings};
use cheque::store::Memory;
use cheque::{DepositId, HISTORY_WINDOW};
use cheque::{bank::Reader, node::connect_within, payee::Payee};
use cheque_bindings::IChequeBank::purseCall;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The first payee's service, which reads the chain through proxies, and sends to the node itself.
async fn through(cast: &Cast, proxies: &[&Proxy]) -> PayeeService {
    started(cast, proxies, memory()).await
}

/// The same with a store.
async fn started(cast: &Cast, proxies: &[&Proxy], store: Arc<Memory>) -> PayeeService {
    let urls: Vec<_> = proxies.iter().map(|proxy| &proxy.url).collect();
    let provider = connect_within(&urls, Duration::from_millis(300)).await;
    let reader = Reader::open(provider.unwrap(), cast.world.reader.bank().address());
    let reader = reader.await.unwrap();
    let party = &cast.payees[0];
    let settings = PayeeSettings::new(&cast.world.policy(party), reader.profile());
    let payee = Payee::new(reader, cast.world.policy(party), store);
    PayeeService::new(payee.with_wallet(party.wallet.clone()), settings)
}

/// A win whose redemption waits to be mined, at the first head at which it could be sent.
async fn sent_and_waiting(cast: &Cast, service: &PayeeService) -> (DepositId, TxHash) {
    let world = &cast.world;
    let draw = world.head().await + 60;
    let id = wins(cast, service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let hash = sends(service, id).await;
    assert_eq!(waiting(cast).await, 1);
    (id, hash)
}

/// How many transactions the payee has in blocks or waiting.
async fn waiting(cast: &Cast) -> u64 {
    let account = cast.payees[0].address;
    let count = cast.world.node.provider.get_transaction_count(account);
    count.pending().await.unwrap()
}

/// It is mined, pays, and was the only one.
async fn is_paid_once(cast: &Cast, service: &PayeeService, id: DepositId) {
    cast.world.node.anvil("evm_setAutomine", [true]).await;
    cast.world.node.mine(1).await;
    assert_eq!(redeemed(service, id).await.0, coins(100));
    assert_eq!(sent_by(&cast.world, cast.payees[0].address).await, 1);
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redemption_that_waits_is_not_forgotten_because_a_seed_cannot_be_read() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;

    proxy.fail("eth_call", Fault::Refusal(-32_000, "try again"));
    assert_eq!(service.step().await.unwrap().failed, [id]);
    let kept = service.payee().pending_txs().await.unwrap();
    assert_eq!(kept.len(), 1);
    proxy.heal();
    assert_eq!(sends(&service, id).await, hash, "the very same transaction");
    assert_eq!(waiting(&cast).await, 1);
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn a_redemption_is_not_forgotten_because_events_cannot_be_read() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, _) = sent_and_waiting(&cast, &service).await;
    world.node.mine(1).await;

    proxy.fail("eth_getLogs", Fault::Status(500));
    assert_eq!(service.step().await.unwrap().failed, [id]);
    assert_eq!(service.payee().pending_txs().await.unwrap().len(), 1);
    proxy.heal();
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn a_redemption_that_waits_is_not_forgotten_by_a_head_that_goes_back() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;

    // To the draw block, which is not deep enough then, and to the one before it, twice.
    for (blocks, name) in [(1, "drawn"), (2, "past_cutoff"), (2, "past_cutoff")] {
        proxy.fail("eth_getBlockByNumber", Fault::Behind(blocks));
        assert_eq!(step(&service, id).await.name(), name);
        let kept = service.payee().pending_txs().await.unwrap();
        assert_eq!(kept.len(), 1, "at a head {blocks} lower");
        proxy.heal();
    }
    assert_eq!(sends(&service, id).await, hash, "the very same transaction");
    assert_eq!(waiting(&cast).await, 1);
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn a_redemption_that_waits_is_not_given_up_by_a_node_that_is_behind() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;

    // Where the draw is still to come, the bank would pay nothing.
    proxy.fail("eth_call", Fault::Behind(5));
    assert_eq!(sends(&service, id).await, hash);
    assert_eq!(service.payee().pending_txs().await.unwrap().len(), 1);
    proxy.heal();
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn a_deposit_is_not_gone_where_a_node_has_no_bank() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;

    proxy.fail("eth_call", Fault::NoContract(purseCall::SELECTOR));
    let failed = service.step().await.unwrap_err().to_string();
    assert!(failed.contains("there is no bank"), "{failed}");
    assert_eq!(service.health().last_error, Some(failed));
    let state = status(&service, id).await.state;
    assert_eq!(state, HoldingState::Redeeming { hash });
    proxy.heal();
    assert_eq!(sends(&service, id).await, hash);
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn a_deposit_that_is_gone_is_looked_at_until_that_is_final() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, _) = sent_and_waiting(&cast, &service).await;
    world.node.mine(1).await;
    // So much later that what was seen at the draw would be final.
    let depth = world.reader.profile().final_depth;
    world.node.mine(depth).await;

    let since = world.head().await;
    proxy.fail("eth_getLogs", Fault::Answer(json!([])));
    for blocks in [0, depth - 1] {
        world.node.mine(blocks).await;
        assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
        let kept = service.payee().pending_txs().await.unwrap();
        assert_eq!(kept.len(), 1, "the node may have events to come");
    }
    proxy.heal();
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn a_deposit_that_stays_gone_is_settled_and_not_redeemed_any_more() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, _) = sent_and_waiting(&cast, &service).await;
    world.node.mine(1).await;
    let since = world.head().await;
    proxy.fail("eth_getLogs", Fault::Answer(json!([])));
    assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
    world.node.mine(world.reader.profile().final_depth).await;
    for _ in 0..2 {
        assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
    }
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
    let asked = proxy.asked("eth_getLogs");
    assert_eq!(step(&service, id).await, HoldingState::NotOnChain { since });
    assert_eq!(
        proxy.asked("eth_getLogs"),
        asked,
        "it is not looked at any more"
    );
}

#[tokio::test]
async fn what_became_of_a_deposit_is_not_concluded_from_answers_of_two_nodes() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let node = &world.node.provider;
    let (first, second) = (Proxy::start(node).await, Proxy::start(node).await);
    let service = through(&cast, &[&first, &second]).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;
    world.node.mine(1).await;

    // One knows that the purse is empty, and the other has no events yet.
    first.fail("eth_getLogs", Fault::Status(500));
    second.fail("eth_getLogs", Fault::Answer(json!([])));
    assert_eq!(service.step().await.unwrap().failed, [id]);
    let status = status(&service, id).await;
    assert_eq!(status.state, HoldingState::Redeeming { hash });
    assert!(status.trouble.is_some());
    first.heal();
    second.heal();
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn nothing_is_concluded_from_a_node_that_does_not_have_the_block_of_the_look() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let node = &world.node.provider;
    let (first, second) = (Proxy::start(node).await, Proxy::start(node).await);
    let service = through(&cast, &[&first, &second]).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;
    world.node.mine(1).await;
    let draw = status(&service, id).await.position.deposit().drawBlock;
    world.node.anvil("evm_setAutomine", [true]).await;
    let recorder = world.payee(&cast.payees[1], memory());
    recorder.record_seed(draw).await.unwrap();

    // The node that has told of the head fails then, and the other one stands on another fork.
    first.fail("eth_call", Fault::Status(500));
    second.fail("eth_getBlockByNumber", Fault::OtherBlocks);
    second.fail("eth_getLogs", Fault::Answer(json!([])));
    let failed = service.step().await.unwrap_err().to_string();
    assert!(failed.contains("was replaced while"), "{failed}");
    let state = status(&service, id).await.state;
    assert_eq!(state, HoldingState::Redeeming { hash });
    first.heal();
    second.heal();
    is_paid_once(&cast, &service, id).await;
}

#[tokio::test]
async fn a_service_that_sees_the_chain_and_cannot_go_through_its_deposits_is_not_well() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let store = memory();
    let service = started(&cast, &[&proxy], store.clone()).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;
    assert!(service.health().ok, "{:?}", service.health());

    let again = started(&cast, &[&proxy], store).await;
    proxy.fail("eth_call", Fault::NoContract(purseCall::SELECTOR));
    for _ in 0..2 {
        again.step().await.unwrap_err();
        let health = again.health();
        assert!(!health.ok && health.head.is_some(), "{health:?}");
        assert!(health.reason.contains("there is no bank"), "{health:?}");
    }
    proxy.heal();
    assert_eq!(sends(&again, id).await, hash);
    assert!(again.health().ok, "{:?}", again.health());
}

#[tokio::test]
async fn a_window_that_closes_is_warned_about_while_the_node_fails() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let margin = HISTORY_WINDOW / 2;
    let draw = world.head().await + 60;
    let last_block = draw + margin + 10;
    let id = wins(&cast, &service, &[draw], margin + 10).await[0].id;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    sends(&service, id).await;
    assert_eq!(status(&service, id).await.closing, None);

    proxy.fail("eth_call", Fault::Refusal(-32_000, "try again"));
    world.node.anvil("anvil_dropAllTransactions", ()).await;
    world.node.mine(10).await;
    for _ in 0..2 {
        let stepped = service.step().await.unwrap();
        assert_eq!(stepped.closing, [id]);
        let status = status(&service, id).await;
        assert_eq!(status.closing, Some(last_block), "{}", status.reason());
    }
    proxy.heal();
    sends(&service, id).await;
    is_paid_once(&cast, &service, id).await;
}
