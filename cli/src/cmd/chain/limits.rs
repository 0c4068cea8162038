//! The limits of a node that services meet: requests in a batch, blocks of a question for logs, fees, and forks.

use alloy::{
    primitives::Address,
    providers::{DynProvider, Provider},
    rpc::{
        client::BatchRequest,
        types::{BlockNumberOrTag, Filter},
    },
};
use cheque::node::{NodeError, batch_limit};
use eyre::Result;
use serde_json::Value;

/// The number of requests in the batches of this program.
pub(super) const BATCH: usize = 100;

/// Numbers of blocks that are tried, from the largest on.
const RANGES: [u64; 6] = [100_000, 10_000, 5_000, 1_000, 500, 100];

/// Finds how large the batches are that the node answers. `None` if it answers no batch.
pub(super) async fn batch_size(provider: &DynProvider) -> Option<usize> {
    batch(provider, BATCH).await.ok()?;
    match batch_limit(provider) {
        None => Some(BATCH),
        // One by one.
        Some(1) => None,
        limit => limit,
    }
}

async fn batch(provider: &DynProvider, size: usize) -> Result<(), NodeError> {
    let mut batch = BatchRequest::new(provider.client());
    let mut answers = Vec::with_capacity(size);
    for _ in 0..size {
        answers.push(batch.add_call::<_, Value>("eth_chainId", &())?);
    }
    batch.send().await?;
    for answer in answers {
        answer.await?;
    }
    Ok(())
}

/// Finds the largest number of blocks whose logs of a contract the node tells at once. `None` if it tells none.
pub(super) async fn log_range(provider: &DynProvider, of: Address, head: u64) -> Option<u64> {
    for blocks in RANGES {
        let from = head.saturating_sub(blocks - 1);
        let filter = Filter::new().address(of).from_block(from).to_block(head);
        if provider.get_logs(&filter).await.is_ok() {
            return Some(blocks);
        }
    }
    None
}

/// True if the node tells the fees of the last blocks, by which transactions are priced.
pub(super) async fn has_fee_history(provider: &DynProvider) -> Result<(), NodeError> {
    let latest = BlockNumberOrTag::Latest;
    provider.get_fee_history(10, latest, &[20.0]).await?;
    Ok(())
}

/// Asks for the schedule of forks (EIP-7910): the time of the next one. `None` without a next one.
pub(super) async fn next_fork(provider: &DynProvider) -> Result<Option<u64>, NodeError> {
    let config: Value = provider.raw_request("eth_config".into(), ()).await?;
    Ok(config["next"]["activationTime"].as_u64())
}
