//! Transactions that must happen once: kept in the store before they leave the process.

pub(crate) mod fate;

pub(crate) use crate::tx::outbox::fate::newest;

use crate::{
    protocol::terms::DepositId,
    store::{
        Swap, Table,
        async_store::{AsyncStore, OwnedChange, StoredError},
    },
    tx::error::TxError,
    tx::{
        outbox::fate::{Fate, all, fate},
        record::{TxRecord, stored_tx},
        wallet::{Call, MinedTx, NonceGuard, Signed, Wallet, call_of},
    },
};
use alloy::providers::Provider;
use alloy_primitives::{Address, TxHash, U256};

/// How many blocks a transaction may wait before it is sent again for a higher fee.
const PATIENCE: u64 = 10;

/// How many blocks a transaction may wait, dearer ones that replaced it included, before something seems to be wrong.
#[cfg(feature = "service")]
pub(crate) const STUCK_AFTER: u64 = 3 * PATIENCE;

/// Why a transaction that must happen once did not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The chain.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// Another task of this process sends for the same purpose at this moment.
    #[error("the same transaction is being sent elsewhere")]
    Contended,
    /// What became of a transaction that must not be sent twice cannot be told: its nonce is used and the node has no
    /// receipt of it (nodes forget those), or it is another account's. It stays known.
    #[error(
        "nobody knows whether transaction {nonce} of {from} was made: look at {hash}; if it was not, have it forgotten"
    )]
    Undecided {
        /// Whose transaction.
        from: Address,
        /// Its nonce.
        nonce: u64,
        /// The newest of its replacements.
        hash: TxHash,
    },
    /// What was sent before was cancelled, and its nonce is used.
    #[error(
        "what was sent before is cancelled by {0}: it can be sent anew once that is as deep in the chain as counts"
    )]
    Cancelled(TxHash),
}

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

/// Hands what waits to the node again, for a higher fee if it has waited for long. Returns what there is now.
async fn rebroadcast_or_bump(
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

fn undecided(old: &TxRecord) -> OutboxError {
    OutboxError::Undecided {
        from: old.from,
        nonce: old.nonce,
        hash: newest(old),
    }
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

async fn put(
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
async fn forget(store: &AsyncStore, key: &[u8], old: &TxRecord) -> Result<(), StoredError> {
    let old = Some(old.to_bytes());
    let _replaced = store.set(Table::Outbox, key.to_vec(), old, None).await?;
    Ok(())
}
