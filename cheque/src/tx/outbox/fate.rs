//! What became of a transaction that was sent before.

use crate::{
    tx::error::TxError,
    tx::{
        record::TxRecord,
        wallet::{MinedTx, Wallet},
    },
};
use alloy_primitives::TxHash;
use std::time::Duration;

/// How long to find out whether a nonce went to another transaction.
const LONGEST_DOUBT: Duration = Duration::from_secs(60);

/// What became of a transaction that was sent before.
pub(crate) enum Fate {
    /// It is in a block.
    Mined(Box<MinedTx>),
    /// What cancels it is in a block.
    Cancelled(Box<MinedTx>),
    /// It is in a block, and failed.
    Failed,
    /// Its nonce seems to have gone to another one, for there is no receipt; or it is another account's and cannot be
    /// replaced.
    Unproven,
    /// It may still be mined.
    Waiting,
}

/// Asks the node what became of a transaction.
pub(crate) async fn fate(wallet: &Wallet, old: &TxRecord) -> Result<Fate, TxError> {
    let ours = old.from == wallet.address();
    let used = ours && wallet.mined_nonce().await? > old.nonce;
    let decided = if used {
        // A receipt may come later than the nonce is counted.
        wallet.decided(&all(old), old.nonce, LONGEST_DOUBT).await?
    } else {
        wallet.mined(&all(old)).await?
    };
    Ok(match decided {
        Some(Ok(sent)) if old.cancelled_by.contains(&sent.hash) => Fate::Cancelled(Box::new(sent)),
        Some(Ok(sent)) => Fate::Mined(Box::new(sent)),
        Some(Err(TxError::Failed(_))) => Fate::Failed,
        Some(Err(_)) => Fate::Unproven,
        None if !ours => Fate::Unproven,
        None => Fate::Waiting,
    })
}

/// The hash of the newest replacement, or of the newest cancellation.
pub(crate) fn newest(sent: &TxRecord) -> TxHash {
    let newest = sent.cancelled_by.last().or(sent.hashes.last());
    newest.copied().unwrap_or_default()
}

/// The hashes of all that share the nonce, oldest first.
pub(crate) fn all(sent: &TxRecord) -> Vec<TxHash> {
    [&sent.hashes[..], &sent.cancelled_by].concat()
}
