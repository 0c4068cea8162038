//! How what the wallet has sent comes to its end: in a block, or cancelled.

use crate::{
    payer::{
        error::PayerError,
        service::{
            Completed, PayerService,
            decide::{Action, TrackedDeposit},
            status::{CONFIRMING, cancels, is_cancelled},
        },
    },
    protocol::terms::DepositId,
    service::metrics::{PAYER_FEES, PAYER_TRANSACTIONS},
    tx::{outbox::cancel::Cancellation, record::TxRecord, wallet::MinedTx},
};
use cheque_bindings::Deposit;
use metrics::counter;

/// What a task came to.
pub(super) enum Outcome {
    /// It is done.
    Done(Completed),
    /// There was nothing to do.
    Nothing,
    /// It takes its time, for this reason.
    Waits(String),
}

impl PayerService {
    /// Sees to it that what is of no use any more comes to an end.
    pub(super) async fn cancel(&self, task: Action) -> Result<Outcome, PayerError> {
        let id = task.id();
        let opens = matches!(task, Action::Open(_) | Action::CancelOpening(_));
        let stands = match opens {
            true => self.payer.cancel_opening(id).await?,
            false => self.payer.cancel_reclaim(id).await?,
        };
        let first = match &stands {
            Cancellation::Nothing => return Ok(Outcome::Nothing),
            Cancellation::Waiting(hash) => return Ok(Outcome::Waits(cancels(*hash))),
            Cancellation::Cancelled(sent) => {
                self.cancelled(id, sent);
                return Ok(Outcome::Waits(is_cancelled(sent.hash)));
            }
            Cancellation::TooLate(sent) if opens => {
                let terms = self.payer.deposit(id).await?.deposit;
                self.opened(id, &terms, sent)
            }
            Cancellation::TooLate(sent) => self.reclaimed(id, sent),
        };
        Ok(first.map_or_else(|| Outcome::Waits(CONFIRMING.to_owned()), Outcome::Done))
    }

    /// Cancels what was sent for a task in vain, if something was. The task is tried anew after that.
    pub(super) async fn give_up(
        &self,
        task: Action,
        error: PayerError,
    ) -> Result<Outcome, PayerError> {
        match self.cancel(task).await? {
            Outcome::Nothing => Err(error),
            outcome => Ok(outcome),
        }
    }

    /// Tells that a deposit was opened, once.
    pub(super) fn opened(
        &self,
        id: DepositId,
        terms: &Deposit,
        sent: &MinedTx,
    ) -> Option<Completed> {
        self.count_first("open", sent)?;
        tracing::info!(
            event = "deposit_opened",
            deposit = %id,
            token = %terms.token,
            amount = %terms.amount,
            draw_block = terms.drawBlock,
            transaction = %sent.hash,
            block = sent.block,
        );
        Some(Completed::Opened(id))
    }

    /// Tells that a deposit was taken back, once.
    pub(super) fn reclaimed(&self, id: DepositId, sent: &MinedTx) -> Option<Completed> {
        self.count_first("reclaim", sent)?;
        tracing::info!(
            event = "deposit_reclaimed",
            deposit = %id,
            transaction = %sent.hash,
            block = sent.block,
        );
        Some(Completed::Reclaimed(id))
    }

    fn cancelled(&self, id: DepositId, sent: &MinedTx) {
        if self.count_first("cancel", sent).is_some() {
            tracing::warn!(
                event = "transaction_cancelled",
                deposit = %id,
                transaction = %sent.hash,
                block = sent.block,
            );
        }
    }

    /// Counts a transaction that is in a block, unless it was counted before: it is looked at until no reorganisation is
    /// likely to drop it.
    fn count_first(&self, purpose: &'static str, sent: &MinedTx) -> Option<()> {
        let is_new = self.seen().counted.insert(sent.hash);
        is_new.then(|| {
            counter!(PAYER_TRANSACTIONS, "purpose" => purpose).increment(1);
            counter!(PAYER_FEES).increment(u64::try_from(sent.fee).unwrap_or(u64::MAX));
        })
    }

    /// Forgets transactions that nothing is asked about any more.
    pub(super) fn forget_counted(&self, deposits: &[TrackedDeposit]) {
        let sent = deposits
            .iter()
            .flat_map(|known| known.opening.iter().chain(&known.reclaim));
        let hashes = |sent: &TxRecord| [&sent.hashes[..], &sent.cancelled_by].concat();
        let known: Vec<_> = sent.flat_map(hashes).collect();
        self.seen().counted.retain(|hash| known.contains(hash));
    }
}
