//! Waiting for transactions.

use crate::{
    tx::error::TxError,
    tx::wallet::{MinedTx, Wallet},
};
use alloy::{providers::Provider, rpc::types::TransactionReceipt};
use alloy_primitives::{TxHash, U256};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often, for how long, and over how many new blocks a nonce has to be seen used, without a receipt of our own
/// transactions, until it is another's. Nodes count a block's transactions before they hand out its receipts, and the
/// nodes behind one URL do not know of a block at the same moment.
const LOOKS: u32 = 4;
const DOUBT: Duration = Duration::from_secs(3);
const NEW_BLOCKS: u64 = 1;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A nonce that is used, by nobody knows which transaction yet.
struct Doubt {
    since: Instant,
    head: u64,
    looks: u32,
}

impl Wallet {
    /// Waits until one of the transactions, which share a nonce, is mined.
    pub(crate) async fn wait(&self, hashes: &[TxHash], nonce: u64) -> Result<MinedTx, TxError> {
        match self.decided(hashes, nonce, self.timeout).await? {
            Some(result) => result,
            None => Err(TxError::NotMined {
                hash: hashes.last().copied().unwrap_or_default(),
                after: self.timeout,
            }),
        }
    }

    /// What became of the transactions, which share a nonce: sent, failed or replaced. `None`: that is not certain after
    /// this time.
    pub(crate) async fn decided(
        &self,
        hashes: &[TxHash],
        nonce: u64,
        patience: Duration,
    ) -> Result<Option<Result<MinedTx, TxError>>, TxError> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut doubt = None;
        loop {
            // Asked before the receipts: one that exists when the nonce is used may be seen only at a later look.
            let used = self.mined_nonce().await? > nonce;
            if let Some(sent) = self.mined(hashes).await? {
                return Ok(Some(sent));
            }
            if !used {
                // Or not any more, by a reorganisation.
                doubt = None;
            } else if self.is_replaced(&mut doubt).await? {
                return Ok(Some(Err(TxError::Replaced { nonce })));
            }
            if start.elapsed() >= patience {
                return Ok(None);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The first of the transactions that is in a block: sent, or failed.
    pub(crate) async fn mined(
        &self,
        hashes: &[TxHash],
    ) -> Result<Option<Result<MinedTx, TxError>>, TxError> {
        for hash in hashes {
            // Some nodes have a receipt before there is a block.
            if let Some(receipt) = self.provider.get_transaction_receipt(*hash).await?
                && let Some(block) = receipt.block_number
            {
                return Ok(Some(sent(receipt, block)));
            }
        }
        Ok(None)
    }

    /// Whether the node has one of the transactions, and it is in no block.
    pub(crate) async fn is_waiting(&self, hashes: &[TxHash]) -> Result<bool, TxError> {
        for hash in hashes {
            let known = self.provider.get_transaction_by_hash(*hash).await?;
            if known.is_some_and(|known| known.block_number.is_none()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts one more look at a used nonce without a receipt.
    async fn is_replaced(&self, doubt: &mut Option<Doubt>) -> Result<bool, TxError> {
        let head = self.provider.get_block_number().await?;
        let doubt = doubt.get_or_insert_with(|| Doubt {
            since: Instant::now(),
            head,
            looks: 0,
        });
        doubt.looks += 1;
        Ok(doubt.looks >= LOOKS
            && doubt.since.elapsed() >= DOUBT
            && head >= doubt.head.saturating_add(NEW_BLOCKS))
    }
}

fn sent(receipt: TransactionReceipt, block: u64) -> Result<MinedTx, TxError> {
    if !receipt.status() {
        return Err(TxError::Failed(receipt.transaction_hash));
    }
    Ok(MinedTx {
        hash: receipt.transaction_hash,
        block,
        gas_used: receipt.gas_used,
        fee: U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price),
        receipt: Box::new(receipt),
    })
}
