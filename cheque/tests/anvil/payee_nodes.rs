//! The payee's service over nodes that fail, lag and leave out: no answer of theirs alone costs it money.

use crate::cast::{Cast, memory};
use crate::node::coins;
use crate::payee_service::{redeemed, sends, sent_by, step, wins};
use crate::proxy::{Fault, Proxy};
use alloy::providers::Provider;
use alloy_primitives::TxHash;
use cheque::chain::{Payee, Reader, connect_within};
use cheque::service::{PayeeService, PayeeSettings};
use cheque::{DepositId, HISTORY_WINDOW};
use std::time::Duration;

/// The first payee's service, which reads the chain through proxies, and sends to the node itself.
async fn through(cast: &Cast, proxies: &[&Proxy]) -> PayeeService {
    let urls: Vec<_> = proxies.iter().map(|proxy| &proxy.url).collect();
    let provider = connect_within(&urls, Duration::from_millis(300)).await;
    let reader = Reader::open(provider.unwrap(), cast.world.reader.bank().address());
    let reader = reader.await.unwrap();
    let party = &cast.payees[0];
    let settings = PayeeSettings::new(&cast.world.policy(party), reader.profile());
    let payee = Payee::new(reader, cast.world.policy(party), memory());
    PayeeService::new(payee.with_sender(party.sender.clone()), settings)
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
    assert!(service.payee().under_way().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redemption_that_waits_is_not_forgotten_because_a_seed_cannot_be_read() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let service = through(&cast, &[&proxy]).await;
    let (id, hash) = sent_and_waiting(&cast, &service).await;

    proxy.fail("eth_call", Fault::Refusal(-32_000, "try again"));
    assert_eq!(service.step().await.unwrap().failed, [id]);
    let kept = service.payee().under_way().await.unwrap();
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
    assert_eq!(service.payee().under_way().await.unwrap().len(), 1);
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
    for (blocks, name) in [(1, "drawn"), (2, "closed"), (2, "closed")] {
        proxy.fail("eth_getBlockByNumber", Fault::Behind(blocks));
        assert_eq!(step(&service, id).await.name(), name);
        let kept = service.payee().under_way().await.unwrap();
        assert_eq!(kept.len(), 1, "at a head {blocks} lower");
        proxy.heal();
    }
    assert_eq!(sends(&service, id).await, hash, "the very same transaction");
    assert_eq!(waiting(&cast).await, 1);
    is_paid_once(&cast, &service, id).await;
}
