//! Doing what was decided.

use crate::{
    payer::{
        create::Opened,
        error::PayerError,
        records::DepositState,
        request::{DepositRequest, Draw},
        service::{
            Completed, PayerService,
            decide::{Action, RoundNeed, Situation, TrackedDeposit},
            error::RoundError,
            retry::About,
            rounds::Rounds,
            settle_tx::Outcome,
            status::{CONFIRMING, waits},
        },
    },
    protocol::{
        amount::Amount,
        terms::{DepositId, Purse},
    },
    service::metrics::{PAYER_ERRORS, PAYER_ROUND_BLOCKED},
    tx::{error::OutboxError, error::TxError},
};
use alloy_primitives::Address;
use metrics::{counter, gauge};
use std::collections::BTreeSet;

impl PayerService {
    /// Does once what is to be done at this head: goes on with what was begun before, takes money back, opens the next
    /// round. What fails is noted, and does not hold up the rest.
    pub(super) async fn act(&self, head: u64) -> Result<Vec<Completed>, PayerError> {
        let Some(account) = self.payer.wallet_address() else {
            return Ok(Vec::new());
        };
        let deposits = self.known().await?;
        let situation = self.situation(head, account, &deposits);
        self.forget_counted(&deposits);
        let mut done = Vec::new();
        for task in situation.tasks(self.rounds.as_ref()) {
            done.extend(self.perform(task, &situation).await);
        }
        if let Some(rounds) = &self.rounds {
            done.extend(self.next_round(rounds, &situation).await);
        }
        self.notes().keep(|id| {
            let is_sent =
                |known: &TrackedDeposit| known.opening.is_some() || known.reclaim.is_some();
            let mut known = deposits.iter().filter(|known| known.id == id);
            known.any(|known| !known.record.settled || is_sent(known))
        });
        Ok(done)
    }

    /// All deposits of the store, with what was spent of those that are not closed to payments, and with what was sent for
    /// them.
    pub(super) async fn known(&self) -> Result<Vec<TrackedDeposit>, PayerError> {
        let mut deposits = Vec::new();
        let mut sent = self.payer.outstanding().await?;
        for (id, record) in self.payer.deposits().await? {
            let spent = match record.state {
                DepositState::Pending | DepositState::Active => self.payer.spent(id).await?,
                _ => Amount::ZERO,
            };
            deposits.push(TrackedDeposit {
                id,
                record,
                spent,
                opening: sent.openings.remove(&id),
                reclaim: sent.reclaims.remove(&id),
            });
        }
        Ok(deposits)
    }

    async fn perform(&self, task: Action, situation: &Situation<'_>) -> Option<Completed> {
        let (id, head) = (task.id(), situation.head);
        let about = match task.cancels() {
            true => About::Cancelling(id),
            false => About::Deposit(id),
        };
        if !self.notes().is_due(about, head) {
            return None;
        }
        let result = match task {
            Action::Open(id) => self.open(id, situation).await,
            Action::Reclaim(id) => self.reclaim(id).await,
            Action::CancelOpening(_) | Action::CancelReclaim(_) => self.cancel(task).await,
        };
        let result = match result {
            Err(error) if is_in_vain(&error) => self.give_up(task, error).await,
            result => result,
        };
        match result {
            Ok(Outcome::Done(done)) => {
                self.notes().done(about);
                Some(done)
            }
            Ok(Outcome::Nothing) => {
                self.notes().done(about);
                None
            }
            Ok(Outcome::Waits(reason)) => {
                self.notes().waits(about, reason);
                None
            }
            Err(error) => {
                self.put_off(about, head, "transaction", error);
                None
            }
        }
    }

    async fn open(&self, id: DepositId, situation: &Situation<'_>) -> Result<Outcome, PayerError> {
        match self.payer.open(id).await {
            Ok(opened) => {
                let first = self.opened(id, &opened.deposit, &opened.sent);
                Ok(first.map_or_else(|| Outcome::Waits(CONFIRMING.to_owned()), Outcome::Done))
            }
            // The transaction that was to take the money back and open this one at once is lost.
            Err(PayerError::LaneBusy { deposit, .. }) if is_over(deposit, situation) => {
                self.reclaim(deposit).await
            }
            Err(error) => Err(error),
        }
    }

    async fn reclaim(&self, id: DepositId) -> Result<Outcome, PayerError> {
        let sent = self.payer.reclaim(id).await?;
        let first = self.reclaimed(id, &sent);
        Ok(first.map_or_else(|| Outcome::Waits(CONFIRMING.to_owned()), Outcome::Done))
    }

    /// Opens the next round if one is needed.
    async fn next_round(&self, rounds: &Rounds, situation: &Situation<'_>) -> Option<Completed> {
        let expired = match situation.need(rounds, rounds.lead(&self.payer)) {
            RoundNeed::Another { expired } => expired,
            RoundNeed::Serves(_) => {
                self.notes().done(About::Round);
                gauge!(PAYER_ROUND_BLOCKED).set(0);
                return None;
            }
            RoundNeed::Coming(_) => {
                self.notes().done(About::Round);
                gauge!(PAYER_ROUND_BLOCKED).set(u8::from(self.is_stuck()));
                return None;
            }
        };
        if !self.notes().is_due(About::Round, situation.head) {
            return None;
        }
        match self.open_round(rounds, expired, situation).await {
            Ok(opened) => {
                self.notes().done(About::Round);
                gauge!(PAYER_ROUND_BLOCKED).set(0);
                self.opened(opened.id, &opened.deposit, &opened.sent)
            }
            Err(RoundError::Payer(error)) => {
                let waits = self.put_off(About::Round, situation.head, "round", error);
                gauge!(PAYER_ROUND_BLOCKED).set(u8::from(!waits || self.is_stuck()));
                None
            }
            Err(error) => {
                self.failed(About::Round, situation.head, "round", error.to_string());
                gauge!(PAYER_ROUND_BLOCKED).set(1);
                None
            }
        }
    }

    async fn open_round(
        &self,
        rounds: &Rounds,
        expired: Option<DepositId>,
        situation: &Situation<'_>,
    ) -> Result<Opened, RoundError> {
        let allowances = next_list(rounds).await?;
        let mut parts = allowances.iter().map(|(_, allowance)| *allowance);
        let amount = parts
            .try_fold(Amount::ZERO, |sum, part| sum.checked_add(part))
            .ok_or(RoundError::TooMuch)?;
        situation.check_budget(rounds, amount)?;
        let mut request =
            DepositRequest::new(allowances, situation.signer, Draw::In(rounds.draw_in));
        request.payer = Some(situation.account);
        request.token = rounds.token;
        request.redeem_window = rounds.redeem_window;
        request.min_payout = rounds.min_payout;
        if let Some(expired) = expired {
            return Ok(self.payer.reopen(expired, &request).await?);
        }
        request.lane = self.richest_lane(rounds.token, situation).await?;
        Ok(self.payer.create_deposit(&request).await?)
    }

    /// Of the purses that deposits were in before, the one that is free and holds most. `None`: none is free.
    async fn richest_lane(
        &self,
        token: Address,
        situation: &Situation<'_>,
    ) -> Result<Option<u64>, RoundError> {
        let (mut lanes, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for known in situation.deposits {
            let terms = &known.record.deposit;
            if terms.payer == situation.account && terms.token == token {
                lanes.insert(terms.lane);
                if known.record.state == DepositState::Pending {
                    taken.insert(terms.lane);
                }
            }
        }
        let purse = |lane| ((situation.account, token, lane), situation.head);
        let asked: Vec<_> = lanes.difference(&taken).copied().map(purse).collect();
        let purses = self.payer.reader().purses(&asked).await?;
        let idle = asked.iter().zip(purses).filter_map(|(asked, purse)| {
            let ((_, _, lane), _) = asked;
            match purse {
                Purse::Idle(idle) => Some((idle, std::cmp::Reverse(*lane))),
                Purse::Open(_) => None,
            }
        });
        Ok(idle.max().map(|(_, lane)| lane.0))
    }

    /// Notes why something is not done: because it takes its time, or because it failed. Returns whether it takes its
    /// time.
    fn put_off(&self, about: About, head: u64, step: &'static str, error: PayerError) -> bool {
        match in_time(&error) {
            Some(reason) => {
                self.notes().waits(about, reason);
                true
            }
            None => {
                self.failed(about, head, step, error.to_string());
                false
            }
        }
    }

    fn failed(&self, about: About, head: u64, step: &'static str, reason: String) {
        counter!(PAYER_ERRORS, "step" => step).increment(1);
        let is_new = self.notes().failed(about, head, reason.clone());
        if is_new {
            let deposit = match about {
                About::Deposit(id) | About::Cancelling(id) => Some(tracing::field::display(id)),
                About::Round => None,
            };
            tracing::warn!(event = "step_failed", step, deposit, head, reason);
        }
        self.seen().vitals.failed(reason);
    }
}

/// The list of the next round, asked for where it may block.
async fn next_list(rounds: &Rounds) -> Result<Vec<(Address, Amount)>, RoundError> {
    let next = rounds.allowances.clone();
    match tokio::task::spawn_blocking(move || next()).await {
        Ok(list) => list.map_err(RoundError::List),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => {
                Err(PayerError::from(crate::store::async_store::StoredError::ShuttingDown).into())
            }
        },
    }
}

/// Why something is not done yet although nothing failed.
fn in_time(error: &PayerError) -> Option<String> {
    match error {
        PayerError::Outbox(OutboxError::Tx(TxError::NotMined { hash, .. })) => Some(waits(*hash)),
        PayerError::IsOpen(_) => Some(CONFIRMING.to_owned()),
        _ => None,
    }
}

/// Whether what was sent for a deposit can not do what it is for: the bank would refuse it, so that it can not be sent for
/// a higher fee either, or it is cancelled.
fn is_in_vain(error: &PayerError) -> bool {
    let PayerError::Outbox(error) = error else {
        return false;
    };
    match error {
        OutboxError::Tx(error) => error.revert().is_some(),
        OutboxError::Cancelled(_) => true,
        _ => false,
    }
}

/// Whether a deposit can be taken back.
fn is_over(id: DepositId, situation: &Situation<'_>) -> bool {
    let mut deposits = situation.deposits.iter();
    deposits.any(|known| known.id == id && known.record.state == DepositState::Reclaimable)
}
