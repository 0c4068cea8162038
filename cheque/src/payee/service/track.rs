//! The record of a scan: states, warnings and metrics, and the removal of old deposits.

use crate::{
    bank::redeem::RedeemError,
    payee::{
        pending::PendingTx,
        service::{
            PayeeService,
            holdings::{Holdings, Tracked},
            observation::{Found, Observation},
            report::{HoldingChange, HoldingStatus, LastError, PayeeServiceError, PayeeStepReport},
            state::{HoldingState, before_draw},
        },
    },
    protocol::terms::DepositId,
    service::{health_tracker::STUCK_AFTER, metrics as names},
};
use metrics::gauge;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
};

impl PayeeService {
    /// The status of all deposits that the payee has a cheque of, as of the last step. Includes deposits with a first
    /// payment since then.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn status(&self) -> Result<Vec<HoldingStatus>, PayeeServiceError> {
        let positions = self.payee.positions().await?;
        let head = self.health_tracker().head().unwrap_or_default();
        let holdings = self.holdings();
        let new = |draw_block| before_draw(draw_block, head, self.payee.policy(), false);
        let statuses = positions.into_iter().map(|position| {
            let id = position.deposit_id();
            match holdings.deposits.get(&id) {
                Some(tracked) => HoldingStatus {
                    state: tracked.state,
                    last_error: tracked.last_error.as_deref().cloned(),
                    closes_at: tracked.deadline.filter(|_| tracked.closing),
                    stuck_since: holdings.stuck_since(id),
                    position,
                },
                None => HoldingStatus {
                    state: new(position.deposit().drawBlock),
                    last_error: None,
                    closes_at: None,
                    stuck_since: None,
                    position,
                },
            }
        });
        Ok(statuses.collect())
    }

    /// Records the result of a scan, logs changes and warnings, and sets the gauges.
    pub(super) fn record(&self, observed: Observation) -> PayeeStepReport {
        let head = observed.head.number;
        let mut holdings = self.holdings();
        let mut report = PayeeStepReport {
            head,
            ..PayeeStepReport::default()
        };
        for (id, found) in observed.found {
            let before = holdings.deposits.remove(&id);
            let deadline = match observed.wins.get(&id) {
                Some(win) => Some(win.deadline()),
                // Keeps the deadline after an error, because the window closes even if the node fails.
                None if found.last_error.is_some() => {
                    before.as_ref().and_then(|tracked| tracked.deadline)
                }
                None => None,
            };
            let tracked = self.track(id, found, deadline, before, &mut report);
            holdings.deposits.insert(id, tracked);
        }
        let pending = observed.pending_txs.iter().flat_map(PendingTx::deposits);
        holdings.settle(head, self.final_depth(), &pending.copied().collect());
        set_gauges(&holdings);
        report
    }

    /// The new memory of a deposit. Logs its changes, and adds them to the report.
    fn track(
        &self,
        id: DepositId,
        found: Found,
        deadline: Option<u64>,
        before: Option<Tracked>,
        report: &mut PayeeStepReport,
    ) -> Tracked {
        let closing = deadline.filter(|last| self.settings.is_urgent(*last, report.head));
        let tracked = Tracked {
            draw_block: found.draw_block,
            last_block: found.last_block,
            state: found.state,
            settled: false,
            deadline,
            closing: closing.is_some(),
            last_error: found.last_error.map(Box::new),
        };
        if let Some(last) = closing {
            report.closing.push(id);
            let warned = |before: &Tracked| before.closing && before.deadline == Some(last);
            if !before.as_ref().is_some_and(warned) {
                let reason = tracked.state.to_string();
                tracing::warn!(event = "window_closing", deposit = %id, last_block = last, reason);
            }
        }
        if let Some(LastError { error, .. }) = tracked.last_error.as_deref() {
            report.failed.push(id);
            tracing::warn!(event = "step_failed", step = "deposit", deposit = %id, reason = error);
        }
        let before = before.map(|before| before.state);
        if before != Some(tracked.state) {
            let change = HoldingChange {
                deposit: id,
                before,
                state: tracked.state,
            };
            log_change(&change);
            report.changes.push(change);
        }
        tracked
    }

    /// Finds the stuck transactions of the wallet, and sets their gauge.
    pub(super) async fn record_stuck(&self, head: u64) -> Result<(), PayeeServiceError> {
        let stuck = self.find_stuck(head).await?;
        let nonces: BTreeSet<_> = stuck.iter().map(|tx| tx.nonce).collect();
        gauge!(names::PAYEE_STUCK).set(u32::try_from(nonces.len()).unwrap_or(u32::MAX));
        let since = stuck.iter().map(|tx| tx.since).min();
        self.health_tracker().set_stuck_since(since);
        self.holdings().stuck = stuck;
        Ok(())
    }

    /// The wallet's transactions that have been pending for at least [`STUCK_AFTER`] blocks at `head`, and therefore block
    /// its later nonces.
    async fn find_stuck(&self, head: u64) -> Result<Vec<PendingTx>, RedeemError> {
        let Some(wallet) = self.payee.wallet() else {
            return Ok(Vec::new());
        };
        let mut stuck = self.payee.pending_txs().await?;
        stuck.retain(|tx| {
            tx.from == wallet.address() && head >= tx.since.saturating_add(STUCK_AFTER)
        });
        if !stuck.is_empty() {
            let mined = wallet.mined_nonce().await?;
            stuck.retain(|tx| tx.nonce >= mined);
        }
        Ok(stuck)
    }

    /// Removes settled deposits from the store and from memory, `retention` blocks after their window and once the last
    /// block of the window is confirmed.
    ///
    /// A deposit with a pending redemption stays in the store, and therefore in memory: every step would otherwise
    /// report the deposit as new.
    pub(super) async fn remove_old(&self, head: u64) -> Result<(), PayeeServiceError> {
        let confirmed = self.payee.reader().confirmed(head);
        let before = head.saturating_sub(self.settings.retention).min(confirmed);
        let old = |tracked: &Tracked| tracked.settled && tracked.last_block < before;
        if !self.holdings().deposits.values().any(old) {
            return Ok(());
        }
        let removed = self.payee.remove_before(before).await?;
        let removed: BTreeSet<_> = removed.into_iter().collect();
        // Another process has removed the old deposits missing in `removed`.
        let mut holdings = self.holdings();
        let deposits = &mut holdings.deposits;
        deposits.retain(|id, tracked| !old(tracked) && !removed.contains(id));
        Ok(())
    }

    /// The depth at which a block is final.
    pub(super) const fn final_depth(&self) -> u64 {
        self.payee.reader().profile().final_depth
    }

    pub(super) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        let holdings = self.shared.holdings.lock();
        holdings.unwrap_or_else(PoisonError::into_inner)
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
    let mut counts: BTreeMap<_, u32> = HoldingState::NAMES.map(|name| (name, 0)).into();
    let mut closing = 0u32;
    for tracked in holdings.deposits.values() {
        *counts.entry(tracked.state.name()).or_default() += 1;
        closing += u32::from(tracked.closing);
    }
    for (state, count) in counts {
        gauge!(names::PAYEE_DEPOSITS, "state" => state).set(count);
    }
    gauge!(names::PAYEE_CLOSING).set(closing);
}
