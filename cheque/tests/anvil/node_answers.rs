//! Nodes whose answers differ from anvil's: limits on batches, deviations from JSON-RPC, blocks without some fields.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, pay_and_draw, poll, state};
use crate::node::{coins, signer};
use crate::over;
use crate::proxied::{payer, through};
use crate::proxy::{BatchRefusal, Fault, Proxy};
use crate::settle::settle;
use alloy::providers::Provider;
use alloy_primitives::Address;
use cheque::{
    node::{batch_limit, connect},
    payer::DepositState,
    tx::{Call, Wallet},
};
use serde_json::json;

#[tokio::test]
async fn pays_through_node_that_limits_batches() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let direct = fixture.actors().0;
    for _ in 0..2 {
        open_deposit(world, &direct, &fixture.request(HOUR)).await;
    }
    let opened = open_deposit(world, &direct, &fixture.request(HOUR)).await;
    let id = opened.id;
    world.node.mine(4).await;
    for refusal in BatchRefusal::ALL {
        for most in [0, 1, 3] {
            let proxy = Proxy::start(&world.node.provider).await;
            proxy.fail("", Fault::Batches(most, refusal));
            let reader = through(world, &proxy).await;
            let payer = payer(&fixture, &reader, &fixture.store);
            poll(&payer).await;
            let sizes = proxy.packets();
            assert!(sizes.iter().any(|size| *size > 3), "no batch: {sizes:?}");
            let limit = most.max(1);
            assert_eq!(batch_limit(reader.provider()), Some(limit), "{refusal:?}");
            // What was learned is not tried again.
            poll(&payer).await;
            let sizes = proxy.packets();
            assert!(sizes.iter().all(|size| *size <= limit), "{sizes:?}");
            let payee = over::payee(world, &reader, &fixture.payees[0], memory());
            let account = fixture.payees[0].address;
            payer.write_cheque(id, account, coins(1)).await.unwrap();
            // The payee is new, and the payer has shown the deposit to the one before.
            let proof = payer.opening_proof(id, account).await.unwrap().unwrap();
            payee.receive_payment(None, &proof).await.unwrap();
        }
    }
}

#[tokio::test]
async fn tells_why_the_node_refuses_batch_and_single_requests() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    open_deposit(world, &fixture.actors().0, &fixture.request(HOUR)).await;
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    proxy.fail("", Fault::Batches(1, BatchRefusal::Object));
    proxy.fail("eth_call", Fault::Refusal(-32_001, "no calls on this plan"));
    let payer = payer(&fixture, &reader, &fixture.store);
    let refused = payer.poll().await.unwrap_err().to_string();
    let told = "the request to the node failed: no calls on this plan (code -32001)";
    assert_eq!(refused, told);
}

#[tokio::test]
async fn reads_answers_that_deviate_from_json_rpc() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for faults in [
        &[Fault::NullError][..],
        &[Fault::TextIds],
        &[Fault::NullFields(&[
            "nonce",
            "uncles",
            "mixHash",
            "logsBloom",
        ])],
        &[
            Fault::NullError,
            Fault::TextIds,
            Fault::Renamed("mixHash", "prevRandao"),
        ],
    ] {
        let proxy = Proxy::start(&world.node.provider).await;
        for fault in faults {
            // Receipts are read whole.
            for method in [
                "eth_getBlockByNumber",
                "eth_call",
                "eth_chainId",
                "eth_getTransactionByHash",
            ] {
                proxy.fail(method, fault.clone());
            }
        }
        let reader = through(world, &proxy).await;
        let payer = payer(&fixture, &reader, &fixture.store);
        let payee = over::payee(world, &reader, &fixture.payees[0], memory());
        let opened = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
        world.node.mine(8).await;
        assert_eq!(state(&payer, opened.id).await, DepositState::Active);
        pay(&payer, &payee, opened.id, coins(1)).await;
        let provider = connect(&proxy.url).await.unwrap();
        let wallet = Wallet::new(provider, signer(1), 31_337);
        let fund = Call::fund(
            world.reader.bank(),
            Address::ZERO,
            wallet.address(),
            coins(1),
        );
        wallet.send(&fund).await.unwrap();
    }
}

#[tokio::test]
async fn sends_calls_that_hardhat_takes() {
    // Hardhat refuses a call with both `input` and `data`.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    for method in ["eth_call", "eth_estimateGas"] {
        proxy.fail(method, Fault::UnknownField("data"));
    }
    let reader = through(world, &proxy).await;
    let provider = connect(&proxy.url).await.unwrap();
    let wallet = |number| Wallet::new(provider.clone(), signer(number), 31_337);
    let payer = payer(&fixture, &reader, &fixture.store).with_wallet(wallet(1));
    let payees: Vec<_> = (0..3)
        .map(|number| {
            let account = &fixture.payees[number];
            let payee = over::payee(world, &reader, account, memory());
            payee.with_wallet(wallet(11 + u8::try_from(number).unwrap()))
        })
        .collect();
    let opened = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    world.node.mine(8).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Active);
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    world.node.mine(8).await;
    assert_eq!(settle(&payees[winner]).await.unwrap().len(), 1);
    let paid = world.balance(fixture.payees[winner].address).await;
    assert_eq!(paid, payout.to_u256());
    assert!(proxy.asked("eth_estimateGas") > 0 && proxy.asked("eth_call") > 0);
}

/// A fee history of a chain whose blocks took no tips.
fn quiet() -> Fault {
    Fault::Answer(json!({
        "oldestBlock": "0x1",
        "baseFeePerGas": ["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"],
        "gasUsedRatio": [0, 0],
        "reward": [["0x0"], ["0x0"]],
    }))
}

#[tokio::test]
async fn offers_the_tip_that_the_node_suggests() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_feeHistory", quiet());
    proxy.fail("eth_maxPriorityFeePerGas", Fault::Answer(json!("0xe4e1c0")));
    let provider = connect(&proxy.url).await.unwrap();
    let wallet = Wallet::new(provider, signer(1), 31_337);
    let fund = Call::fund(
        world.reader.bank(),
        Address::ZERO,
        wallet.address(),
        coins(1),
    );
    for (wallet, tip) in [(wallet.clone(), 15_000_000), (wallet.with_tip(7), 7)] {
        let mined = wallet.send(&fund).await.unwrap();
        let node = &world.node.provider;
        let sent = node
            .raw_request::<_, serde_json::Value>("eth_getTransactionByHash".into(), (mined.hash,));
        let sent = sent.await.unwrap();
        assert_eq!(sent["maxPriorityFeePerGas"], format!("{tip:#x}"));
    }
}
