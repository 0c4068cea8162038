//! Nodes that know of a block before they hand out its receipts.

use crate::cast::{Cast, memory, state};
use crate::node::World;
use crate::proxy::{Fault, Proxy};
use alloy::{
    network::EthereumWallet,
    providers::{DynProvider, Provider, ProviderCall, RootProvider},
    rpc::types::TransactionReceipt,
    signers::local::PrivateKeySigner,
};
use alloy_primitives::{Address, B256, TxHash, U256};
use cheque::{
    node::connect,
    payer::DepositState,
    tx::{Call, IdempotentSender, OutboxError, TxError, Wallet},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

/// A way to the node on which so many requests for receipts find none.
#[derive(Clone)]
struct Lagging {
    node: DynProvider,
    lag: Arc<AtomicUsize>,
}

impl Provider for Lagging {
    fn root(&self) -> &RootProvider {
        self.node.root()
    }

    fn get_transaction_receipt(
        &self,
        hash: TxHash,
    ) -> ProviderCall<(TxHash,), Option<TransactionReceipt>> {
        let take_one = |lag: usize| lag.checked_sub(1);
        match self
            .lag
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
        {
            Ok(_) => ProviderCall::ready(Ok(None)),
            Err(_) => self.node.get_transaction_receipt(hash),
        }
    }
}

/// The party's sender over such a way.
pub(crate) fn lagging(world: &World, number: u8, lag: usize) -> Wallet {
    let node = world.node.provider.clone();
    let lag = Arc::new(AtomicUsize::new(lag));
    let provider = Lagging { node, lag }.erased();
    Wallet::new(provider, wallet(number), 31_337)
}

/// The party's wallet.
pub(crate) fn wallet(number: u8) -> EthereumWallet {
    let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap();
    EthereumWallet::from(wallet)
}

fn gift(wei: u64) -> Call {
    Call {
        to: Address::repeat_byte(0x42),
        input: Default::default(),
        value: U256::from(wei),
    }
}

#[tokio::test]
async fn a_mined_transaction_whose_receipt_comes_late_was_not_replaced() {
    let world = World::new().await;
    let party = world.party(7).await;
    let sent = lagging(&world, 7, 6).send(&gift(1)).await.unwrap();
    assert_eq!(sent.block, world.head().await);
    assert_eq!(nonce(&world, party.address).await, 1);
}

#[tokio::test]
async fn a_transaction_kept_in_the_store_is_found_again_when_its_receipt_comes_late() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let store = memory();
    let payer = |wallet| world.payer(&cast.payer, store.clone()).with_wallet(wallet);
    // Mined at once, but this process is gone before it sees the receipt.
    let killed = lagging(world, 1, usize::MAX).with_timeout(Duration::ZERO);
    payer(killed)
        .create_deposit(&cast.request(60))
        .await
        .unwrap_err();
    let (id, record) = payer(cast.payer.wallet.clone()).deposits().await.unwrap()[0].clone();
    assert_eq!(record.state, DepositState::Pending);
    let opened = payer(lagging(world, 1, 5)).open(id).await.unwrap();
    assert_eq!(opened.sent.block, world.head().await);
    assert_eq!(nonce(world, cast.payer.address).await, 1);
    let payer = payer(cast.payer.wallet.clone());
    assert_eq!(state(&payer, id).await, DepositState::Active);
}

#[tokio::test]
async fn a_transaction_whose_nonce_went_to_another_one_is_replaced_after_a_new_block() {
    let world = World::new().await;
    let party = world.party(7).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let wallet = party.wallet.clone();
    let first = tokio::spawn(async move { wallet.send(&gift(1)).await });
    while nonce(&world, party.address).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.node.anvil("anvil_dropAllTransactions", ()).await;
    // Another wallet program with the same key.
    let other = lagging(&world, 7, 0).with_timeout(Duration::ZERO);
    let waits = other.send(&gift(2)).await.unwrap_err();
    let TxError::NotMined { hash, .. } = waits else {
        panic!("nothing mines it: {waits}");
    };
    let advice = format!("it may still be mined: look at {hash} before repeating");
    assert!(waits.to_string().contains(&advice), "{waits}");
    world.node.mine(1).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!first.is_finished(), "the same block is not certain enough");
    world.node.mine(1).await;
    let replaced = first.await.unwrap().unwrap_err();
    assert!(
        matches!(replaced, TxError::Replaced { nonce: 0 }),
        "{replaced}"
    );
}

#[tokio::test]
async fn a_transaction_whose_receipt_the_node_has_forgotten_is_never_made_again() {
    let world = World::new().await;
    let party = world.party(7).await;
    let store = memory();
    // Mined at once, but this process is gone before it sees the receipt.
    let killed = lagging(&world, 7, usize::MAX).with_timeout(Duration::ZERO);
    let killed = IdempotentSender::new(killed, store.clone());
    killed.send(b"rent", &gift(1)).await.unwrap_err();
    let forgetful = IdempotentSender::new(lagging(&world, 7, usize::MAX), store.clone());
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
    // Nor from another account.
    let other = IdempotentSender::new(world.party(8).await.wallet, store.clone());
    let found = other.send(b"rent", &gift(1)).await.unwrap();
    let good = IdempotentSender::new(party.wallet.clone(), store);
    let sent = good.send(b"rent", &gift(1)).await.unwrap();
    assert_eq!(sent.hash, found.hash);
    assert_eq!(nonce(&world, party.address).await, 1);
    let gifts = world.node.provider.get_balance(gift(1).to).await.unwrap();
    assert_eq!(gifts, U256::from(1));
}

#[tokio::test]
async fn a_receipt_without_a_block_is_none() {
    let world = World::new().await;
    world.party(7).await;
    let proxy = Proxy::start(&world.node.provider).await;
    let wallet = Wallet::new(connect(&proxy.url).await.unwrap(), wallet(7), 31_337);
    let once = IdempotentSender::new(wallet.with_timeout(Duration::ZERO), memory());
    proxy.fail("eth_getTransactionReceipt", Fault::NoBlockNumber);
    let waits = once.send(b"rent", &gift(1)).await.unwrap_err();
    let OutboxError::Tx(TxError::NotMined { hash, .. }) = waits else {
        panic!("it is in no block: {waits}");
    };
    proxy.heal();
    let sent = once.send(b"rent", &gift(1)).await.unwrap();
    assert_eq!((sent.hash, sent.block), (hash, world.head().await));
}

async fn nonce(world: &World, account: Address) -> u64 {
    let count = world.node.provider.get_transaction_count(account);
    count.pending().await.unwrap()
}
