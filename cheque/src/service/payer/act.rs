//! Doing what was decided.

use super::{
    Done, PayerService, Rounds,
    decide::{Known, Need, Situation, Task},
    error::RoundError,
    notes::About,
    status::waits,
};
use crate::{
    Amount, DepositId, Purse,
    chain::{ChainError, DepositRequest, Draw, OnceError, Opened, PayerError, Sent},
    service::metrics::{PAYER_ERRORS, PAYER_FEES, PAYER_ROUND_BLOCKED, PAYER_TRANSACTIONS},
    store::DepositState,
};
use alloy_primitives::Address;
use metrics::{counter, gauge};
use std::collections::BTreeSet;

impl PayerService {
    /// Does once what is to be done at this head: goes on with what was begun before, takes money back, opens the next
    /// round. What fails is noted, and does not hold up the rest.
    pub(super) async fn act(&self, head: u64) -> Result<Vec<Done>, PayerError> {
        // Two at once would decide the same.
        let _one_at_a_time = self.shared.acting.lock().await;
        let payer = &self.payer;
        let Some(account) = payer.wallet() else {
            return Ok(Vec::new());
        };
        let deposits = self.known().await?;
        let situation = self.situation(head, account, &deposits);
        let mut done = Vec::new();
        for task in self.in_order(situation.tasks(self.rounds.as_ref())).await? {
            done.extend(self.perform(task, &situation).await);
        }
        if let Some(rounds) = &self.rounds {
            done.extend(self.next_round(rounds, &situation).await);
        }
        self.notes().keep(|id| {
            let mut open = deposits.iter().filter(|known| !known.record.settled);
            open.any(|known| known.id == id)
        });
        Ok(done)
    }

    /// All deposits of the store, with what was spent of those that are not closed to payments.
    pub(super) async fn known(&self) -> Result<Vec<Known>, PayerError> {
        let mut deposits = Vec::new();
        for (id, record) in self.payer.deposits().await? {
            let spent = match record.state {
                DepositState::Pending | DepositState::Active => self.payer.spent(id).await?,
                _ => Amount::ZERO,
            };
            deposits.push(Known { id, record, spent });
        }
        Ok(deposits)
    }

    /// What was sent before comes first, in the order of its nonces: it has to be with the node before another nonce is
    /// chosen, else two transactions would share one.
    async fn in_order(&self, tasks: Vec<Task>) -> Result<Vec<Task>, PayerError> {
        let mut ordered = Vec::with_capacity(tasks.len());
        for task in tasks {
            let sent = match task {
                Task::Open(id) => self.payer.opening_sent(id).await?,
                Task::Reclaim(id) | Task::Conclude(id) => self.payer.reclaim_sent(id).await?,
            };
            if let (Task::Conclude(_), None) = (task, &sent) {
                continue;
            }
            let nonce = sent.map_or(u64::MAX, |sent| sent.nonce);
            ordered.push((nonce, task));
        }
        // Stable: the rest stays in the order of ids.
        ordered.sort_by_key(|(nonce, _)| *nonce);
        Ok(ordered.into_iter().map(|(_, task)| task).collect())
    }

    async fn perform(&self, task: Task, situation: &Situation<'_>) -> Option<Done> {
        let (id, head) = (task.id(), situation.head);
        let about = About::Deposit(id);
        if !self.notes().is_due(about, head) {
            return None;
        }
        let result = match task {
            Task::Open(id) => self.open(id, situation).await.map(Some),
            Task::Reclaim(id) => self.reclaim(id).await.map(Some),
            Task::Conclude(id) => self.conclude(id).await,
        };
        match result {
            Ok(done) => {
                self.notes().done(about);
                done
            }
            Err(error) => {
                self.put_off(about, head, "transaction", error);
                None
            }
        }
    }

    async fn open(&self, id: DepositId, situation: &Situation<'_>) -> Result<Done, PayerError> {
        match self.payer.open(id).await {
            Ok(opened) => Ok(self.opened(&opened)),
            // The transaction that was to take the money back and open this one at once is lost.
            Err(PayerError::LaneBusy { deposit, .. }) if is_over(deposit, situation) => {
                self.reclaim(deposit).await
            }
            Err(error) => Err(error),
        }
    }

    fn opened(&self, opened: &Opened) -> Done {
        let (id, terms) = (opened.id, &opened.deposit);
        self.mined("open", &opened.sent);
        tracing::info!(
            event = "deposit_opened",
            deposit = %id,
            token = %terms.token,
            amount = %terms.amount,
            draw_block = terms.drawBlock,
            transaction = %opened.sent.hash,
            block = opened.sent.block,
        );
        Done::Opened(id)
    }

    async fn reclaim(&self, id: DepositId) -> Result<Done, PayerError> {
        let sent = self.payer.reclaim(id).await?;
        Ok(self.reclaimed(id, &sent))
    }

    async fn conclude(&self, id: DepositId) -> Result<Option<Done>, PayerError> {
        let sent = self.payer.resume_reclaim(id).await?;
        Ok(sent.map(|sent| self.reclaimed(id, &sent)))
    }

    fn reclaimed(&self, id: DepositId, sent: &Sent) -> Done {
        self.mined("reclaim", sent);
        tracing::info!(
            event = "deposit_reclaimed",
            deposit = %id,
            transaction = %sent.hash,
            block = sent.block,
        );
        Done::Reclaimed(id)
    }

    fn mined(&self, purpose: &'static str, sent: &Sent) {
        counter!(PAYER_TRANSACTIONS, "purpose" => purpose).increment(1);
        counter!(PAYER_FEES).increment(u64::try_from(sent.fee).unwrap_or(u64::MAX));
    }

    /// Opens the next round if one is needed.
    async fn next_round(&self, rounds: &Rounds, situation: &Situation<'_>) -> Option<Done> {
        let expired = match situation.need(rounds, rounds.lead(&self.payer)) {
            Need::Another { expired } => expired,
            Need::Serves(_) | Need::Coming(_) => {
                self.notes().done(About::Round);
                gauge!(PAYER_ROUND_BLOCKED).set(0);
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
                Some(self.opened(&opened))
            }
            Err(RoundError::Payer(error)) => {
                let waits = self.put_off(About::Round, situation.head, "round", error);
                gauge!(PAYER_ROUND_BLOCKED).set(if waits { 0 } else { 1 });
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
                About::Deposit(id) => Some(tracing::field::display(id)),
                About::Round => None,
            };
            tracing::warn!(event = "step_failed", step, deposit, head, reason);
        }
        self.seen().last_error = Some(reason);
    }
}

/// The list of the next round, asked for where it may block.
async fn next_list(rounds: &Rounds) -> Result<Vec<(Address, Amount)>, RoundError> {
    let next = rounds.allowances.clone();
    match tokio::task::spawn_blocking(move || next()).await {
        Ok(list) => list.map_err(RoundError::List),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(PayerError::from(crate::chain::StoredError::ShuttingDown).into()),
        },
    }
}

/// Why something is not done yet although nothing failed.
fn in_time(error: &PayerError) -> Option<String> {
    match error {
        PayerError::Once(OnceError::Chain(ChainError::NotMined { hash, .. })) => Some(waits(*hash)),
        PayerError::IsOpen(_) => Some("it is in a block, and waits for confirmations".to_owned()),
        _ => None,
    }
}

/// Whether a deposit can be taken back.
fn is_over(id: DepositId, situation: &Situation<'_>) -> bool {
    let mut deposits = situation.deposits.iter();
    deposits.any(|known| known.id == id && known.record.state == DepositState::Reclaimable)
}
