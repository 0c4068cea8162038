//! Records of stored transactions: created, written, removed, and sent to the node again.

use crate::{
    store::{
        async_store::{AsyncStore, StoredError},
        change::Swap,
        table::Table,
    },
    tx::{
        error::OutboxError,
        nonce_guard::{NonceGuard, SignedTx},
        record::TxRecord,
        wallet::Wallet,
    },
};

/// Number of blocks that a transaction may stay pending before a fee bump.
pub(crate) const BUMP_AFTER: u64 = 10;

/// Creates the record of a transaction signed at `head`.
pub(crate) fn record(wallet: &Wallet, signed: &SignedTx, head: u64) -> TxRecord {
    TxRecord {
        from: wallet.address(),
        nonce: signed.nonce,
        since: head,
        at: head,
        hashes: vec![signed.hash],
        cancelled_by: Vec::new(),
        raw: signed.raw.clone(),
    }
}

/// Sends a pending transaction to the node again, with higher fees if the newest replacement is at least `bump_after` blocks
/// old. Returns the record as it is now stored.
pub(super) async fn rebroadcast_or_bump(
    guard: &NonceGuard<'_>,
    store: &AsyncStore,
    key: &[u8],
    old: TxRecord,
    (head, bump_after): (u64, u64),
) -> Result<TxRecord, OutboxError> {
    let replacement = if head < old.at.saturating_add(bump_after) {
        Ok(None)
    } else {
        guard.sign_replacement(old.nonce, &old.raw).await
    };
    let new = match replacement {
        Ok(None) => old,
        Ok(Some(signed)) => {
            let new = with_replacement(&old, signed, head);
            put(store, key, Some(&old), &new).await?;
            new
        }
        Err(error) => {
            // The node may have dropped the old transaction, and the next transaction must not get its nonce. The first
            // error explains the missing replacement, so an error of this call is ignored.
            let _ = guard.submit(&old.raw, old.newest_hash()).await;
            return Err(error.into());
        }
    };
    guard.submit(&new.raw, new.newest_hash()).await?;
    Ok(new)
}

/// Adds a replacement to the record: of the cancellation if there is any, else of the transaction.
fn with_replacement(old: &TxRecord, signed: SignedTx, head: u64) -> TxRecord {
    let mut new = TxRecord {
        at: head,
        raw: signed.raw,
        ..old.clone()
    };
    match new.cancelled_by.is_empty() {
        true => new.hashes.push(signed.hash),
        false => new.cancelled_by.push(signed.hash),
    }
    new
}

pub(super) fn undecided(record: &TxRecord) -> OutboxError {
    OutboxError::Undecided {
        from: record.from,
        nonce: record.nonce,
        hash: record.newest_hash(),
    }
}

/// Replaces the record `old` by `new`. [`OutboxError::Contended`] if another task was faster.
pub(super) async fn put(
    store: &AsyncStore,
    key: &[u8],
    old: Option<&TxRecord>,
    new: &TxRecord,
) -> Result<(), OutboxError> {
    let old = old.map(TxRecord::to_bytes);
    let swap = store
        .set(Table::Outbox, key.to_vec(), old, Some(new.to_bytes()))
        .await?;
    match swap {
        Swap::Done => Ok(()),
        Swap::Conflict { .. } => Err(OutboxError::Contended),
    }
}

/// Removes the record, unless another task has replaced it.
pub(super) async fn remove_record(
    store: &AsyncStore,
    key: &[u8],
    old: &TxRecord,
) -> Result<(), StoredError> {
    let old = Some(old.to_bytes());
    let _replaced = store.set(Table::Outbox, key.to_vec(), old, None).await?;
    Ok(())
}
