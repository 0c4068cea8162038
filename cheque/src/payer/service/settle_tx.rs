//! Brings the wallet's transactions to an end: mined, or cancelled. Counts and logs the result.

use crate::{
    payer::{
        error::PayerError,
        service::{
            Completed, PayerService,
            decide::{Action, TrackedDeposit},
            status::{CONFIRMING, cancelled_text, cancelling_text},
        },
    },
    protocol::terms::DepositId,
    service::metrics::{PAYER_FEES, PAYER_TRANSACTIONS},
    tx::{outbox::cancel::Cancellation, record::TxRecord, wallet::MinedTx},
};
use cheque_bindings::Deposit;
use metrics::counter;

/// Result of an action.
pub(super) enum ActionOutcome {
    /// Completed, and counted for the first time.
    Completed(Completed),
    /// There was nothing to do.
    Nothing,
    /// The action waits, for this reason.
    Waiting(String),
}

impl ActionOutcome {
    /// The outcome of a mined transaction. `None`, if reported before: the action then waits for confirmations.
    pub(super) fn of_mined(completed: Option<Completed>) -> Self {
        match completed {
            Some(completed) => Self::Completed(completed),
            None => Self::Waiting(CONFIRMING.to_owned()),
        }
    }
}

impl PayerService {
    /// Cancels an obsolete transaction, or reports its result if it was mined first.
    pub(super) async fn cancel(&self, action: Action) -> Result<ActionOutcome, PayerError> {
        let id = action.id();
        let opens = matches!(action, Action::Open(_) | Action::CancelOpening(_));
        let cancellation = match opens {
            true => self.payer.cancel_opening(id).await?,
            false => self.payer.cancel_reclaim(id).await?,
        };
        let completed = match &cancellation {
            Cancellation::Nothing => return Ok(ActionOutcome::Nothing),
            Cancellation::Pending(hash) => {
                return Ok(ActionOutcome::Waiting(cancelling_text(*hash)));
            }
            Cancellation::Cancelled(mined) => {
                self.report_cancelled(id, mined);
                return Ok(ActionOutcome::Waiting(cancelled_text(mined.hash)));
            }
            Cancellation::TooLate(mined) if opens => {
                let terms = self.payer.deposit(id).await?.deposit;
                self.report_opened(id, &terms, mined)
            }
            Cancellation::TooLate(mined) => self.report_reclaimed(id, mined),
        };
        Ok(ActionOutcome::of_mined(completed))
    }

    /// Cancels the transaction of an action that cannot succeed, if one is stored; else returns `error`. The
    /// action is retried after the cancellation.
    pub(super) async fn abandon(
        &self,
        action: Action,
        error: PayerError,
    ) -> Result<ActionOutcome, PayerError> {
        match self.cancel(action).await? {
            ActionOutcome::Nothing => Err(error),
            outcome => Ok(outcome),
        }
    }

    /// Reports an opened deposit. `None` if its transaction was reported before.
    pub(super) fn report_opened(
        &self,
        id: DepositId,
        terms: &Deposit,
        mined: &MinedTx,
    ) -> Option<Completed> {
        self.count_once("open", mined)?;
        tracing::info!(
            event = "deposit_opened",
            deposit = %id,
            token = %terms.token,
            amount = %terms.amount,
            draw_time = terms.drawTime,
            transaction = %mined.hash,
            block = mined.block,
        );
        Some(Completed::Opened(id))
    }

    /// Reports a reclaimed deposit. `None` if its transaction was reported before.
    pub(super) fn report_reclaimed(&self, id: DepositId, mined: &MinedTx) -> Option<Completed> {
        self.count_once("reclaim", mined)?;
        tracing::info!(
            event = "deposit_reclaimed",
            deposit = %id,
            transaction = %mined.hash,
            block = mined.block,
        );
        Some(Completed::Reclaimed(id))
    }

    /// Logs a mined cancellation, once.
    fn report_cancelled(&self, id: DepositId, mined: &MinedTx) {
        if self.count_once("cancel", mined).is_some() {
            tracing::warn!(
                event = "transaction_cancelled",
                deposit = %id,
                transaction = %mined.hash,
                block = mined.block,
            );
        }
    }

    /// Counts a mined transaction. `None` if it was counted before: a transaction is checked at every head
    /// until a reorganisation is unlikely to drop it.
    fn count_once(&self, purpose: &'static str, mined: &MinedTx) -> Option<()> {
        let is_new = self.seen().counted.insert(mined.hash);
        is_new.then(|| {
            counter!(PAYER_TRANSACTIONS, "purpose" => purpose).increment(1);
            counter!(PAYER_FEES).increment(u64::try_from(mined.fee).unwrap_or(u64::MAX));
        })
    }

    /// Drops counted transactions whose records are gone.
    pub(super) fn prune_counted(&self, deposits: &[TrackedDeposit]) {
        let records = deposits
            .iter()
            .flat_map(|tracked| tracked.opening.iter().chain(&tracked.reclaim));
        let hashes_of = |tx: &TxRecord| [&tx.hashes[..], &tx.cancelled_by].concat();
        let hashes: Vec<_> = records.flat_map(hashes_of).collect();
        self.seen().counted.retain(|hash| hashes.contains(hash));
    }
}
