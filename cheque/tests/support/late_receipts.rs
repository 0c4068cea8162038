//! Wallets over a node that returns receipts later than their block.

use super::node::{World, signer};
use alloy::{
    providers::{DynProvider, Provider, ProviderCall, RootProvider},
    rpc::types::TransactionReceipt,
};
use alloy_primitives::TxHash;
use cheque::tx::Wallet;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A provider whose first requests for receipts find none.
#[derive(Clone)]
struct LateReceipts {
    node: DynProvider,
    missing: Arc<AtomicUsize>,
}

impl Provider for LateReceipts {
    fn root(&self) -> &RootProvider {
        self.node.root()
    }

    fn get_transaction_receipt(
        &self,
        hash: TxHash,
    ) -> ProviderCall<(TxHash,), Option<TransactionReceipt>> {
        let take_one = |missing: usize| missing.checked_sub(1);
        match self
            .missing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
        {
            Ok(_) => ProviderCall::ready(Ok(None)),
            Err(_) => self.node.get_transaction_receipt(hash),
        }
    }
}

/// The wallet of account `number`. Its first `missing` requests for receipts find none.
pub(crate) fn late_receipts(world: &World, number: u8, missing: usize) -> Wallet {
    let node = world.node.provider.clone();
    let missing = Arc::new(AtomicUsize::new(missing));
    let provider = LateReceipts { node, missing }.erased();
    Wallet::new(provider, signer(number), 31_337)
}
