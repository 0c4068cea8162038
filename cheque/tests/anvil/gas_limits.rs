//! The gas and the cost that a wallet plans for a transaction, against what the chain takes.

use crate::fixtures::{Fixture, HOUR, open_deposit, pay_and_draw};
use crate::node::{World, coins};
use crate::proxy::{Fault, Proxy};
use alloy::{
    providers::Provider,
    rpc::types::{TransactionInput, TransactionRequest},
};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{
    FeeModel,
    node::connect,
    tx::{Call, Wallet},
};

/// The address of the OP stack's `GasPriceOracle`.
const ORACLE: &str = "0x420000000000000000000000000000000000000F";

/// `PUSH2 0x1234 PUSH0 MSTORE PUSH1 32 PUSH0 RETURN`: an oracle that gives each fee as 0x1234 wei.
const CONSTANT_FEES: &str = "0x6112345f5260205ff3";

const FEE: u64 = 0x1234;

fn request(from: Address, call: &Call) -> TransactionRequest {
    TransactionRequest {
        from: Some(from),
        to: Some(call.to.into()),
        value: Some(call.value),
        input: TransactionInput::new(call.input.clone()),
        ..TransactionRequest::default()
    }
}

#[tokio::test]
async fn limits_gas_for_balances_emptied_after_the_estimate() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, _) = pay_and_draw(world, &payer, &payees, &opened).await;
    let (account, payee) = (&fixture.payees[winner], &payees[winner]);
    let (bank, node) = (world.reader.bank(), &world.node.provider);
    let fund = Call::fund(bank, Address::ZERO, account.address, coins(1));
    account.wallet.send(&fund).await.unwrap();

    let redemption = payee.redemption(opened.id, Address::ZERO, Bytes::new());
    let packed = redemption.await.unwrap().pack().unwrap();
    let round = world.beacon.round(opened.deposit.drawTime);
    let calls = [
        Call::redeem(bank, packed.clone(), Some(&round)),
        Call::redeem_batch(bank, vec![packed], &[round]),
    ];
    let mut limits = Vec::new();
    for call in &calls {
        let bare = node.estimate_gas(request(account.address, call));
        let limit = account.wallet.estimate(call).await.unwrap().gas;
        limits.push((bare.await.unwrap(), limit));
    }
    let all = world.balance(account.address).await;
    let withdraw = Call::withdraw(bank, Address::ZERO, 0, all, account.address);
    account.wallet.send(&withdraw).await.unwrap();
    assert_eq!(world.balance(account.address).await, U256::ZERO);
    for (call, (bare, limit)) in calls.iter().zip(limits) {
        let with = async |gas| {
            node.call(request(account.address, call).gas_limit(gas))
                .await
        };
        with(bare).await.expect_err("the estimate alone is enough");
        with(limit).await.unwrap();
    }
}

#[tokio::test]
async fn counts_a_rollups_fees_in_estimates_and_receipts() {
    let world = World::new().await;
    world
        .node
        .anvil("anvil_setCode", (ORACLE, CONSTANT_FEES))
        .await;
    let account = world.account(5).await;
    let bank = world.reader.bank();
    let call = Call::fund(bank, Address::ZERO, account.address, coins(1));
    let plain = account.wallet.estimate(&call).await.unwrap();
    assert_eq!(plain.rollup_fee, U256::ZERO);
    assert_eq!(
        plain.max_cost,
        U256::from(plain.gas) * U256::from(plain.max_fee_per_gas) + call.value
    );

    // A receipt of the OP stack has the fee for its data.
    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_getTransactionReceipt", Fault::Extra("l1Fee", "0x777"));
    let mut profile = *world.reader.profile();
    profile.fees = FeeModel::OpStack;
    let node = connect(&proxy.url).await.unwrap();
    let wallet = Wallet::new(node, crate::node::signer(5), bank.chain_id());
    let wallet = wallet.with_profile(&profile);
    let estimate = wallet.estimate(&call).await.unwrap();
    // Data and operator.
    assert_eq!(estimate.rollup_fee, U256::from(2 * FEE));
    let gas = U256::from(estimate.gas) * U256::from(estimate.max_fee_per_gas);
    assert_eq!(estimate.max_cost, gas + call.value + estimate.rollup_fee);
    let mined = wallet.send(&call).await.unwrap();
    let price = U256::from(mined.receipt.effective_gas_price);
    let execution = U256::from(mined.gas_used) * price;
    assert_eq!(mined.fee, execution + U256::from(0x777 + FEE));
}
