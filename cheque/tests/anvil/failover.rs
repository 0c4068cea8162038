//! Failover among several nodes of one chain.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, poll};
use crate::node::{World, coins};
use crate::over;
use crate::proxy::{Fault, Proxy};
use alloy::providers::DynProvider;
use cheque::{
    bank::Reader,
    node::{NodeError, connect_all, connect_within},
    payee::Payee,
    payer::{Payer, PayerError},
    tx::{Call, Wallet},
};
use serde_json::json;
use std::time::Duration;

async fn proxies(world: &World) -> (Proxy, Proxy) {
    let node = &world.node.provider;
    (Proxy::start(node).await, Proxy::start(node).await)
}

async fn connected(proxies: [&Proxy; 2]) -> Result<DynProvider, NodeError> {
    let urls = proxies.map(|proxy| &proxy.url);
    connect_within(&urls, Duration::from_millis(300)).await
}

async fn reader(world: &World, proxies: [&Proxy; 2]) -> Reader {
    let provider = connected(proxies).await.unwrap();
    let reader = Reader::open(provider, world.reader.bank().address());
    reader.await.unwrap()
}

fn actors(fixture: &Fixture, reader: &Reader) -> (Payer, Payee) {
    let world = &fixture.world;
    let payer = over::payer(world, reader, &fixture.payer, fixture.store.clone());
    let payee = over::payee(world, reader, &fixture.payees[0], memory());
    (payer, payee)
}

/// Makes a payment between a fresh payer and a fresh payee, both without a chain snapshot.
async fn pays(fixture: &Fixture, reader: &Reader, id: cheque::DepositId) {
    let (payer, payee) = actors(fixture, reader);
    let account = payee.policy().payee;
    let payment = payer.write_cheque(id, account, coins(1)).await.unwrap();
    let proof = payer.opening_proof(id, account).await.unwrap().unwrap();
    let accepted = payee.receive_payment(None, &proof).await.unwrap();
    assert_eq!(accepted.total, payment.spent);
}

#[tokio::test]
async fn uses_one_node_until_it_fails() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let id = open_deposit(world, &fixture.actors().0, &fixture.request(HOUR))
        .await
        .id;
    let (first, second) = proxies(world).await;
    let reader = reader(world, [&first, &second]).await;
    let (mut active, mut spare) = (first, second);
    for fault in [
        Fault::Silence,
        Fault::Status(503),
        Fault::Status(429),
        Fault::Garbage,
        Fault::Cut,
        Fault::Refusal(-32_005, "daily limit"),
        Fault::Refusal(-32_603, "internal error"),
    ] {
        let unused = spare.requests();
        pays(&fixture, &reader, id).await;
        assert_eq!(
            spare.requests(),
            unused,
            "the spare node was asked while the other works"
        );
        active.fail("", fault.clone());
        pays(&fixture, &reader, id).await;
        assert!(
            spare.asked("eth_chainId") > 0,
            "the spare node was not asked for its chain"
        );
        active.heal();
        let tries = active.requests();
        pays(&fixture, &reader, id).await;
        assert_eq!(
            active.requests(),
            tries,
            "the payer went back to the first node"
        );
        (active, spare) = (spare, active);
    }
}

#[tokio::test]
async fn fails_snapshot_when_its_node_fails() {
    // No other node completes a chain snapshot that was begun on a failed node.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    open_deposit(world, &fixture.actors().0, &fixture.request(HOUR)).await;
    let (first, second) = proxies(world).await;
    let reader = reader(world, [&first, &second]).await;
    let (payer, payee) = actors(&fixture, &reader);
    for method in ["eth_call", "eth_chainId"] {
        let unused = second.requests();
        first.fail(method, Fault::Status(500));
        let failed = payer.poll().await.unwrap_err();
        assert!(matches!(failed, PayerError::Bank(_)), "{failed}");
        assert_eq!(second.requests(), unused);
        poll(&payer).await;
        assert!(second.requests() > unused);
        first.heal();
        // Makes the first node the active one again.
        second.fail("", Fault::Cut);
        payee.poll().await.unwrap();
        second.heal();
    }
}

#[tokio::test]
async fn leaves_node_with_implausible_head() {
    // Ten blocks are 200 seconds.
    let fixture = over::behind_the_clock(20).await;
    let world = &fixture.world;
    open_deposit(world, &fixture.actors().0, &fixture.request(HOUR)).await;
    world.node.mine(20).await;
    let (first, second) = proxies(world).await;
    let reader = reader(world, [&first, &second]).await;
    let reader = reader.with_profile(*world.reader.profile());
    let (payer, _) = actors(&fixture, &reader);
    poll(&payer).await;
    first.fail("eth_getBlockByNumber", Fault::Behind(10));
    payer.poll().await.unwrap_err();
    poll(&payer).await;
    poll(&payer).await;
    assert!(second.requests() > 0);
}

#[tokio::test]
async fn ignores_dead_node_while_another_lives() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (first, second) = proxies(world).await;
    first.fail("", Fault::Silence);
    let provider = connected([&first, &second]).await.unwrap();
    let bank = world.reader.bank().address();
    Reader::open(provider, bank).await.unwrap();
    second.fail("", Fault::Status(502));
    let none = connected([&first, &second]).await.unwrap_err();
    assert!(
        matches!(none, NodeError::Http { status: 502, .. }),
        "{none}"
    );
    let none = connect_all::<String>(&[]).await.unwrap_err();
    assert!(matches!(none, NodeError::NoNode), "{none}");
    let wrong = connect_all(&[world.node.url.as_str(), "ftp://node"]).await;
    assert!(matches!(wrong, Err(NodeError::Url { .. })));
}

#[tokio::test]
async fn refuses_node_of_another_chain() {
    // At the start such a node is an error, later failover skips the node.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (first, second) = proxies(world).await;
    second.fail("eth_chainId", Fault::Answer(json!("0x1")));
    let refused = connected([&first, &second]).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "node 1 follows chain 31337, but node 2 follows chain 1; name nodes of one chain"
    );
    second.heal();
    let reader = reader(world, [&first, &second]).await;
    first.fail("", Fault::Cut);
    second.fail("eth_chainId", Fault::Answer(json!("0x1")));
    let unused = second.asked("eth_getBlockByNumber");
    let refused = reader.head().await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("chain 1, but the others follow chain 31337"),
        "{refused}"
    );
    assert_eq!(second.asked("eth_getBlockByNumber"), unused);
    second.heal();
    reader.head().await.unwrap();
}

#[tokio::test]
async fn broadcasts_to_all_nodes_and_needs_one_success() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (first, second) = proxies(world).await;
    let provider = connected([&first, &second]).await.unwrap();
    let account = &fixture.payees[0];
    let wallet = |provider| Wallet::new(provider, crate::node::signer(11), 31_337);
    let bank = world.reader.bank();
    let fund = Call::fund(
        bank,
        alloy_primitives::Address::ZERO,
        account.address,
        coins(1),
    );
    let sending = wallet(provider.clone());
    sending.send(&fund).await.unwrap();
    let told = |proxy: &Proxy| proxy.asked("eth_sendRawTransaction");
    while told(&second) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&first), 1);
    for (working, broken) in [(&first, &second), (&second, &first)] {
        broken.fail("eth_sendRawTransaction", Fault::Status(500));
        sending.send(&fund).await.unwrap();
        broken.heal();
        assert!(told(working) > 1);
    }
    assert_eq!(world.balance(account.address).await, coins(3).to_u256());
}
