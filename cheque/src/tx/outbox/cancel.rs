//! Cancelling transactions that are no longer wanted.

use crate::{
    store::{
        Swap, Table,
        async_store::{AsyncStore, OwnedChange},
    },
    tx::{
        error::OutboxError,
        outbox::{
            entry::{PATIENCE, forget, put, rebroadcast_or_bump, undecided},
            fate::{Fate, fate, newest},
        },
        record::{TxRecord, stored_tx},
        wallet::{MinedTx, Wallet},
    },
};
use alloy_primitives::TxHash;

/// Where a transaction stands that is not wanted any more.
#[derive(Clone, Debug)]
#[must_use = "until its nonce is used, everything that the account sends later waits"]
pub enum Cancellation {
    /// There is nothing to cancel: nothing was sent, or its nonce is used and it has done nothing.
    Nothing,
    /// What takes its nonce and does nothing waits to be mined; this is the newest one. What is to be cancelled may still
    /// be mined instead.
    Waiting(TxHash),
    /// It is cancelled, by this transaction in a block. A reorganisation may still drop that.
    Cancelled(Box<MinedTx>),
    /// It was faster: it is in a block itself.
    TooLate(Box<MinedTx>),
}

/// Cancels what was sent for a purpose that is over, without waiting, by a transaction with the same nonce that does nothing:
/// else all later ones of the account would wait as long as it does. It stays known until [`done`].
pub(crate) async fn cancel(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    head: u64,
) -> Result<Cancellation, OutboxError> {
    let turn = wallet.turn().await;
    let Some(old) = stored_tx(store, key).await? else {
        return Ok(Cancellation::Nothing);
    };
    match fate(wallet, &old).await? {
        Fate::Mined(sent) => return Ok(Cancellation::TooLate(sent)),
        Fate::Cancelled(sent) => return Ok(Cancellation::Cancelled(sent)),
        Fate::Unproven if old.from != wallet.address() => return Err(undecided(&old)),
        Fate::Failed | Fate::Unproven => {
            forget(store, key, &old).await?;
            return Ok(Cancellation::Nothing);
        }
        Fate::Waiting => {}
    }
    if !old.cancelled_by.is_empty() {
        let now = rebroadcast_or_bump(&turn, store, key, old, (head, PATIENCE)).await?;
        return Ok(Cancellation::Waiting(newest(&now)));
    }
    // Not handed to the node again before: it is not wanted.
    let signed = turn.sign_cancellation(old.nonce, &old.raw).await?;
    let new = TxRecord {
        at: head,
        cancelled_by: vec![signed.hash],
        raw: signed.raw,
        ..old.clone()
    };
    put(store, key, Some(&old), &new).await?;
    turn.submit(&new.raw, signed.hash).await?;
    Ok(Cancellation::Waiting(signed.hash))
}

/// Keeps what was sent for a purpose under another key, so that something else can be sent for that purpose while this waits
/// to be [cancelled](cancel). What is there already is the same transaction, from when it was set aside before.
pub(crate) async fn park(
    store: &AsyncStore,
    key: &[u8],
    aside: &[u8],
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
            key: aside.to_vec(),
            old: None,
            new: Some(bytes),
        },
    ];
    match store.swap(changes).await? {
        Swap::Done => Ok(()),
        // What cancels the one cancels the other.
        Swap::Conflict { index: 1, .. } => Ok(forget(store, key, old).await?),
        Swap::Conflict { .. } => Err(OutboxError::Contended),
    }
}
