//! Stored transactions: writing their records, and handing them to the node again.

use crate::{
    store::{
        Swap, Table,
        async_store::{AsyncStore, StoredError},
    },
    tx::{
        error::OutboxError,
        outbox::fate::newest,
        record::TxRecord,
        wallet::{NonceGuard, Signed, Wallet},
    },
};

/// How many blocks a transaction may wait before it is sent again for a higher fee.
pub(crate) const PATIENCE: u64 = 10;

/// The record of a signed transaction.
pub(crate) fn record(wallet: &Wallet, signed: &Signed, head: u64) -> TxRecord {
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

/// Hands what waits to the node again, for a higher fee if it has waited for long. Returns what there is now.
pub(super) async fn rebroadcast_or_bump(
    turn: &NonceGuard<'_>,
    store: &AsyncStore,
    key: &[u8],
    old: TxRecord,
    (head, patience): (u64, u64),
) -> Result<TxRecord, OutboxError> {
    let dearer = if head < old.at.saturating_add(patience) {
        Ok(None)
    } else {
        turn.sign_replacement(old.nonce, &old.raw).await
    };
    let now = match dearer {
        Ok(None) => old,
        Ok(Some(signed)) => {
            let new = replaced(&old, signed, head);
            put(store, key, Some(&old), &new).await?;
            new
        }
        Err(error) => {
            // The node may have dropped it, and what is sent next must not get its nonce. Why there is no dearer one says
            // more than why this fails.
            let _ = turn.submit(&old.raw, newest(&old)).await;
            return Err(error.into());
        }
    };
    turn.submit(&now.raw, newest(&now)).await?;
    Ok(now)
}

/// The record with a dearer one of what was sent last.
fn replaced(old: &TxRecord, signed: Signed, head: u64) -> TxRecord {
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

pub(super) fn undecided(old: &TxRecord) -> OutboxError {
    OutboxError::Undecided {
        from: old.from,
        nonce: old.nonce,
        hash: newest(old),
    }
}

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

/// Removes the record, unless somebody else has replaced it meanwhile.
pub(super) async fn forget(
    store: &AsyncStore,
    key: &[u8],
    old: &TxRecord,
) -> Result<(), StoredError> {
    let old = Some(old.to_bytes());
    let _replaced = store.set(Table::Outbox, key.to_vec(), old, None).await?;
    Ok(())
}
