//! Waiting for transactions.

use crate::{
    tx::error::TxError,
    tx::wallet::{MinedTx, Wallet},
};
use alloy::{providers::Provider, rpc::types::TransactionReceipt};
use alloy_primitives::{Address, TxHash, U64, U256};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Number of checks, time and new blocks over which a nonce must be used, without a receipt of our own transactions, before
/// another transaction counts as its user. Nodes count a block's transactions before they return its receipts, and nodes
/// behind the same URL learn of a block at different moments.
const MIN_CHECKS: u32 = 4;
const MIN_TIME: Duration = Duration::from_secs(3);
const MIN_NEW_BLOCKS: u64 = 1;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The field of a transaction that counts here. Nodes leave out or null others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KnownTx {
    /// The number of the block; none while the transaction is pending.
    block_number: Option<U64>,
}

/// A used nonce without a receipt of our own transactions.
struct MissingReceipt {
    since: Instant,
    head: u64,
    checks: u32,
}

impl Wallet {
    /// Waits until one of the transactions of `account`, which share a nonce, is mined.
    ///
    /// # Errors
    ///
    /// [`TxError::NotMined`] after the wallet's timeout, [`TxError::Failed`] if the mined transaction reverted, and
    /// [`TxError::Replaced`] if another transaction used the nonce.
    pub(crate) async fn wait(
        &self,
        account: Address,
        hashes: &[TxHash],
        nonce: u64,
    ) -> Result<MinedTx, TxError> {
        match self.resolve(account, hashes, nonce, self.timeout).await? {
            Some(result) => result,
            None => Err(TxError::NotMined {
                hash: hashes.last().copied().unwrap_or_default(),
                after: self.timeout,
            }),
        }
    }

    /// Polls until the transactions of `account`, which share a nonce, are resolved: mined, failed or replaced. `None` if the outcome is
    /// still uncertain after `timeout`.
    pub(crate) async fn resolve(
        &self,
        account: Address,
        hashes: &[TxHash],
        nonce: u64,
        timeout: Duration,
    ) -> Result<Option<Result<MinedTx, TxError>>, TxError> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut missing = None;
        loop {
            // The nonce first: asked the other way round, a block between the two questions would use the nonce without a
            // receipt.
            let used = self.mined_nonce_of(account).await? > nonce;
            if let Some(mined) = self.find_mined(hashes).await? {
                return Ok(Some(mined));
            }
            if !used {
                // A reorganisation may have freed the nonce again.
                missing = None;
            } else if self.is_replaced(&mut missing).await? {
                return Ok(Some(Err(TxError::Replaced { nonce })));
            }
            if start.elapsed() >= timeout {
                return Ok(None);
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Finds the first of the transactions that is in a block: mined, or [`TxError::Failed`]. `None` if all are pending or
    /// unknown to the node.
    pub(crate) async fn find_mined(
        &self,
        hashes: &[TxHash],
    ) -> Result<Option<Result<MinedTx, TxError>>, TxError> {
        for hash in hashes {
            // Some nodes return a receipt before the transaction is in a block.
            if let Some(receipt) = self.provider.get_transaction_receipt(*hash).await?
                && let Some(block) = receipt.block_number
            {
                return Ok(Some(self.mined_tx(receipt, block).await?));
            }
        }
        Ok(None)
    }

    /// True if one of the transactions is in the node's mempool.
    pub(crate) async fn is_pending(&self, hashes: &[TxHash]) -> Result<bool, TxError> {
        for hash in hashes {
            let known = self.find_transaction(*hash).await?;
            if known.is_some_and(|known| known.block_number.is_none()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns a transaction that is in the node's mempool or in a block.
    pub(super) async fn find_transaction(&self, hash: TxHash) -> Result<Option<KnownTx>, TxError> {
        let method = "eth_getTransactionByHash".into();
        let known = self.provider.raw_request(method, (hash,));
        Ok(known.await?)
    }

    /// Counts another check without a receipt. True once there were enough to conclude that another transaction used the
    /// nonce.
    async fn is_replaced(&self, missing: &mut Option<MissingReceipt>) -> Result<bool, TxError> {
        let head = self.provider.get_block_number().await?;
        let missing = missing.get_or_insert_with(|| MissingReceipt {
            since: Instant::now(),
            head,
            checks: 0,
        });
        missing.checks += 1;
        Ok(missing.checks >= MIN_CHECKS
            && missing.since.elapsed() >= MIN_TIME
            && head >= missing.head.saturating_add(MIN_NEW_BLOCKS))
    }

    /// Reads the result of a transaction in a block, with its whole fee.
    async fn mined_tx(
        &self,
        receipt: TransactionReceipt,
        block: u64,
    ) -> Result<Result<MinedTx, TxError>, TxError> {
        let hash = receipt.transaction_hash;
        if !receipt.status() {
            return Ok(Err(TxError::Failed(hash)));
        }
        let beside = self.gas_oracle().fee_of_mined(hash, receipt.gas_used).await;
        let gas = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
        Ok(Ok(MinedTx {
            hash,
            block,
            gas_used: receipt.gas_used,
            fee: gas.saturating_add(self.gas_result(beside)?),
            receipt: Box::new(receipt),
        }))
    }
}
