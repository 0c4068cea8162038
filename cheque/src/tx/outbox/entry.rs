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

/// Creates the record of a transaction signed at the time `now`.
pub(crate) fn record(wallet: &Wallet, signed: &SignedTx, now: u64) -> TxRecord {
    TxRecord {
        from: wallet.address(),
        nonce: signed.nonce,
        since: now,
        at: now,
        hashes: vec![signed.hash],
        cancelled_by: Vec::new(),
        raw: signed.raw.clone(),
    }
}

/// Sends a pending transaction to the node again, with higher fees if `may_bump` and the newest replacement is old enough.
/// Returns the record as it is now stored.
pub(super) async fn rebroadcast_or_bump(
    guard: &NonceGuard<'_>,
    store: &AsyncStore,
    key: &[u8],
    old: TxRecord,
    (now, may_bump): (u64, bool),
) -> Result<TxRecord, OutboxError> {
    let replacement = if may_bump && is_older(old.at, now, guard.wallet().bump_after()) {
        guard.sign_replacement(old.nonce, &old.raw, old.at).await
    } else {
        Ok(None)
    };
    let new = match replacement {
        Ok(None) => old,
        Ok(Some(signed)) => {
            let new = with_replacement(&old, signed, now);
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
fn with_replacement(old: &TxRecord, signed: SignedTx, now: u64) -> TxRecord {
    let mut new = TxRecord {
        at: now,
        raw: signed.raw,
        ..old.clone()
    };
    match new.cancelled_by.is_empty() {
        true => new.hashes.push(signed.hash),
        false => new.cancelled_by.push(signed.hash),
    }
    new
}

/// True if `seconds` lie between `at` and `now`, in either direction: a time of the future was written by a wrong clock, and
/// must not hold up a transaction until that time comes.
pub(crate) const fn is_older(at: u64, now: u64, seconds: u64) -> bool {
    now.abs_diff(at) >= seconds
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_by_the_second_whichever_clock_was_wrong() {
        for (at, now, older) in [
            (1_000, 1_000, false),
            (1_000, 1_023, false),
            (1_000, 1_024, true),
            (1_000, 977, false),
            (1_000, 976, true),
            (u64::MAX, 0, true),
        ] {
            assert_eq!(is_older(at, now, 24), older, "{at} at {now}");
        }
    }
}
