//! The outbox: idempotent transactions, stored before they leave the process.

pub(crate) mod cancel;
pub(crate) mod chain_status;
pub(crate) mod entry;

use crate::{
    protocol::terms::DepositId,
    store::async_store::{AsyncStore, StoredError},
    tx::{
        error::{OutboxError, TxError},
        nonce_guard::NonceGuard,
        outbox::{
            chain_status::{ChainStatus, chain_status},
            entry::{is_older, put, rebroadcast_or_bump, record, remove_record, undecided},
        },
        record::{TxRecord, stored_tx},
        wallet::{Call, MinedTx, Wallet, call_of},
    },
};
use alloy_primitives::{TxHash, U256};

/// How long the record of a transaction stays in the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Until the transaction is mined or its nonce is used. The caller reads the result from the chain's state.
    UntilMined,
    /// Until [`remove`], since a reorganisation may drop the transaction; or until the transaction failed or another
    /// transaction used the nonce, since the chain's state then shows if the call is still needed.
    UntilRemoved,
    /// Until [`remove`], or until the transaction is mined as failed. A used nonce without a receipt proves nothing.
    Always,
}

/// The status of a transaction that no task waits for.
#[derive(Clone, Debug)]
#[must_use = "a dropped transaction has to be sent again"]
#[non_exhaustive]
pub enum TxStatus {
    /// The transaction is in a block. A reorganisation may still drop the transaction, so its record stays until the caller
    /// removes the record.
    Mined(Box<MinedTx>),
    /// The transaction with this hash, the newest replacement, is pending.
    Pending(TxHash),
    /// The transaction failed, another transaction used its nonce, or it is another account's and has not been mined for
    /// long. The record is removed.
    Dropped,
}

/// Stores `call` as the transaction of the purpose `key` and sends it to the node. Does not wait until it is mined:
/// [`check`] reports the progress.
///
/// # Errors
///
/// [`OutboxError::Contended`] if a transaction is already stored for the purpose; else if the node, the wallet or the store
/// fails.
pub(crate) async fn submit(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    call: &Call,
    now: u64,
) -> Result<TxRecord, OutboxError> {
    let guard = wallet.lock_nonce().await;
    sign_and_submit(wallet, &guard, store, key, (call, now)).await
}

/// Checks the transaction of a purpose, without waiting. Sends a pending transaction to the node again, with `bump` and
/// after [`Wallet::bump_after`] seconds for a higher fee.
pub(crate) async fn check(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    now: u64,
    bump: bool,
) -> Result<TxStatus, OutboxError> {
    let guard = wallet.lock_nonce().await;
    let limits = (now, bump, Retention::UntilMined);
    Ok(
        match resume_stored(wallet, &guard, store, key, limits).await? {
            Resumed::Mined(mined, _) => TxStatus::Mined(mined),
            Resumed::Pending(record) => TxStatus::Pending(record.newest_hash()),
            Resumed::Nothing => TxStatus::Dropped,
        },
    )
}

/// Sends `call` for the purpose `key` and waits until the transaction is mined. If a transaction is already stored for the
/// purpose, ignores `call` and continues like [`resume`]. `retention` says how long the record stays.
///
/// # Errors
///
/// As for [`resume`].
pub(crate) async fn send(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    call: &Call,
    (now, retention): (u64, Retention),
) -> Result<MinedTx, OutboxError> {
    let guard = wallet.lock_nonce().await;
    let limits = (now, true, retention);
    let record = match resume_stored(wallet, &guard, store, key, limits).await? {
        Resumed::Mined(mined, old) => {
            if retention == Retention::UntilMined {
                remove_record(store, key, &old).await?;
            }
            return Ok(*mined);
        }
        Resumed::Pending(record) => record,
        Resumed::Nothing => sign_and_submit(wallet, &guard, store, key, (call, now)).await?,
    };
    drop(guard);
    wait(wallet, store, key, &record, retention).await
}

/// Resumes the stored transaction of a purpose: waits until it is mined, and replaces it by a transaction with a higher fee
/// and the same nonce if it has been pending for [`Wallet::bump_after`] seconds. `None` if there is no record, or the transaction was
/// dropped. `retention` says how long the record stays.
///
/// # Errors
///
/// [`OutboxError::Cancelled`] after a mined cancellation, [`OutboxError::Undecided`] for an unknown outcome with
/// [`Retention::Always`], [`OutboxError::Contended`] if another task has changed the record, [`TxError::NotMined`] after the
/// wallet's timeout; else if the node, the wallet or the store fails.
pub(crate) async fn resume(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    (now, retention): (u64, Retention),
) -> Result<Option<MinedTx>, OutboxError> {
    let guard = wallet.lock_nonce().await;
    let limits = (now, true, retention);
    let record = match resume_stored(wallet, &guard, store, key, limits).await? {
        Resumed::Mined(mined, old) => {
            if retention == Retention::UntilMined {
                remove_record(store, key, &old).await?;
            }
            return Ok(Some(*mined));
        }
        Resumed::Pending(record) => record,
        Resumed::Nothing => return Ok(None),
    };
    drop(guard);
    let mined = wait(wallet, store, key, &record, retention).await?;
    Ok(Some(mined))
}

/// The stored transaction of a purpose, after [`resume_stored`].
enum Resumed {
    /// The transaction is in a block, and its record still in the store.
    Mined(Box<MinedTx>, TxRecord),
    /// The transaction is pending, and was sent to the node again.
    Pending(TxRecord),
    /// There is no record any longer, so a new transaction may be sent.
    Nothing,
}

async fn resume_stored(
    wallet: &Wallet,
    guard: &NonceGuard<'_>,
    store: &AsyncStore,
    key: &[u8],
    (now, may_bump, retention): (u64, bool, Retention),
) -> Result<Resumed, OutboxError> {
    let Some(old) = stored_tx(store, key).await? else {
        return Ok(Resumed::Nothing);
    };
    match chain_status(wallet, &old).await? {
        ChainStatus::Mined(mined) => return Ok(Resumed::Mined(mined, old)),
        ChainStatus::Cancelled(mined) if retention != Retention::UntilMined => {
            return Err(OutboxError::Cancelled(mined.hash));
        }
        ChainStatus::Unproven if retention == Retention::Always => return Err(undecided(&old)),
        ChainStatus::Failed | ChainStatus::Unproven | ChainStatus::Cancelled(_) => {
            remove_record(store, key, &old).await?;
            return Ok(Resumed::Nothing);
        }
        ChainStatus::Foreign if retention == Retention::Always => return Err(undecided(&old)),
        ChainStatus::Foreign if is_older(old.since, now, wallet.stuck_after()) => {
            // A changed account must not wait for ever for a transaction that only the old account can replace.
            remove_record(store, key, &old).await?;
            return Ok(Resumed::Nothing);
        }
        ChainStatus::Foreign => {
            // The other account may lack coin by now; then the transaction is dropped in time.
            let _ = guard.submit(&old.raw, old.newest_hash()).await;
            return Ok(Resumed::Pending(old));
        }
        ChainStatus::Pending => {}
    }
    let record = rebroadcast_or_bump(guard, store, key, old, (now, may_bump)).await?;
    Ok(Resumed::Pending(record))
}

/// Signs `call`, stores the transaction under `key`, and only then sends it to the node.
async fn sign_and_submit(
    wallet: &Wallet,
    guard: &NonceGuard<'_>,
    store: &AsyncStore,
    key: &[u8],
    (call, now): (&Call, u64),
) -> Result<TxRecord, OutboxError> {
    let signed = guard.sign(call).await?;
    let new = record(wallet, &signed, now);
    put(store, key, None, &new).await?;
    guard.submit(&new.raw, signed.hash).await?;
    Ok(new)
}

/// Waits until a submitted transaction is mined, and removes its record as `retention` says.
///
/// # Errors
///
/// [`OutboxError::Cancelled`] if a cancellation was mined instead, [`TxError::NotMined`] after the wallet's timeout,
/// [`TxError::Failed`] and [`TxError::Replaced`]; else if the node or the store fails.
pub(crate) async fn wait(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    record: &TxRecord,
    retention: Retention,
) -> Result<MinedTx, OutboxError> {
    let hashes = record.all_hashes();
    let result = wallet.wait(record.from, &hashes, record.nonce).await;
    let is_over = match &result {
        Ok(_) => retention == Retention::UntilMined,
        Err(TxError::Replaced { .. }) => retention != Retention::Always,
        Err(error) => matches!(error, TxError::Failed(_)),
    };
    if is_over {
        remove_record(store, key, record).await?;
    }
    match result? {
        mined if record.cancelled_by.contains(&mined.hash) => {
            Err(OutboxError::Cancelled(mined.hash))
        }
        mined => Ok(mined),
    }
}

/// Returns the outbox key of a deposit's transaction for `purpose`.
pub(crate) fn purpose_key(purpose: &[u8], id: DepositId) -> Vec<u8> {
    [purpose, id.0.as_slice()].concat()
}

/// Returns the value of the stored transaction of a purpose, in wei. `None` without a record.
pub(crate) async fn value_sent(
    store: &AsyncStore,
    key: &[u8],
) -> Result<Option<U256>, OutboxError> {
    let record = stored_tx(store, key).await?;
    let value = record.map(|record| Ok::<_, TxError>(call_of(&record.raw)?.value));
    Ok(value.transpose()?)
}

/// Removes the record of a fulfilled purpose. Does not cancel a pending transaction.
pub(crate) async fn remove(store: &AsyncStore, key: &[u8]) -> Result<(), StoredError> {
    match stored_tx(store, key).await? {
        Some(old) => remove_record(store, key, &old).await,
        None => Ok(()),
    }
}
