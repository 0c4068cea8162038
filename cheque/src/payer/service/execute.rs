//! Executes the decided actions.

use crate::{
    bank::head::Head,
    payer::{
        create::{Opened, open_key, reclaim_key},
        error::PayerError,
        records::{DepositRecord, DepositState},
        request::{DepositRequest, Draw},
        service::{
            Completed, PayerService,
            decide::{Action, RoundNeed, Situation, TrackedDeposit},
            error::RoundError,
            retry::Subject,
            rounds::{RoundList, Rounds},
            settle_tx::ActionOutcome,
            status::{CONFIRMING, waiting_text},
        },
    },
    protocol::{
        amount::Amount,
        terms::{DepositId, Purse},
    },
    service::metrics::{PAYER_ERRORS, PAYER_ROUND_BLOCKED},
    store::async_store::StoredError,
    tx::{error::OutboxError, error::TxError},
};
use alloy_primitives::Address;
use metrics::{counter, gauge};
use std::collections::HashSet;

impl PayerService {
    /// Acts once at this head: resumes pending transactions, reclaims money, opens the next round. A failed
    /// action is recorded, and does not hold up the others.
    pub(super) async fn act(&self, head: &Head) -> Result<Vec<Completed>, PayerError> {
        let Some(account) = self.payer.wallet_address() else {
            return Ok(Vec::new());
        };
        let deposits = self.tracked_deposits().await?;
        let now = self.payer.now_at(head).await.latest();
        let situation = self.situation(head, now, account, &deposits);
        self.prune_counted(&deposits);
        let mut completed = Vec::new();
        for action in situation.actions(self.rounds.as_ref()) {
            completed.extend(self.perform(action, &situation).await);
        }
        if let Some(rounds) = &self.rounds {
            completed.extend(self.next_round(rounds, head, &situation).await);
        }
        self.retries().retain(|id| {
            let has_tx =
                |tracked: &TrackedDeposit| tracked.opening.is_some() || tracked.reclaim.is_some();
            let mut tracked = deposits.iter().filter(|tracked| tracked.id == id);
            tracked.any(|tracked| !tracked.record.settled || has_tx(tracked))
        });
        Ok(completed)
    }

    /// Reads all deposits of the store, with their stored transactions, and with the payments of active and
    /// pending deposits.
    pub(super) async fn tracked_deposits(&self) -> Result<Vec<TrackedDeposit>, PayerError> {
        let (mut deposits, mut paying) = (Vec::new(), HashSet::new());
        let mut txs = self.payer.deposit_txs().await?;
        for (id, record) in self.payer.deposits().await? {
            if is_paying(&record) {
                paying.insert(id);
            }
            deposits.push(TrackedDeposit {
                id,
                spent: self.spent_if_paying(id, &record).await?,
                record,
                opening: txs.openings.remove(&id),
                reclaim: txs.reclaims.remove(&id),
            });
        }
        self.payer.keep_spent_of(|id| paying.contains(id));
        Ok(deposits)
    }

    /// Reads one deposit, like [`Self::tracked_deposits`]. `None`: the store lacks it.
    pub(super) async fn tracked_deposit(
        &self,
        id: DepositId,
    ) -> Result<Option<TrackedDeposit>, PayerError> {
        let record = match self.payer.deposit(id).await {
            Ok(record) => record,
            Err(PayerError::UnknownDeposit(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(TrackedDeposit {
            id,
            spent: self.spent_if_paying(id, &record).await?,
            record,
            opening: self.payer.deposit_tx(&open_key(id)).await?,
            reclaim: self.payer.deposit_tx(&reclaim_key(id)).await?,
        }))
    }

    async fn spent_if_paying(
        &self,
        id: DepositId,
        record: &DepositRecord,
    ) -> Result<Amount, PayerError> {
        match is_paying(record) {
            true => self.payer.recently_spent(id).await,
            false => Ok(Amount::ZERO),
        }
    }

    /// Performs an action, and records its outcome for the retry schedule.
    async fn perform(&self, action: Action, situation: &Situation<'_>) -> Option<Completed> {
        let (id, now) = (action.id(), situation.now);
        let subject = match action.cancels() {
            true => Subject::Cancelling(id),
            false => Subject::Deposit(id),
        };
        if !self.retries().is_due(subject, now) {
            return None;
        }
        let result = match action {
            Action::Open(id) => self.open(id, situation).await,
            Action::Reclaim(id) => self.reclaim(id).await,
            Action::CancelOpening(_) | Action::CancelReclaim(_) => self.cancel(action).await,
        };
        let result = match result {
            Err(error) if cannot_succeed(&error) => self.abandon(action, error).await,
            result => result,
        };
        match result {
            Ok(ActionOutcome::Completed(completed)) => {
                self.retries().remove(subject);
                Some(completed)
            }
            Ok(ActionOutcome::Nothing) => {
                self.retries().remove(subject);
                None
            }
            Ok(ActionOutcome::Waiting(reason)) => {
                self.retries().record_waiting(subject, reason);
                None
            }
            Err(error) => {
                self.postpone(subject, now, "transaction", error);
                None
            }
        }
    }

    async fn open(
        &self,
        id: DepositId,
        situation: &Situation<'_>,
    ) -> Result<ActionOutcome, PayerError> {
        match self.payer.open(id).await {
            Ok(opened) => {
                let completed = self.report_opened(id, &opened.deposit, &opened.tx);
                Ok(ActionOutcome::of_mined(completed))
            }
            // The reopening is lost, which was to reclaim the expired deposit and open the new one: reclaim
            // first.
            Err(PayerError::LaneBusy { deposit, .. }) if is_reclaimable(deposit, situation) => {
                self.reclaim(deposit).await
            }
            Err(error) => Err(error),
        }
    }

    async fn reclaim(&self, id: DepositId) -> Result<ActionOutcome, PayerError> {
        let mined = self.payer.reclaim(id).await?;
        let completed = self.report_reclaimed(id, &mined);
        Ok(ActionOutcome::of_mined(completed))
    }

    /// Opens the next round if needed.
    async fn next_round(
        &self,
        rounds: &Rounds,
        head: &Head,
        situation: &Situation<'_>,
    ) -> Option<Completed> {
        let expired = match situation.need(rounds, rounds.lead(&self.payer)) {
            RoundNeed::Another { expired } => expired,
            RoundNeed::Serves(_) => {
                self.retries().remove(Subject::Round);
                gauge!(PAYER_ROUND_BLOCKED).set(0);
                return None;
            }
            RoundNeed::Coming(_) => {
                self.retries().remove(Subject::Round);
                gauge!(PAYER_ROUND_BLOCKED).set(u8::from(self.is_stuck()));
                return None;
            }
        };
        if !self.retries().is_due(Subject::Round, situation.now) {
            return None;
        }
        match self.open_round(rounds, expired, head, situation).await {
            Ok(opened) => {
                self.retries().remove(Subject::Round);
                gauge!(PAYER_ROUND_BLOCKED).set(0);
                self.report_opened(opened.id, &opened.deposit, &opened.tx)
            }
            Err(RoundError::Payer(error)) => {
                let waits = self.postpone(Subject::Round, situation.now, "round", error);
                gauge!(PAYER_ROUND_BLOCKED).set(u8::from(!waits || self.is_stuck()));
                None
            }
            Err(error) => {
                self.record_failure(Subject::Round, situation.now, "round", error.to_string());
                gauge!(PAYER_ROUND_BLOCKED).set(1);
                None
            }
        }
    }

    async fn open_round(
        &self,
        rounds: &Rounds,
        expired: Option<DepositId>,
        head: &Head,
        situation: &Situation<'_>,
    ) -> Result<Opened, RoundError> {
        // Nobody could be paid from the deposit, and a beacon that has ended does not draw it.
        self.payer.check_clocks(head).await?;
        let RoundList { allowances, names } = next_list(rounds).await?;
        let mut parts = allowances.iter().map(|(_, allowance)| *allowance);
        let amount = parts
            .try_fold(Amount::ZERO, |sum, part| sum.checked_add(part))
            .ok_or(RoundError::TooMuch)?;
        situation.check_budget(rounds, amount)?;
        let mut request =
            DepositRequest::new(allowances, situation.signer, Draw::In(rounds.draw_in));
        request.names = names;
        request.payer = Some(situation.account);
        request.token = rounds.token;
        request.redeem_window = rounds.redeem_window;
        request.min_payout = rounds.min_payout;
        if let Some(expired) = expired {
            return Ok(self.payer.reopen(expired, &request).await?);
        }
        request.lane = self.richest_lane(rounds.token, head, situation).await?;
        Ok(self.payer.create_deposit(&request).await?)
    }

    /// The idle purse of an earlier deposit that holds the most money. `None` if none is idle.
    async fn richest_lane(
        &self,
        token: Address,
        head: &Head,
        situation: &Situation<'_>,
    ) -> Result<Option<u64>, RoundError> {
        let purse = |lane| ((situation.account, token, lane), head.number);
        let keys: Vec<_> = situation.idle_lanes(token).into_iter().map(purse).collect();
        let purses = self.payer.reader().purses(&keys).await?;
        let idle = keys.iter().zip(purses).filter_map(|(key, purse)| {
            let ((_, _, lane), _) = key;
            match purse {
                Purse::Idle(idle) => Some((idle, std::cmp::Reverse(*lane))),
                Purse::Open(_) => None,
            }
        });
        Ok(idle.max().map(|(_, lane)| lane.0))
    }

    /// Records why an action is not complete: it waits, or it failed. Returns true if it waits.
    fn postpone(&self, subject: Subject, now: u64, step: &'static str, error: PayerError) -> bool {
        match wait_reason(&error) {
            Some(reason) => {
                self.retries().record_waiting(subject, reason);
                true
            }
            None => {
                self.record_failure(subject, now, step, error.to_string());
                false
            }
        }
    }

    /// Records, counts and logs a failure; a repeated reason is logged once.
    fn record_failure(&self, subject: Subject, now: u64, step: &'static str, reason: String) {
        counter!(PAYER_ERRORS, "step" => step).increment(1);
        let is_new = self.retries().record_failure(subject, now, reason.clone());
        if is_new {
            let deposit = match subject {
                Subject::Deposit(id) | Subject::Cancelling(id) => Some(tracing::field::display(id)),
                Subject::Round => None,
            };
            tracing::warn!(event = "step_failed", step, deposit, now, reason);
        }
        self.seen().vitals.record_error(reason);
    }
}

/// Gets the list of the next round on a thread that may block.
pub(super) async fn next_list(rounds: &Rounds) -> Result<RoundList, RoundError> {
    let next = rounds.allowances.clone();
    match tokio::task::spawn_blocking(move || next()).await {
        Ok(list) => list.map_err(RoundError::List),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(PayerError::from(StoredError::ShuttingDown).into()),
        },
    }
}

/// The reason to wait for an action that has not failed.
fn wait_reason(error: &PayerError) -> Option<String> {
    match error {
        PayerError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) => {
            Some(waiting_text(*hash))
        }
        PayerError::IsOpen(_) => Some(CONFIRMING.to_owned()),
        _ => None,
    }
}

/// True if a deposit's transaction is cancelled, or cannot succeed: the bank would refuse it, so a fee bump
/// would fail, too.
fn cannot_succeed(error: &PayerError) -> bool {
    let PayerError::Outbox(error) = error else {
        return false;
    };
    match error {
        OutboxError::Tx(error) => error.revert().is_some(),
        OutboxError::Cancelled(_) => true,
        _ => false,
    }
}

/// True if a deposit can be reclaimed.
fn is_reclaimable(id: DepositId, situation: &Situation<'_>) -> bool {
    let mut deposits = situation.deposits.iter();
    deposits.any(|tracked| tracked.id == id && tracked.record.state == DepositState::Reclaimable)
}

/// True if cheques of the deposit may still be written, or were before its opening is confirmed.
const fn is_paying(record: &DepositRecord) -> bool {
    matches!(record.state, DepositState::Pending | DepositState::Active)
}
