//! Sending over nodes that return receipts late, never, or without a block.

use crate::fixtures::{Fixture, HOUR, memory, state};
use crate::late_receipts::late_receipts;
use crate::node::{World, signer};
use crate::proxy::{Fault, Proxy};
use alloy_primitives::{Address, U256};
use cheque::{
    node::connect,
    payer::DepositState,
    tx::{Call, IdempotentSender, OutboxError, TxError, Wallet},
};
use std::time::Duration;

fn gift(wei: u64) -> Call {
    Call {
        to: Address::repeat_byte(0x42),
        input: Default::default(),
        value: U256::from(wei),
    }
}

#[tokio::test]
async fn waits_for_late_receipt_of_mined_transaction() {
    // The sender must not take the transaction for replaced.
    let world = World::new().await;
    let account = world.account(7).await;
    let sent = late_receipts(&world, 7, 6).send(&gift(1)).await.unwrap();
    assert_eq!(sent.block, world.head().await);
    assert_eq!(world.node.all_transactions(account.address).await, 1);
}

#[tokio::test]
async fn finds_stored_transaction_by_late_receipt() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let store = memory();
    let payer = |wallet| {
        world
            .payer(&fixture.payer, store.clone())
            .with_wallet(wallet)
    };
    // The node mines the transaction at once, and the process ends before it sees the receipt.
    let killed = late_receipts(world, 1, usize::MAX).with_timeout(Duration::ZERO);
    payer(killed)
        .create_deposit(&fixture.request(HOUR))
        .await
        .unwrap_err();
    let (id, record) = payer(fixture.payer.wallet.clone())
        .deposits()
        .await
        .unwrap()[0]
        .clone();
    assert_eq!(record.state, DepositState::Pending);
    let opened = payer(late_receipts(world, 1, 5)).open(id).await.unwrap();
    assert_eq!(opened.tx.block, world.head().await);
    assert_eq!(world.node.all_transactions(fixture.payer.address).await, 1);
    let payer = payer(fixture.payer.wallet.clone());
    assert_eq!(state(&payer, id).await, DepositState::Active);
}

#[tokio::test]
async fn reports_replaced_nonce_only_after_new_block() {
    let world = World::new().await;
    let account = world.account(7).await;
    world.node.automine(false).await;
    let wallet = account.wallet.clone();
    let first = tokio::spawn(async move { wallet.send(&gift(1)).await });
    while world.node.all_transactions(account.address).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.node.drop_transactions().await;
    // Another wallet program uses the same key.
    let other = late_receipts(&world, 7, 0).with_timeout(Duration::ZERO);
    let waits = other.send(&gift(2)).await.unwrap_err();
    let TxError::NotMined { hash, .. } = waits else {
        panic!("the node mined the transaction: {waits}");
    };
    let advice = format!("check {hash} before sending another");
    assert!(waits.to_string().contains(&advice), "{waits}");
    world.node.mine(1).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!first.is_finished(), "replaced before a new block");
    world.node.mine(1).await;
    let replaced = first.await.unwrap().unwrap_err();
    assert!(
        matches!(replaced, TxError::Replaced { nonce: 0 }),
        "{replaced}"
    );
}

#[tokio::test]
async fn never_repeats_transaction_with_forgotten_receipt() {
    let world = World::new().await;
    let account = world.account(7).await;
    let store = memory();
    // The node mines the transaction at once, and the process ends before it sees the receipt.
    let killed = late_receipts(&world, 7, usize::MAX).with_timeout(Duration::ZERO);
    let killed = IdempotentSender::new(killed, store.clone());
    killed.send(b"rent", &gift(1)).await.unwrap_err();
    let forgetful = IdempotentSender::new(late_receipts(&world, 7, usize::MAX), store.clone());
    let again = tokio::spawn(async move { forgetful.send(b"rent", &gift(1)).await });
    while !again.is_finished() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.node.mine(1).await;
    }
    let undecided = again.await.unwrap().unwrap_err();
    assert!(
        matches!(undecided, OutboxError::Undecided { nonce: 0, .. }),
        "{undecided}"
    );
    // Another account does not repeat the transaction either.
    let other = IdempotentSender::new(world.account(8).await.wallet, store.clone());
    let found = other.send(b"rent", &gift(1)).await.unwrap();
    let good = IdempotentSender::new(account.wallet.clone(), store);
    let sent = good.send(b"rent", &gift(1)).await.unwrap();
    assert_eq!(sent.hash, found.hash);
    assert_eq!(world.node.all_transactions(account.address).await, 1);
    assert_eq!(world.coin(gift(1).to).await, U256::from(1));
}

#[tokio::test]
async fn ignores_receipt_without_block() {
    let world = World::new().await;
    world.account(7).await;
    let proxy = Proxy::start(&world.node.provider).await;
    let wallet = Wallet::new(connect(&proxy.url).await.unwrap(), signer(7), 31_337);
    let once = IdempotentSender::new(wallet.with_timeout(Duration::ZERO), memory());
    proxy.fail("eth_getTransactionReceipt", Fault::NoBlockNumber);
    let waits = once.send(b"rent", &gift(1)).await.unwrap_err();
    let OutboxError::Tx(TxError::NotMined { hash, .. }) = waits else {
        panic!("the receipt counts without a block: {waits}");
    };
    proxy.heal();
    let sent = once.send(b"rent", &gift(1)).await.unwrap();
    assert_eq!((sent.hash, sent.block), (hash, world.head().await));
}
