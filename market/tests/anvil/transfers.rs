//! Payment by transfers.

use crate::node::{Party, World};
use alloy::{
    providers::{DynProvider, Provider, ProviderCall, RootProvider},
    rpc::types::TransactionReceipt,
};
use alloy_primitives::{Address, B256, TxHash, hex};
use cheque::{
    bank::{BankError, NativeRate},
    store::Memory,
    tx::Wallet,
};
use cheque_market::{
    payment::{
        Arrived, Incoming, ModuleError, PaymentSender, ReceiveError, TransferRejection,
        TransferTerms,
        chain::{TransferModule, TransferReader, TransferSender},
        judge,
    },
    store::{self, Batch, Store},
};
use std::{sync::Arc, time::Duration};

const PREFIX: &[u8] = b"market:";
const KEY: &[u8] = b"transfers:";
const TOKEN: Address = Address::repeat_byte(0x70);
const CONFIRMATIONS: u64 = 3;

/// A token that moves nothing and says that it did: `Transfer(caller, to, value)`.
const SAYS_SO: &str = "60206024600037600435337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef\
                       60206000a3600160005260206000f3";

struct Scene {
    world: World,
    customer: Party,
    payee: Party,
    token: Address,
}

impl Scene {
    async fn new(token: Address) -> Self {
        let world = World::new().await;
        let (customer, payee) = (world.party(1).await, world.party(11).await);
        let code = format!("0x{SAYS_SO}");
        assert_eq!(hex::decode(&code).unwrap().len(), 59);
        world.node.anvil("anvil_setCode", (TOKEN, code)).await;
        Self {
            world,
            customer,
            payee,
            token,
        }
    }

    fn terms(&self) -> TransferTerms {
        TransferTerms {
            chain_id: 31_337,
            token: self.token,
            payee: self.payee.address,
            confirmations: CONFIRMATIONS,
        }
    }

    async fn module(&self) -> TransferModule {
        let node = self.world.node.provider.clone();
        TransferModule::open(node, self.terms()).await.unwrap()
    }

    async fn sender(&self, wallet: Wallet, store: &Arc<Memory>) -> TransferSender {
        let node = self.world.node.provider.clone();
        let paid_in = (self.token, NativeRate::NATIVE);
        TransferSender::open(node, wallet, store.clone(), paid_in, KEY)
            .await
            .unwrap()
    }

    async fn arrived(&self, from: Address, proof: &[u8], store: &store::Memory) -> Arrived {
        let module = self.module().await;
        judge(&module, store, PREFIX, from, proof).await.unwrap()
    }

    /// What a host does with a proof from `from`.
    async fn take(
        &self,
        from: Address,
        proof: &[u8],
        store: &store::Memory,
    ) -> Result<Incoming, TransferRejection> {
        let arrived = self.arrived(from, proof, store).await;
        let mut batch = Batch::new();
        let taken = arrived.store_received(store, &mut batch).map_err(rejection);
        store.write(&batch).unwrap();
        taken
    }
}

fn rejection(error: ReceiveError<ModuleError>) -> TransferRejection {
    match error {
        ReceiveError::Rejected(ModuleError::Rejected(error)) => *error.downcast().unwrap(),
        other => panic!("not a rejection: {other:?}"),
    }
}

#[tokio::test]
async fn coin_and_tokens_are_paid_confirmed_and_credited_once() {
    for token in [Address::ZERO, TOKEN] {
        let scene = Scene::new(token).await;
        let (customer, payee) = (scene.customer.address, scene.payee.address);
        let sender = scene
            .sender(scene.customer.wallet.clone(), &Arc::default())
            .await;
        let module = scene.module().await;
        let mut modules = cheque_market::payment::Receivers::new();
        modules.register(Arc::new(module));
        assert!(modules.agree(&sender.offer()).is_ok());

        let expected = sender.payment_cost(payee, 500).await.unwrap();
        let sent = sender.request_payment(payee, 1, 500).await.unwrap();
        assert_eq!((sent.amount, sent.proofs.len()), (500, 1));
        // Blocks are nearly empty here, so gas becomes an eighth cheaper from one to the next.
        let (fee, expected) = (sent.cost - 500, expected - 500);
        assert!(
            fee <= expected && fee > expected - expected / 4,
            "{fee}, {expected}"
        );

        let (store, proof) = (store::Memory::new(), &sent.proofs[0]);
        let early = scene.take(customer, proof, &store).await;
        let (found, needed) = (1, CONFIRMATIONS);
        assert_eq!(
            early,
            Err(TransferRejection::NotConfirmed { found, needed })
        );
        scene.world.node.mine(CONFIRMATIONS - 1).await;
        // Who has seen the transaction on chain gets nothing by showing it first.
        let (found, expected) = (customer, scene.payee.address);
        let thief = scene.take(expected, proof, &store).await;
        assert_eq!(thief, Err(TransferRejection::WrongFrom { found, expected }));
        let again = scene.arrived(customer, proof, &store).await;
        let taken = scene.take(customer, proof, &store).await.unwrap();
        assert_eq!((taken.value, taken.credit_to), (500, customer));
        // Also not if it was looked at before, or is shown for another account.
        let mut batch = Batch::new();
        let again = again.store_received(&store, &mut batch).map_err(rejection);
        assert!(matches!(again, Err(TransferRejection::Replay { .. })));
        for from in [customer, scene.payee.address] {
            let again = scene.take(from, proof, &store).await;
            assert!(matches!(again, Err(TransferRejection::Replay { .. })));
        }
        let again = sender.proofs_again(payee).await.unwrap();
        assert_eq!(again, sent.proofs);
    }
}

#[tokio::test]
async fn a_transfer_that_a_reorganisation_drops_is_unknown_until_it_is_sent_again() {
    for token in [Address::ZERO, TOKEN] {
        let scene = Scene::new(token).await;
        let node = &scene.world.node;
        let sender = scene
            .sender(scene.customer.wallet.clone(), &Arc::default())
            .await;
        let before = node.anvil("evm_snapshot", ()).await;
        let payee = scene.payee.address;
        let proof = &sender.request_payment(payee, 1, 500).await.unwrap().proofs[0];
        node.mine(CONFIRMATIONS - 2).await;
        node.anvil("evm_revert", [before]).await;
        node.mine(CONFIRMATIONS + 2).await;
        let (customer, store) = (scene.customer.address, store::Memory::new());
        let dropped = scene.take(customer, proof, &store).await;
        assert!(matches!(dropped, Err(TransferRejection::Unknown { .. })));

        let again = sender.proofs_again(payee).await.unwrap();
        assert_eq!((again.len(), &again[0]), (1, proof), "the same transaction");
        node.mine(CONFIRMATIONS - 1).await;
        let taken = scene.take(customer, proof, &store).await.unwrap();
        assert_eq!(taken.value, 500);
    }
}

#[tokio::test]
async fn what_is_no_payment_to_the_provider_is_rejected() {
    for token in [Address::ZERO, TOKEN] {
        let scene = Scene::new(token).await;
        let customer = scene.customer.address;
        let sender = scene
            .sender(scene.customer.wallet.clone(), &Arc::default())
            .await;
        let other = Address::repeat_byte(0x42);
        let elsewhere = sender.request_payment(other, 1, 500).await.unwrap();
        scene.world.node.mine(CONFIRMATIONS).await;
        let store = store::Memory::new();
        let (found, expected) = (other, scene.payee.address);
        let wrong = scene.take(customer, &elsewhere.proofs[0], &store).await;
        assert_eq!(
            wrong,
            Err(TransferRejection::WrongPayee { found, expected })
        );

        // Another position in the same transaction, and no transaction.
        let payee = scene.payee.address;
        let mut proof = sender.request_payment(payee, 1, 7).await.unwrap().proofs[0].clone();
        scene.world.node.mine(CONFIRMATIONS).await;
        proof[39] ^= 1;
        let nothing = scene.take(customer, &proof, &store).await;
        assert!(matches!(nothing, Err(TransferRejection::Unknown { .. })));
        let unknown = [&[9; 32][..], &[0; 8]].concat();
        let unknown = scene.take(customer, &unknown, &store).await;
        assert!(matches!(unknown, Err(TransferRejection::Unknown { .. })));
        let module = scene.module().await;
        let short = judge(&module, &store, PREFIX, customer, &[1; 39]).await;
        let length = TransferRejection::Length { found: 39 };
        assert_eq!(rejection(short.unwrap_err()), length);
    }
}

#[tokio::test]
async fn a_transfer_of_another_token_or_a_reverted_one_does_not_count() {
    let scene = Scene::new(TOKEN).await;
    let node = &scene.world.node;
    let sender = scene
        .sender(scene.customer.wallet.clone(), &Arc::default())
        .await;
    let payee = scene.payee.address;
    let sent = sender.request_payment(payee, 1, 500).await.unwrap();
    let transaction = B256::from_slice(&sent.proofs[0][..32]);
    let reader = async |token| {
        let reader = TransferReader::open(node.provider.clone(), 31_337, token).await;
        reader.unwrap().view(transaction, 0).await.unwrap().transfer
    };
    assert!(reader(TOKEN).await.is_some());
    assert_eq!(reader(Address::repeat_byte(0x71)).await, None);
    // The call of a token carries no coin.
    let coin = reader(Address::ZERO).await.unwrap();
    assert_eq!((coin.to, coin.amount), (TOKEN, 0));

    // In the pool while the token works, mined when it does not.
    node.anvil("evm_setAutomine", [false]).await;
    let impatient = scene.customer.wallet.clone().with_timeout(Duration::ZERO);
    let sender = scene.sender(impatient, &Arc::default()).await;
    sender.request_payment(payee, 1, 500).await.unwrap_err();
    node.anvil("anvil_setCode", (TOKEN, "0x60006000fd")).await;
    node.mine(CONFIRMATIONS).await;
    let block = node.anvil("eth_getBlockByNumber", ("latest", false)).await;
    let height = u64::from_str_radix(&block["number"].as_str().unwrap()[2..], 16).unwrap();
    let first = format!("{:#x}", height + 1 - CONFIRMATIONS);
    let block = node.anvil("eth_getBlockByNumber", (first, false)).await;
    let reverted: B256 = block["transactions"][0].as_str().unwrap().parse().unwrap();
    let reader = TransferReader::open(node.provider.clone(), 31_337, TOKEN);
    let view = reader.await.unwrap().view(reverted, 0).await.unwrap();
    assert_eq!((view.head, view.transfer), (height, None));
}

#[tokio::test]
async fn an_interrupted_transfer_is_finished_and_not_made_twice() {
    let scene = Scene::new(Address::ZERO).await;
    let node = &scene.world.node;
    let store = Arc::default();
    let payee = scene.payee.address;
    let before = scene.world.coin(payee).await;
    let wallet = &scene.customer.wallet;
    let impatient = scene
        .sender(wallet.clone().with_timeout(Duration::ZERO), &store)
        .await;
    node.anvil("evm_setAutomine", [false]).await;
    let error = impatient.request_payment(payee, 1, 500).await.unwrap_err();
    assert!(error.to_string().contains("was not mined"), "{error}");
    drop(impatient);

    // The process is started again. What is asked for now is not what was paid.
    node.anvil("evm_setAutomine", [true]).await;
    node.mine(1).await;
    let sender = scene.sender(wallet.clone(), &store).await;
    let error = sender.request_payment(payee, 501, 900).await.unwrap_err();
    assert!(error.to_string().contains("payment of 500"), "{error}");
    let proofs = sender.proofs_again(payee).await.unwrap();
    node.mine(CONFIRMATIONS).await;
    let taken = scene
        .take(scene.customer.address, &proofs[0], &store::Memory::new())
        .await;
    assert_eq!(taken.unwrap().value, 500);
    // Now it is another payment.
    let sent = sender.request_payment(payee, 1, 400).await.unwrap();
    assert_eq!(sent.amount, 400);
    let received = scene.world.coin(payee).await - before;
    assert_eq!(received.to::<u64>(), 900);

    // Killed again, and asked for what was paid then.
    node.anvil("evm_setAutomine", [false]).await;
    let impatient = wallet.clone().with_timeout(Duration::ZERO);
    let impatient = scene.sender(impatient, &store).await;
    impatient.request_payment(payee, 1, 300).await.unwrap_err();
    node.anvil("evm_setAutomine", [true]).await;
    node.mine(1).await;
    let sent = sender.request_payment(payee, 100, 350).await.unwrap();
    assert_eq!(sent.amount, 300);
    let received = scene.world.coin(payee).await - before;
    assert_eq!(received.to::<u64>(), 1_200);
}

/// A node that hands out the receipt of a block that was replaced.
#[derive(Clone)]
struct Stale {
    node: DynProvider,
    receipt: TransactionReceipt,
}

impl Provider for Stale {
    fn root(&self) -> &RootProvider {
        self.node.root()
    }

    fn get_transaction_receipt(
        &self,
        _: TxHash,
    ) -> ProviderCall<(TxHash,), Option<TransactionReceipt>> {
        ProviderCall::ready(Ok(Some(self.receipt.clone())))
    }
}

#[tokio::test]
async fn a_receipt_of_a_block_that_was_replaced_does_not_count() {
    let scene = Scene::new(TOKEN).await;
    let node = &scene.world.node;
    let sender = scene
        .sender(scene.customer.wallet.clone(), &Arc::default())
        .await;
    let before = node.anvil("evm_snapshot", ()).await;
    let sent = sender.request_payment(scene.payee.address, 1, 500).await;
    let proof = sent.unwrap().proofs.remove(0);
    let transaction = B256::from_slice(&proof[..32]);
    let receipt = node.provider.get_transaction_receipt(transaction).await;
    let stale = Stale {
        node: node.provider.clone(),
        receipt: receipt.unwrap().unwrap(),
    };
    let reader = TransferReader::open(stale.erased(), 31_337, TOKEN);
    let reader = reader.await.unwrap();
    assert!(
        reader
            .view(transaction, 0)
            .await
            .unwrap()
            .transfer
            .is_some()
    );
    node.anvil("evm_revert", [before]).await;
    assert_eq!(reader.view(transaction, 0).await.unwrap().transfer, None);
    node.mine(CONFIRMATIONS).await;
    assert_eq!(reader.view(transaction, 0).await.unwrap().transfer, None);
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused() {
    let scene = Scene::new(TOKEN).await;
    let terms = TransferTerms {
        chain_id: 1,
        ..scene.terms()
    };
    let refused = TransferModule::open(scene.world.node.provider.clone(), terms).await;
    let (expected, found) = (1, 31_337);
    assert!(
        matches!(refused, Err(BankError::WrongChain { expected: e, found: f }) if (e, f) == (expected, found))
    );
}

#[tokio::test]
async fn a_token_that_transfers_something_else_is_paid_in_once_until_the_payment_is_given_up() {
    let scene = Scene::new(TOKEN).await;
    // Succeeds, returns true and has no event.
    let code = "0x600160005260206000f3";
    scene.world.node.anvil("anvil_setCode", (TOKEN, code)).await;
    let store = Arc::new(Memory::new());
    let sender = scene.sender(scene.customer.wallet.clone(), &store).await;
    let (payee, account) = (scene.payee.address, scene.customer.address);
    let transactions = async || {
        let provider = &scene.world.node.provider;
        provider.get_transaction_count(account).await.unwrap()
    };
    for _ in 0..3 {
        let refused = sender.request_payment(payee, 1, 500).await.unwrap_err();
        assert!(refused.to_string().contains("given up"), "{refused}");
        let refused = sender.proofs_again(payee).await.unwrap_err();
        assert!(refused.to_string().contains("given up"), "{refused}");
    }
    assert_eq!(transactions().await, 1);
    sender.give_up(payee).await.unwrap();
    sender.request_payment(payee, 1, 500).await.unwrap_err();
    assert_eq!(transactions().await, 2);
}
