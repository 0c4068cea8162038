//! The record of a scan: states, warnings and metrics, and the removal of old deposits.

use crate::{
    bank::redeem::RedeemError,
    payee::{
        pending::PendingTx,
        positions::stored_positions_at,
        service::{
            PayeeService,
            holdings::{Holdings, Tracked},
            observation::{Found, Observation},
            report::{HoldingChange, LastError, PayeeServiceError, PayeeStepReport},
            state::{HoldingState, before_draw},
        },
        snapshot::ChainSnapshot,
    },
    protocol::{receive::policy::MAX_HORIZON, terms::DepositId},
    service::metrics as names,
    sys::unix_now,
    tx::outbox::entry::is_older,
};
use metrics::gauge;
use std::{
    collections::BTreeSet,
    sync::{MutexGuard, PoisonError},
};

/// The number of old deposits that a step removes. The next step removes the next.
const MAX_REMOVED: usize = 100;

/// The time between two removals of old rounds, in seconds.
const DAY: u64 = 86_400;

impl PayeeService {
    /// Records the result of a scan, logs changes and warnings, and sets the gauges.
    pub(super) fn record(&self, observed: Observation) -> PayeeStepReport {
        let mut holdings = self.holdings();
        let mut report = PayeeStepReport {
            head: observed.head.number,
            ..PayeeStepReport::default()
        };
        let pending = observed.pending_deposits();
        for id in &observed.gone {
            holdings.remove(*id);
        }
        for (id, found) in observed.found {
            track(&mut holdings, id, found, &mut report);
        }
        holdings.looks += 1;
        let look = holdings.looks;
        for (id, mut win) in observed.looked {
            win.looked = if win.looked == 0 { 0 } else { look };
            if holdings.wins.contains_key(&id) {
                holdings.wins.insert(id, win);
            }
        }
        holdings.recorded.extend(observed.recorded);
        holdings.settle(&observed.final_block, &pending);
        self.mark_closing(&mut holdings, observed.head.time, &mut report);
        set_gauges(&holdings);
        self.announce(&report);
        if observed.rescanned {
            self.record_rescan();
        }
        report
    }

    /// Records the new deposits of a scan by a head that is off the clock, so that they are listed and followed, and removes
    /// them from the scan. Whatever the service knows already stays as it is.
    ///
    /// States only go on, so the earlier one of head and own clock gives them: the later one may be hours too late.
    pub(super) fn record_new(&self, observed: &mut Observation) {
        let now = unix_now().min(observed.head.time);
        let mut report = PayeeStepReport::default();
        let mut holdings = self.holdings();
        let found = std::mem::take(&mut observed.found);
        for (id, mut found) in found {
            if holdings.get(id).is_some() {
                observed.found.insert(id, found);
                continue;
            }
            found.state = before_draw(found.draw_time, now, self.payee.policy(), false);
            track(&mut holdings, id, found, &mut report);
        }
        set_gauges(&holdings);
        self.announce(&report);
        if observed.rescanned {
            self.record_rescan();
        }
    }

    fn announce(&self, report: &PayeeStepReport) {
        for change in &report.changes {
            // An error: nobody listens.
            let _ = self.shared.changes.0.send(change.clone());
        }
    }

    /// Marks the open wins whose window is about to close, also those that this step could not look at: the window closes
    /// even if the node fails. Logs a warning once.
    fn mark_closing(&self, holdings: &mut Holdings, head_time: u64, report: &mut PayeeStepReport) {
        let wins: Vec<_> = holdings.wins.keys().copied().collect();
        for id in wins {
            let Some(tracked) = holdings.get(id) else {
                continue;
            };
            let (until, state) = (tracked.redeem_until, tracked.state);
            let closing = state.is_open_win() && self.settings.is_urgent(until, head_time);
            if closing {
                report.closing.push(id);
            }
            if holdings.set_closing(id, closing) {
                let reason = state.to_string();
                tracing::warn!(event = "window_closing", deposit = %id, redeem_until = until, reason);
            }
        }
    }

    /// Warns of open wins whose window is about to close, after a failure of a whole step: the window closes even if the
    /// node fails. Goes by the latest clock, since there is no new head.
    pub(super) async fn warn_of_closing(&self) {
        let head = self.health_tracker().newest();
        let now = self.payee.now(head.map_or(0, |head| head.time)).await;
        let mut holdings = self.holdings();
        let mut unused = PayeeStepReport::default();
        self.mark_closing(&mut holdings, now.latest(), &mut unused);
        set_gauges(&holdings);
    }

    /// Finds the stuck transactions of the wallet, and sets their gauge.
    pub(super) async fn record_stuck(&self, now: u64) -> Result<(), PayeeServiceError> {
        let stuck = self.find_stuck(now).await?;
        let nonces: BTreeSet<_> = stuck.iter().map(|tx| tx.nonce).collect();
        gauge!(names::PAYEE_STUCK).set(u32::try_from(nonces.len()).unwrap_or(u32::MAX));
        let since = stuck.iter().map(|tx| tx.since).min();
        self.health_tracker().set_stuck_since(since);
        self.holdings().stuck = stuck;
        Ok(())
    }

    /// The wallet's transactions that have been pending for at least [`Wallet::stuck_after`](crate::tx::Wallet::stuck_after)
    /// seconds at `now`, and therefore block its later nonces. Counts those of a future time as well: a wrong clock wrote it.
    async fn find_stuck(&self, now: u64) -> Result<Vec<PendingTx>, RedeemError> {
        let Some(wallet) = self.payee.wallet() else {
            return Ok(Vec::new());
        };
        let mut stuck = self.payee.pending_txs().await?;
        stuck.retain(|tx| {
            tx.from == wallet.address() && is_older(tx.since, now, wallet.stuck_after())
        });
        if !stuck.is_empty() {
            let mined = wallet.mined_nonce_of(wallet.address()).await?;
            stuck.retain(|tx| tx.nonce >= mined);
        }
        Ok(stuck)
    }

    /// Removes settled deposits from the store and from memory, `retention` seconds after their window and once the end of
    /// the window is final. Once a day, removes the rounds that no deposit needs.
    ///
    /// A deposit with a pending redemption stays in the store, and therefore in memory: every step would otherwise
    /// report the deposit as new.
    pub(super) async fn remove_old(
        &self,
        snapshot: &ChainSnapshot,
        now: u64,
    ) -> Result<(), PayeeServiceError> {
        let kept_from = now.saturating_sub(self.settings.retention);
        let before = kept_from.min(snapshot.final_block.time);
        let old = self.holdings().ended_before(before, MAX_REMOVED);
        if !old.is_empty() {
            self.remove_ended(old, before).await?;
        }
        let is_day_over = {
            let last = self.shared.forgot_rounds.lock();
            let mut last = last.unwrap_or_else(PoisonError::into_inner);
            let is_over = now >= last.saturating_add(DAY);
            if is_over {
                *last = now;
            }
            is_over
        };
        if is_day_over {
            // A payer with the same store keeps its deposits as long, and later ones are drawn within the horizon. Goes by the
            // final block, because the own clock may be fast.
            let spare = before.saturating_sub(MAX_HORIZON);
            let oldest = self.holdings().oldest_draw().unwrap_or(spare);
            self.payee.seeds().forget_before(oldest.min(spare)).await?;
        }
        Ok(())
    }

    /// Removes those of the deposits that could be redeemed until a time before `before` and have no pending redemption, and
    /// those that are no longer in the store.
    async fn remove_ended(
        &self,
        ids: Vec<DepositId>,
        before: u64,
    ) -> Result<(), PayeeServiceError> {
        let (bank, payee) = (self.payee.reader().bank(), self.payee.policy().payee);
        let positions = stored_positions_at(&self.payee.store, bank.address(), payee, ids.clone());
        let positions = positions.await?;
        let missing = ids.into_iter().zip(&positions);
        let missing: Vec<_> = missing
            .filter_map(|(id, position)| position.is_none().then_some(id))
            .collect();
        let positions = positions.into_iter().flatten().collect();
        let removed = self.payee.remove_before(positions, before).await?;
        let mut holdings = self.holdings();
        for id in missing.into_iter().chain(removed) {
            holdings.remove(id);
        }
        Ok(())
    }

    pub(super) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        let holdings = self.shared.holdings.lock();
        holdings.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what a scan found of a deposit. Logs its changes, and adds them to the report.
fn track(holdings: &mut Holdings, id: DepositId, found: Found, report: &mut PayeeStepReport) {
    let closing = holdings.get(id).is_some_and(|tracked| tracked.closing);
    if let Some(LastError { error, .. }) = &found.last_error {
        report.failed.push(id);
        tracing::warn!(event = "step_failed", step = "deposit", deposit = %id, reason = error);
    }
    let tracked = Tracked {
        draw_time: found.draw_time,
        redeem_until: found.redeem_until,
        state: found.state,
        closing,
        last_error: found.last_error.map(Box::new),
    };
    let before = holdings.put(id, tracked).map(|before| before.state);
    if before != Some(found.state) {
        let change = HoldingChange {
            deposit: id,
            before,
            state: found.state,
        };
        log_change(&change);
        report.changes.push(change);
    }
}

/// Logs a change of state, with names and reasons only. The chain has the details.
fn log_change(change: &HoldingChange) {
    let before = change.before.map_or("", |before| before.name());
    let (deposit, state) = (change.deposit, change.state.name());
    let reason = change.state.to_string();
    match change.state {
        HoldingState::Missed(_) => {
            tracing::error!(event = "holding_state", %deposit, before, state, reason);
        }
        HoldingState::Won(_) | HoldingState::Redeeming { .. } if before != state => {
            tracing::info!(event = "holding_state", %deposit, before, state, reason);
        }
        // Less important: after a restart every deposit is new, and the reason of a waiting win may change at every
        // block.
        _ if before.is_empty() || before == state => {
            tracing::debug!(event = "holding_state", %deposit, before, state, reason);
        }
        _ => tracing::info!(event = "holding_state", %deposit, before, state, reason),
    }
}

fn set_gauges(holdings: &Holdings) {
    for state in HoldingState::NAMES {
        let count = u32::try_from(holdings.count_in(state)).unwrap_or(u32::MAX);
        gauge!(names::PAYEE_DEPOSITS, "state" => state).set(count);
    }
    gauge!(names::PAYEE_CLOSING).set(holdings.count_closing());
}
