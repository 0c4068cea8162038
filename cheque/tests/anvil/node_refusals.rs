//! Nodes that refuse some requests: told as what they are, and asked of the next node.

use crate::fixtures::{Fixture, HOUR, open_deposit, poll};
use crate::node::{World, coins, signer};
use crate::over;
use crate::proxied::through;
use crate::proxy::{Fault, Proxy, Reply};
use alloy_primitives::Address;
use cheque::{
    bank::Reader,
    node::connect_within,
    tx::{Call, Wallet},
};
use serde_json::Value;
use std::{error::Error, time::Duration};

/// What Cloudflare says to a stranger.
const PAGE: &str = "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title>\
                    <style>a { b: c }</style></head><body><h1>Sorry</h1></body></html>";

#[tokio::test]
async fn tells_refusals_by_http_status_in_the_words_of_the_node() {
    let world = World::new().await;
    let limited = Reply {
        header: Some(("retry-after", "30")),
        ..Reply::new(429, "{\"message\":\"slow down\"}")
    };
    for (reply, words, told) in [
        (
            Reply::new(403, "old state is not on this plan"),
            "old state is not on this plan",
            "the node forbids the request (HTTP status 403): old state is not on this plan; check the plan of the node's key, \
             or name another node, too",
        ),
        (
            Reply::new(
                401,
                "{\"error\":{\"code\":-32002,\"message\":\"no such key\"}}",
            ),
            "no such key",
            "the request to the node failed: no such key (code -32002)",
        ),
        (
            Reply::new(401, "no such key"),
            "no such key",
            "the node wants other credentials (HTTP status 401): no such key; check the key in the node's URL",
        ),
        (
            limited,
            "slow down",
            "the node limits the rate of requests (HTTP status 429): slow down; retry in 30 s, or name another node, too",
        ),
        (
            Reply::new(503, PAGE),
            "Attention Required! | Cloudflare Sorry",
            "the node has failed (HTTP status 503): Attention Required! | Cloudflare Sorry; retry, or name another node, too",
        ),
    ] {
        let proxy = Proxy::start(&world.node.provider).await;
        let reader = through(&world, &proxy).await;
        proxy.fail("", Fault::Reply(reply));
        let error = reader.head().await.unwrap_err();
        assert_eq!(error.to_string(), told);
        let mut whole = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            whole += &cause.to_string();
            source = cause.source();
        }
        assert_eq!(whole.matches(words).count(), 1, "{whole}");
    }
    // Served with status 200.
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(&world, &proxy).await;
    proxy.fail("", Fault::Reply(Reply::new(200, PAGE)));
    let error = reader.head().await.unwrap_err().to_string();
    assert!(
        error.contains("a web page (Attention Required! | Cloudflare"),
        "{error}"
    );
}

/// A reader over both proxies, the first one preferred.
async fn over_both(world: &World, first: &Proxy, second: &Proxy) -> Reader {
    let urls = [&first.url, &second.url];
    let provider = connect_within(&urls, Duration::from_secs(2)).await.unwrap();
    let reader = Reader::open(provider, world.reader.bank().address());
    reader.await.unwrap().with_profile(*world.reader.profile())
}

#[tokio::test]
async fn asks_the_next_node_for_what_one_lacks() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let opened = open_deposit(world, &fixture.actors().0, &fixture.request(HOUR)).await;
    world.node.mine(3).await;
    let terms = &opened.deposit;
    let (purse, block) = ((terms.payer, terms.token, terms.lane), opened.tx.block);
    let fund = Call::fund(world.reader.bank(), Address::ZERO, terms.payer, coins(1));
    let archive = Reply::new(403, "<p>archive state is not on this plan</p>");
    for (method, fault) in [
        ("eth_call", Fault::OldState(archive)),
        ("eth_getLogs", Fault::Refusal(-32_604, "logs are not kept")),
        ("eth_getLogs", Fault::LogRange(0)),
        ("eth_feeHistory", Fault::Refusal(-32_601, "no such method")),
        ("eth_maxPriorityFeePerGas", Fault::Status(405)),
        ("eth_estimateGas", Fault::Refusal(-32_000, "no state")),
        ("eth_getTransactionReceipt", Fault::Answer(Value::Null)),
        (
            "eth_getTransactionReceipt",
            Fault::Refusal(-32_000, "indexing"),
        ),
        ("eth_getBlockByNumber", Fault::Answer(Value::Null)),
    ] {
        let node = &world.node.provider;
        let (first, second) = (Proxy::start(node).await, Proxy::start(node).await);
        let reader = over_both(world, &first, &second).await;
        let asked = second.asked(method);
        first.fail(method, fault.clone());
        let found = reader.find_deposit(opened.id, 0, world.head().await).await;
        assert_eq!(found.unwrap().unwrap().block, block, "{method} {fault:?}");
        let held = reader.purse(purse, block).await.unwrap();
        assert_eq!(held, cheque::Purse::Open(opened.id), "{method} {fault:?}");
        let wallet = Wallet::new(reader.provider().clone(), signer(1), 31_337);
        wallet.send(&fund).await.unwrap();
        assert_eq!(reader.head().await.unwrap().number, world.head().await);
        assert!(second.asked(method) > asked, "{method} {fault:?}");
    }
}

#[tokio::test]
async fn leaves_a_node_that_refuses_what_a_snapshot_needs() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    open_deposit(world, &fixture.actors().0, &fixture.request(HOUR)).await;
    let node = &world.node.provider;
    let (first, second) = (Proxy::start(node).await, Proxy::start(node).await);
    let reader = over_both(world, &first, &second).await;
    let payer = over::payer(world, &reader, &fixture.payer, fixture.store.clone());
    first.fail("eth_call", Fault::Refusal(-32_604, "state is not kept"));
    // Two nodes may follow two forks, so the other one does not complete the snapshot.
    let failed = payer.poll().await.unwrap_err().to_string();
    assert!(failed.contains("state is not kept"), "{failed}");
    poll(&payer).await;
    assert!(second.asked("eth_call") > 0);
}
