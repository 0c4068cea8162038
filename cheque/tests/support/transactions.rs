//! Transactions of an account: in the mempool, in blocks, and in the outbox of a store.

use super::node::World;
use alloy::providers::Provider;
use alloy_primitives::{Address, TxHash, U256};
use cheque::{
    store::{Store, Swap, Table},
    tx::TxRecord,
};
use std::ops::ControlFlow;

/// Nonce, hash and receiver of an account's transactions in the mempool, by nonce.
pub(crate) async fn mempool(world: &World, account: Address) -> Vec<(u64, TxHash, Address)> {
    let content = world
        .node
        .provider
        .raw_request::<_, serde_json::Value>("txpool_content".into(), ());
    let content = content.await.unwrap();
    let mut found = Vec::new();
    for part in ["pending", "queued"] {
        for (from, by_nonce) in content[part].as_object().unwrap() {
            if from.parse::<Address>().unwrap() != account {
                continue;
            }
            for transaction in by_nonce.as_object().unwrap().values() {
                let nonce = transaction["nonce"].as_str().unwrap();
                found.push((
                    u64::from_str_radix(nonce.trim_start_matches("0x"), 16).unwrap(),
                    transaction["hash"].as_str().unwrap().parse().unwrap(),
                    transaction["to"].as_str().unwrap().parse().unwrap(),
                ));
            }
        }
    }
    found.sort();
    found
}

/// Sends a dropped transaction to the node again.
pub(crate) async fn resend(world: &World, raw: &[u8]) {
    let resent = world.node.provider.send_raw_transaction(raw);
    let _pending = resent.await.unwrap();
}

/// Total fees and number of an account's mined transactions. Panics if one has failed.
pub(crate) async fn fees(world: &World, account: Address) -> (U256, u64) {
    let (mut sum, mut count) = (U256::ZERO, 0);
    for block in 0..=world.head().await {
        let receipts = world.node.provider.get_block_receipts(block.into());
        for receipt in receipts.await.unwrap().unwrap_or_default() {
            if receipt.from == account {
                assert!(receipt.status(), "{} failed", receipt.transaction_hash);
                sum += U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
                count += 1;
            }
        }
    }
    (sum, count)
}

/// Replaces a record of the outbox.
pub(crate) fn replace(store: &impl Store, old: &TxRecord, new: &TxRecord) {
    let old = old.to_bytes();
    let mut key = Vec::new();
    let each = &mut |found: &[u8], value: &[u8]| {
        if value == old {
            key = found.to_vec();
        }
        ControlFlow::Continue(())
    };
    store.scan(Table::Outbox, b"", each).unwrap();
    let new = new.to_bytes();
    let replaced = store.compare_and_set(Table::Outbox, &key, Some(&old), &new);
    assert_eq!(replaced.unwrap(), Swap::Done);
}

/// All records of the outbox.
pub(crate) fn outbox(store: &impl Store) -> Vec<TxRecord> {
    let mut records = Vec::new();
    let each = &mut |_: &[u8], value: &[u8]| {
        records.push(TxRecord::from_bytes(value).unwrap());
        ControlFlow::Continue(())
    };
    store.scan(Table::Outbox, b"", each).unwrap();
    records
}
