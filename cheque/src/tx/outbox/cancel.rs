//! Cancellation of obsolete transactions.

use crate::{
    store::{
        async_store::{AsyncStore, OwnedChange},
        change::Swap,
        table::Table,
    },
    tx::{
        error::OutboxError,
        outbox::{
            chain_status::{ChainStatus, chain_status},
            entry::{put, rebroadcast_or_bump, remove_record, undecided},
        },
        record::{TxRecord, stored_tx},
        wallet::{MinedTx, Wallet},
    },
};
use alloy_primitives::TxHash;

/// The status of an obsolete transaction.
#[derive(Clone, Debug)]
#[must_use = "until the nonce is used, all later transactions of the account wait"]
#[non_exhaustive]
pub enum Cancellation {
    /// There is no pending transaction: nothing was sent, or its nonce was used without any effect.
    Nothing,
    /// The cancellation with this hash, the newest, is pending. The original transaction may still be mined instead.
    Pending(TxHash),
    /// The cancellation is in a block. A reorganisation may still drop the cancellation.
    Cancelled(Box<MinedTx>),
    /// The original transaction was mined before its cancellation.
    TooLate(Box<MinedTx>),
}

/// Cancels the obsolete transaction of a purpose, without waiting. Without a cancellation, all later transactions of the
/// account would wait as long as the obsolete transaction stays pending.
///
/// The cancellation is a transaction with the same nonce that moves nothing. The record stays until
/// [`remove`](super::remove).
///
/// # Errors
///
/// [`OutboxError::Undecided`] if the stored transaction is another account's, [`OutboxError::Contended`] if another task
/// has changed the record; else if the node, the wallet or the store fails.
pub(crate) async fn cancel(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    now: u64,
) -> Result<Cancellation, OutboxError> {
    let guard = wallet.lock_nonce().await;
    let Some(old) = stored_tx(store, key).await? else {
        return Ok(Cancellation::Nothing);
    };
    match chain_status(wallet, &old).await? {
        ChainStatus::Mined(mined) => return Ok(Cancellation::TooLate(mined)),
        ChainStatus::Cancelled(mined) => return Ok(Cancellation::Cancelled(mined)),
        ChainStatus::Foreign => return Err(undecided(&old)),
        ChainStatus::Failed | ChainStatus::Unproven => {
            remove_record(store, key, &old).await?;
            return Ok(Cancellation::Nothing);
        }
        ChainStatus::Pending => {}
    }
    if !old.cancelled_by.is_empty() {
        let new = rebroadcast_or_bump(&guard, store, key, old, (now, true)).await?;
        return Ok(Cancellation::Pending(new.newest_hash()));
    }
    // The obsolete transaction itself is not sent to the node again.
    let signed = guard.sign_cancellation(old.nonce, &old.raw).await?;
    let new = TxRecord {
        at: now,
        cancelled_by: vec![signed.hash],
        raw: signed.raw,
        ..old.clone()
    };
    put(store, key, Some(&old), &new).await?;
    guard.submit(&new.raw, signed.hash).await?;
    Ok(Cancellation::Pending(signed.hash))
}

/// Moves the pending record from `key` to `parked`, so that `key` is free for a new transaction while the old transaction is
/// being [cancelled](cancel). A record already at `parked` is the same transaction, parked before.
///
/// # Errors
///
/// [`OutboxError::Contended`] if another task has changed the record at `key`; else if the store fails.
pub(crate) async fn park(
    store: &AsyncStore,
    key: &[u8],
    parked: &[u8],
    old: &TxRecord,
) -> Result<(), OutboxError> {
    let bytes = old.to_bytes();
    let changes = vec![
        OwnedChange {
            table: Table::Outbox,
            key: key.to_vec(),
            old: Some(bytes.clone()),
            new: None,
        },
        OwnedChange {
            table: Table::Outbox,
            key: parked.to_vec(),
            old: None,
            new: Some(bytes),
        },
    ];
    match store.swap(changes).await? {
        Swap::Done => Ok(()),
        // Cancelling the parked transaction cancels both.
        Swap::Conflict { index: 1, .. } => Ok(remove_record(store, key, old).await?),
        Swap::Conflict { .. } => Err(OutboxError::Contended),
    }
}
