//! The times of a chain, watched for a while: its blocks against the clock, and how far its final block is behind.

use std::time::Duration;

use alloy::{eips::BlockNumberOrTag, providers::DynProvider};
use cheque::{bank::read_block, node::NodeError};
use eyre::Result;
use tokio::time::{Instant, sleep};

use crate::clock::unix_now;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// What was seen. Times are seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// The time watched.
    pub(super) watched: u64,
    /// Numbers of the first and of the newest block.
    pub(super) blocks: (u64, u64),
    /// The largest age of the newest block by the own clock.
    pub(super) max_head_age: u64,
    /// The largest lead of the newest block over the own clock.
    pub(super) max_ahead: u64,
    /// The largest difference between the newest and the final block. `None` if the node tells none.
    pub(super) finality: Option<u64>,
}

/// Watches the chain for a time. Zero: a single look.
///
/// # Errors
/// Fails if the node does not tell its newest block.
pub(super) async fn watch(provider: &DynProvider, time: Duration) -> Result<Watched, NodeError> {
    let begin = Instant::now();
    let mut seen = Watched::default();
    loop {
        look(provider, &mut seen).await?;
        let watched = begin.elapsed();
        seen.watched = watched.as_secs();
        let Some(left) = time.checked_sub(watched).filter(|left| !left.is_zero()) else {
            return Ok(seen);
        };
        sleep(left.min(PAUSE)).await;
    }
}

async fn look(provider: &DynProvider, seen: &mut Watched) -> Result<(), NodeError> {
    let (number, time) = block(provider, BlockNumberOrTag::Latest)
        .await?
        .ok_or(alloy::transports::RpcError::NullResp)?;
    let clock = unix_now();
    // Some nodes have the tag and no such block yet, others refuse the tag.
    let last = block(provider, BlockNumberOrTag::Finalized).await;
    if let Some((_, last)) = last.unwrap_or_default() {
        let behind = time.saturating_sub(last);
        seen.finality = Some(seen.finality.map_or(behind, |most| most.max(behind)));
    }
    if seen.blocks.0 == 0 {
        seen.blocks.0 = number;
    }
    seen.blocks.1 = seen.blocks.1.max(number);
    seen.max_head_age = seen.max_head_age.max(clock.saturating_sub(time));
    seen.max_ahead = seen.max_ahead.max(time.saturating_sub(clock));
    Ok(())
}

/// Reads number and time of a block.
async fn block(
    provider: &DynProvider,
    tag: BlockNumberOrTag,
) -> Result<Option<(u64, u64)>, NodeError> {
    let block = read_block(provider, tag).await?;
    Ok(block.map(|block| (block.number, block.time)))
}
