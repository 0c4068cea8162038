//! Transactions that must happen once: kept in the store before they leave the process.

use super::{
    ChainError,
    sender::{Call, Sender, Sent, Signed},
    stored::{Stored, StoredError},
};
use crate::store::{SentRecord, Swap, Table};
use std::time::Duration;

/// How many blocks a transaction may wait before it is sent again for a higher fee.
const PATIENCE: u64 = 10;

/// How long to find out whether a nonce went to another transaction.
const LONGEST_DOUBT: Duration = Duration::from_secs(60);

/// Why a transaction that must happen once did not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// Another task of this process sends for the same purpose at this moment.
    #[error("the same transaction is being sent elsewhere")]
    Contended,
}

/// The record of a signed transaction.
pub(super) fn record(sender: &Sender, signed: &Signed, head: u64) -> SentRecord {
    SentRecord {
        from: sender.address(),
        nonce: signed.nonce,
        at: head,
        hashes: vec![signed.hash],
        raw: signed.raw.clone(),
    }
}

/// Sends `call` for the purpose that `key` names, unless it was sent before: then waits for that transaction, and after
/// a while replaces it by one with a higher fee and the same nonce.
pub(super) async fn send_once(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    call: &Call,
    head: u64,
) -> Result<Sent, OnceError> {
    let turn = sender.turn().await;
    let mut old = stored.sent(key).await?;
    if let Some(found) = &old {
        match fate(sender, found).await? {
            Fate::Mined(sent) => {
                forget(stored, key, found).await?;
                return Ok(sent);
            }
            Fate::Gone => {
                forget(stored, key, found).await?;
                old = None;
            }
            Fate::Waiting => {}
        }
    }
    let sent = match old {
        None => {
            let signed = turn.sign(call).await?;
            let new = record(sender, &signed, head);
            put(stored, key, None, &new).await?;
            turn.submit(&new.raw, signed.hash).await?;
            new
        }
        Some(old) if head < old.at.saturating_add(PATIENCE) => {
            let newest = old.hashes.last().copied().unwrap_or_default();
            turn.submit(&old.raw, newest).await?;
            old
        }
        Some(old) => {
            let signed = turn.sign_again(call, old.nonce, &old.raw).await?;
            let mut new = record(sender, &signed, head);
            new.hashes.splice(0..0, old.hashes.iter().copied());
            put(stored, key, Some(&old), &new).await?;
            turn.submit(&new.raw, signed.hash).await?;
            new
        }
    };
    drop(turn);
    finish(sender, stored, key, &sent).await
}

/// The transaction that was sent for a purpose before, if it is in a block by now.
pub(super) async fn mined(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
) -> Result<Option<Sent>, OnceError> {
    let Some(old) = stored.sent(key).await? else {
        return Ok(None);
    };
    match sender.mined(&old.hashes).await? {
        Some(Ok(sent)) => {
            forget(stored, key, &old).await?;
            Ok(Some(sent))
        }
        // A failed one is forgotten when the next one is sent.
        Some(Err(_)) | None => Ok(None),
    }
}

/// Waits for a transaction that was submitted, and forgets it when its fate is known.
pub(super) async fn finish(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    sent: &SentRecord,
) -> Result<Sent, OnceError> {
    let result = sender.wait(&sent.hashes, sent.nonce).await;
    if let Ok(_) | Err(ChainError::Failed(_) | ChainError::Replaced { .. }) = &result {
        forget(stored, key, sent).await?;
    }
    Ok(result?)
}

/// Forgets what was sent for a purpose that is fulfilled.
pub(super) async fn done(stored: &Stored, key: &[u8]) -> Result<(), StoredError> {
    match stored.sent(key).await? {
        Some(old) => forget(stored, key, &old).await,
        None => Ok(()),
    }
}

/// What became of a transaction that was sent before.
enum Fate {
    /// It is in a block.
    Mined(Sent),
    /// It failed, or its nonce went to another one, or it is another account's and cannot be replaced.
    Gone,
    /// It may still be mined.
    Waiting,
}

async fn fate(sender: &Sender, old: &SentRecord) -> Result<Fate, ChainError> {
    let ours = old.from == sender.address();
    let used = ours && sender.mined_nonce().await? > old.nonce;
    let decided = if used {
        // A receipt may come later than the nonce is counted.
        sender
            .decided(&old.hashes, old.nonce, LONGEST_DOUBT)
            .await?
    } else {
        sender.mined(&old.hashes).await?
    };
    Ok(match decided {
        Some(Ok(sent)) => Fate::Mined(sent),
        Some(Err(_)) => Fate::Gone,
        None if !ours => Fate::Gone,
        None => Fate::Waiting,
    })
}

async fn put(
    stored: &Stored,
    key: &[u8],
    old: Option<&SentRecord>,
    new: &SentRecord,
) -> Result<(), OnceError> {
    let old = old.map(SentRecord::to_bytes);
    let swap = stored
        .set(Table::Outbox, key.to_vec(), old, Some(new.to_bytes()))
        .await?;
    match swap {
        Swap::Done => Ok(()),
        Swap::Conflict { .. } => Err(OnceError::Contended),
    }
}

/// Removes the record, unless somebody else has replaced it meanwhile.
async fn forget(stored: &Stored, key: &[u8], old: &SentRecord) -> Result<(), StoredError> {
    let old = Some(old.to_bytes());
    let _replaced = stored.set(Table::Outbox, key.to_vec(), old, None).await?;
    Ok(())
}
