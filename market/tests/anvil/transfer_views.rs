//! Views of transfers on the chain.

use crate::transfer_scene::{CONFIRM_S, Scene, TOKEN};
use alloy::{
    providers::{DynProvider, Provider, ProviderCall, RootProvider},
    rpc::types::TransactionReceipt,
};
use alloy_primitives::{Address, B256, TxHash};
use cheque::bank::BankError;
use cheque_market::payment::{
    PaymentSender, TransferTerms,
    chain::{TransferModule, TransferReader},
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn ignores_other_tokens_and_reverted_transfers() {
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
    // A token's transaction carries no coin.
    let coin = reader(Address::ZERO).await.unwrap();
    assert_eq!((coin.to, coin.amount), (TOKEN, 0));

    // In the mempool while the token works, mined after it broke.
    node.automine(false).await;
    let impatient = scene.customer.wallet.clone().with_timeout(Duration::ZERO);
    let sender = scene.sender(impatient, &Arc::default()).await;
    sender.request_payment(payee, 1, 500).await.unwrap_err();
    node.anvil("anvil_setCode", (TOKEN, "0x60006000fd")).await;
    node.mine(1).await;
    let block = node.anvil("eth_getBlockByNumber", ("latest", false)).await;
    let reverted: B256 = block["transactions"][0].as_str().unwrap().parse().unwrap();
    node.advance(CONFIRM_S).await;
    let reader = TransferReader::open(node.provider.clone(), 31_337, TOKEN);
    let view = reader.await.unwrap().view(reverted, 0).await.unwrap();
    assert_eq!((view.head_time_s, view.transfer), (node.now().await, None));
}

/// A node that returns the receipt of a replaced block.
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
async fn ignores_receipt_of_a_replaced_block() {
    let scene = Scene::new(TOKEN).await;
    let node = &scene.world.node;
    let sender = scene
        .sender(scene.customer.wallet.clone(), &Arc::default())
        .await;
    let before = node.snapshot().await;
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
    node.revert(before).await;
    assert_eq!(reader.view(transaction, 0).await.unwrap().transfer, None);
    node.advance(CONFIRM_S).await;
    assert_eq!(reader.view(transaction, 0).await.unwrap().transfer, None);
}

#[tokio::test]
async fn rejects_node_of_another_chain() {
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
