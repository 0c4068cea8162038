//! Transactions that must happen once: kept in the store before they leave the process.

use super::{
    ChainError,
    sender::{Call, Sender, Sent, Signed, Turn, call_of},
    stored::{Stored, StoredError},
};
use crate::store::{SentRecord, Swap, Table};
use alloy::providers::Provider;
use alloy_primitives::{Address, TxHash, U256};
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

/// How long the record of a transaction is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Until it is in a block, where the chain tells what was done.
    UntilMined,
    /// Until [`done`], unless it is in a block as failed: that its receipt is missing proves nothing.
    Always,
}

/// Where a transaction stands that nobody waits for.
#[derive(Clone, Debug)]
#[must_use = "what failed has to be sent anew"]
pub enum Progress {
    /// It is in a block. A reorganisation may still drop it, so it stays in the store until it is told to be done.
    Mined(Box<Sent>),
    /// It waits to be mined; this is the newest of its replacements.
    Waiting(TxHash),
    /// It failed, or its nonce went to another transaction, or it is another account's: it is forgotten.
    Gone,
}

/// Hands `call` to the node for the purpose that `key` names, and does not wait until it is mined: [`look_after`] does.
/// [`OnceError::Contended`] if something was sent for it before.
pub(super) async fn submit(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    call: &Call,
    head: u64,
) -> Result<SentRecord, OnceError> {
    let turn = sender.turn().await;
    let signed = turn.sign(call).await?;
    let new = record(sender, &signed, head);
    put(stored, key, None, &new).await?;
    turn.submit(&new.raw, signed.hash).await?;
    Ok(new)
}

/// Looks after what was sent for a purpose, without waiting: what is not in a block is handed to the node again, after a
/// while and with `bump` for a higher fee.
pub(super) async fn look_after(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    head: u64,
    bump: bool,
) -> Result<Progress, OnceError> {
    let turn = sender.turn().await;
    let patience = if bump { PATIENCE } else { u64::MAX };
    Ok(
        match pick_up(
            sender,
            &turn,
            stored,
            key,
            (head, patience, Kept::UntilMined),
        )
        .await?
        {
            PickedUp::Mined(sent, _) => Progress::Mined(sent),
            PickedUp::Submitted(sent) => Progress::Waiting(newest(&sent)),
            PickedUp::Nothing => Progress::Gone,
        },
    )
}

/// Sends `call` for the purpose that `key` names, unless something was sent for it before: then like [`resume`].
pub(super) async fn send_once(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    call: &Call,
    head: u64,
) -> Result<Sent, OnceError> {
    send(sender, stored, key, call, (head, Kept::UntilMined)).await
}

/// The same, and what was sent stays known until [`done`].
pub(super) async fn send_kept(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    call: &Call,
    head: u64,
) -> Result<Sent, OnceError> {
    send(sender, stored, key, call, (head, Kept::Always)).await
}

async fn send(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    call: &Call,
    (head, kept): (u64, Kept),
) -> Result<Sent, OnceError> {
    let turn = sender.turn().await;
    let sent = match pick_up(sender, &turn, stored, key, (head, PATIENCE, kept)).await? {
        PickedUp::Mined(sent, old) => {
            if kept == Kept::UntilMined {
                forget(stored, key, &old).await?;
            }
            return Ok(*sent);
        }
        PickedUp::Submitted(sent) => sent,
        PickedUp::Nothing => {
            let signed = turn.sign(call).await?;
            let new = record(sender, &signed, head);
            put(stored, key, None, &new).await?;
            turn.submit(&new.raw, signed.hash).await?;
            new
        }
    };
    drop(turn);
    finish_kept(sender, stored, key, &sent, kept).await
}

/// Goes on with what was sent for a purpose before: waits for that transaction, and after a while replaces it by one with
/// a higher fee and the same nonce. `None`: nothing was sent, or it was lost.
pub(super) async fn resume(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    head: u64,
) -> Result<Option<Sent>, OnceError> {
    go_on(sender, stored, key, (head, Kept::UntilMined)).await
}

/// The same for what is known until [`done`].
pub(super) async fn resume_kept(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    head: u64,
) -> Result<Option<Sent>, OnceError> {
    go_on(sender, stored, key, (head, Kept::Always)).await
}

async fn go_on(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    (head, kept): (u64, Kept),
) -> Result<Option<Sent>, OnceError> {
    let turn = sender.turn().await;
    let sent = match pick_up(sender, &turn, stored, key, (head, PATIENCE, kept)).await? {
        PickedUp::Mined(sent, old) => {
            if kept == Kept::UntilMined {
                forget(stored, key, &old).await?;
            }
            return Ok(Some(*sent));
        }
        PickedUp::Submitted(sent) => sent,
        PickedUp::Nothing => return Ok(None),
    };
    drop(turn);
    let sent = finish_kept(sender, stored, key, &sent, kept).await?;
    Ok(Some(sent))
}

/// What there is to go on with.
enum PickedUp {
    /// It is in a block, and still in the store.
    Mined(Box<Sent>, SentRecord),
    /// It waits to be mined, and the node has it.
    Submitted(SentRecord),
    Nothing,
}

async fn pick_up(
    sender: &Sender,
    turn: &Turn<'_>,
    stored: &Stored,
    key: &[u8],
    (head, patience, kept): (u64, u64, Kept),
) -> Result<PickedUp, OnceError> {
    let Some(old) = stored.sent(key).await? else {
        return Ok(PickedUp::Nothing);
    };
    match fate(sender, &old).await? {
        Fate::Mined(sent) => return Ok(PickedUp::Mined(sent, old)),
        Fate::Unproven if kept == Kept::Always => {
            return Err(OnceError::Undecided {
                from: old.from,
                nonce: old.nonce,
                hash: newest(&old),
            });
        }
        Fate::Failed | Fate::Unproven => {
            forget(stored, key, &old).await?;
            return Ok(PickedUp::Nothing);
        }
        Fate::Waiting => {}
    }
    let dearer = if head < old.at.saturating_add(patience) {
        None
    } else {
        turn.sign_dearer(old.nonce, &old.raw).await?
    };
    let now = match dearer {
        None => old,
        Some(signed) => {
            let mut new = record(sender, &signed, head);
            new.hashes.splice(0..0, old.hashes.iter().copied());
            put(stored, key, Some(&old), &new).await?;
            new
        }
    };
    turn.submit(&now.raw, newest(&now)).await?;
    Ok(PickedUp::Submitted(now))
}

/// The hash of the newest replacement.
pub(super) fn newest(sent: &SentRecord) -> TxHash {
    sent.hashes.last().copied().unwrap_or_default()
}

/// Waits for a transaction that was submitted, and forgets it when its fate is known.
pub(super) async fn finish(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    sent: &SentRecord,
) -> Result<Sent, OnceError> {
    finish_kept(sender, stored, key, sent, Kept::UntilMined).await
}

async fn finish_kept(
    sender: &Sender,
    stored: &Stored,
    key: &[u8],
    sent: &SentRecord,
    kept: Kept,
) -> Result<Sent, OnceError> {
    let result = sender.wait(&sent.hashes, sent.nonce).await;
    let forgotten = match &result {
        Ok(_) | Err(ChainError::Replaced { .. }) => kept == Kept::UntilMined,
        Err(error) => matches!(error, ChainError::Failed(_)),
    };
    if forgotten {
        forget(stored, key, sent).await?;
    }
    Ok(result?)
}

/// The newest block.
pub(super) async fn head(sender: &Sender) -> Result<u64, ChainError> {
    Ok(sender.provider.get_block_number().await?)
}

/// The wei that went along with what was sent for a purpose, if something was.
pub(super) async fn value_sent(stored: &Stored, key: &[u8]) -> Result<Option<U256>, OnceError> {
    let sent = stored.sent(key).await?;
    let value = sent.map(|sent| Ok::<_, ChainError>(call_of(&sent.raw)?.value));
    Ok(value.transpose()?)
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
    Mined(Box<Sent>),
    /// It is in a block, and failed.
    Failed,
    /// Its nonce seems to have gone to another one, for there is no receipt; or it is another account's and cannot be
    /// replaced.
    Unproven,
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
        Some(Ok(sent)) => Fate::Mined(Box::new(sent)),
        Some(Err(ChainError::Failed(_))) => Fate::Failed,
        Some(Err(_)) => Fate::Unproven,
        None if !ours => Fate::Unproven,
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
