//! Transactions that must happen once: kept in the store before they leave the process.

pub(crate) mod cancel;
pub(crate) mod entry;
pub(crate) mod fate;

use crate::{
    protocol::terms::DepositId,
    store::async_store::{AsyncStore, StoredError},
    tx::{
        error::{OutboxError, TxError},
        outbox::{
            entry::{PATIENCE, forget, put, rebroadcast_or_bump, record, undecided},
            fate::{Fate, all, fate, newest},
        },
        record::{TxRecord, stored_tx},
        wallet::{Call, MinedTx, NonceGuard, Wallet, call_of},
    },
};
use alloy::providers::Provider;
use alloy_primitives::{TxHash, U256};

/// How many blocks a transaction may wait, dearer ones that replaced it included, before something seems to be wrong.
#[cfg(feature = "service")]
pub(crate) const STUCK_AFTER: u64 = 3 * PATIENCE;

/// How long the record of a transaction is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Until it is in a block, where the chain tells what was done.
    UntilMined,
    /// Until [`done`], for a reorganisation may drop it. Where its nonce went to another one, the chain tells whether it
    /// still has to be sent.
    UntilDone,
    /// Until [`done`], unless it is in a block as failed: that its receipt is missing proves nothing.
    Always,
}

/// Where a transaction stands that nobody waits for.
#[derive(Clone, Debug)]
#[must_use = "what failed has to be sent anew"]
pub enum TxStatus {
    /// It is in a block. A reorganisation may still drop it, so it stays in the store until it is told to be done.
    Mined(Box<MinedTx>),
    /// It waits to be mined; this is the newest of its replacements.
    Pending(TxHash),
    /// It failed, or its nonce went to another transaction, or it is another account's: it is forgotten.
    Dropped,
}

/// Hands `call` to the node for the purpose that `key` names, and does not wait until it is mined: [`look_after`] does.
/// [`OutboxError::Contended`] if something was sent for it before.
pub(crate) async fn submit(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    call: &Call,
    head: u64,
) -> Result<TxRecord, OutboxError> {
    let turn = wallet.turn().await;
    let signed = turn.sign(call).await?;
    let new = record(wallet, &signed, head);
    put(store, key, None, &new).await?;
    turn.submit(&new.raw, signed.hash).await?;
    Ok(new)
}

/// Looks after what was sent for a purpose, without waiting: what is not in a block is handed to the node again, after a
/// while and with `bump` for a higher fee.
pub(crate) async fn look_after(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    head: u64,
    bump: bool,
) -> Result<TxStatus, OutboxError> {
    let turn = wallet.turn().await;
    let patience = if bump { PATIENCE } else { u64::MAX };
    Ok(
        match pick_up(
            wallet,
            &turn,
            store,
            key,
            (head, patience, Kept::UntilMined),
        )
        .await?
        {
            PickedUp::Mined(sent, _) => TxStatus::Mined(sent),
            PickedUp::Submitted(sent) => TxStatus::Pending(newest(&sent)),
            PickedUp::Nothing => TxStatus::Dropped,
        },
    )
}

/// Sends `call` for the purpose that `key` names, unless something was sent for it before: then like [`resume`].
pub(crate) async fn send_once(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    call: &Call,
    head: u64,
) -> Result<MinedTx, OutboxError> {
    send(wallet, store, key, call, (head, Kept::UntilMined)).await
}

/// Like [`send_once`], and what was sent is kept as long as `kept` says.
pub(crate) async fn send(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    call: &Call,
    (head, kept): (u64, Kept),
) -> Result<MinedTx, OutboxError> {
    let turn = wallet.turn().await;
    let sent = match pick_up(wallet, &turn, store, key, (head, PATIENCE, kept)).await? {
        PickedUp::Mined(sent, old) => {
            if kept == Kept::UntilMined {
                forget(store, key, &old).await?;
            }
            return Ok(*sent);
        }
        PickedUp::Submitted(sent) => sent,
        PickedUp::Nothing => {
            let signed = turn.sign(call).await?;
            let new = record(wallet, &signed, head);
            put(store, key, None, &new).await?;
            turn.submit(&new.raw, signed.hash).await?;
            new
        }
    };
    drop(turn);
    finish(wallet, store, key, &sent, kept).await
}

/// Resumes the transaction sent for a purpose: waits for it, and replaces it by one with a higher fee and the same nonce
/// when it takes long. `None`: nothing was sent, or it was dropped. `kept` says how long the record stays.
pub(crate) async fn resume(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    (head, kept): (u64, Kept),
) -> Result<Option<MinedTx>, OutboxError> {
    let turn = wallet.turn().await;
    let sent = match pick_up(wallet, &turn, store, key, (head, PATIENCE, kept)).await? {
        PickedUp::Mined(sent, old) => {
            if kept == Kept::UntilMined {
                forget(store, key, &old).await?;
            }
            return Ok(Some(*sent));
        }
        PickedUp::Submitted(sent) => sent,
        PickedUp::Nothing => return Ok(None),
    };
    drop(turn);
    let sent = finish(wallet, store, key, &sent, kept).await?;
    Ok(Some(sent))
}

/// What there is to go on with.
enum PickedUp {
    /// It is in a block, and still in the store.
    Mined(Box<MinedTx>, TxRecord),
    /// It waits to be mined, and the node has it.
    Submitted(TxRecord),
    Nothing,
}

async fn pick_up(
    wallet: &Wallet,
    turn: &NonceGuard<'_>,
    store: &AsyncStore,
    key: &[u8],
    (head, patience, kept): (u64, u64, Kept),
) -> Result<PickedUp, OutboxError> {
    let Some(old) = stored_tx(store, key).await? else {
        return Ok(PickedUp::Nothing);
    };
    match fate(wallet, &old).await? {
        Fate::Mined(sent) => return Ok(PickedUp::Mined(sent, old)),
        Fate::Cancelled(sent) if kept != Kept::UntilMined => {
            return Err(OutboxError::Cancelled(sent.hash));
        }
        Fate::Unproven if kept == Kept::Always => return Err(undecided(&old)),
        Fate::Failed | Fate::Unproven | Fate::Cancelled(_) => {
            forget(store, key, &old).await?;
            return Ok(PickedUp::Nothing);
        }
        Fate::Waiting => {}
    }
    let now = rebroadcast_or_bump(turn, store, key, old, (head, patience)).await?;
    Ok(PickedUp::Submitted(now))
}

/// Waits for a transaction that was submitted.
pub(crate) async fn finish(
    wallet: &Wallet,
    store: &AsyncStore,
    key: &[u8],
    sent: &TxRecord,
    kept: Kept,
) -> Result<MinedTx, OutboxError> {
    let result = wallet.wait(&all(sent), sent.nonce).await;
    let forgotten = match &result {
        Ok(_) => kept == Kept::UntilMined,
        Err(TxError::Replaced { .. }) => kept != Kept::Always,
        Err(error) => matches!(error, TxError::Failed(_)),
    };
    if forgotten {
        forget(store, key, sent).await?;
    }
    match result? {
        cancelled if sent.cancelled_by.contains(&cancelled.hash) => {
            Err(OutboxError::Cancelled(cancelled.hash))
        }
        made => Ok(made),
    }
}

/// The key in the outbox of the transaction that is sent once for a deposit and the purpose `what`.
pub(crate) fn purpose_key(what: &[u8], id: DepositId) -> Vec<u8> {
    [what, id.0.as_slice()].concat()
}

/// The newest block.
pub(crate) async fn head(wallet: &Wallet) -> Result<u64, TxError> {
    Ok(wallet.provider.get_block_number().await?)
}

/// The wei that went along with what was sent for a purpose, if something was.
pub(crate) async fn value_sent(
    store: &AsyncStore,
    key: &[u8],
) -> Result<Option<U256>, OutboxError> {
    let sent = stored_tx(store, key).await?;
    let value = sent.map(|sent| Ok::<_, TxError>(call_of(&sent.raw)?.value));
    Ok(value.transpose()?)
}

/// Forgets what was sent for a purpose that is fulfilled.
pub(crate) async fn done(store: &AsyncStore, key: &[u8]) -> Result<(), StoredError> {
    match stored_tx(store, key).await? {
        Some(old) => forget(store, key, &old).await,
        None => Ok(()),
    }
}
