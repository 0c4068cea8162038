//! Keeping what a scan has found: states, warnings, metrics, and what is old.

use crate::{
    payee::{
        pending::PendingTx,
        service::{
            PayeeService,
            holdings::{Holdings, Tracked},
            observation::Observation,
            report::{HoldingChange, HoldingStatus, LastError, PayeeServiceError, PayeeStepReport},
            state::{HoldingState, before_draw},
        },
    },
    service::metrics as names,
};
use metrics::gauge;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
};

impl PayeeService {
    /// All deposits that the payee holds a cheque of, as of the last step. One that came in since then is there, too.
    pub async fn status(&self) -> Result<Vec<HoldingStatus>, PayeeServiceError> {
        let positions = self.payee.positions().await?;
        let head = self.vitals().head().unwrap_or_default();
        let holdings = self.holdings();
        let new = |draw_block| before_draw(draw_block, head, self.payee.policy(), false);
        Ok(positions
            .into_iter()
            .map(
                |position| match holdings.deposits.get(&position.deposit_id()) {
                    Some(known) => HoldingStatus {
                        state: known.state,
                        trouble: known.trouble.as_deref().cloned(),
                        closing: known.deadline.filter(|_| known.closing),
                        waits_since: holdings.waits_since(position.deposit_id()),
                        position,
                    },
                    None => HoldingStatus {
                        state: new(position.deposit().drawBlock),
                        trouble: None,
                        closing: None,
                        waits_since: None,
                        position,
                    },
                },
            )
            .collect())
    }

    /// Keeps what a step has found, and tells the log and the metrics.
    pub(super) fn keep(&self, look: Observation) -> PayeeStepReport {
        let head = look.head.number;
        let mut holdings = self.holdings();
        let mut stepped = PayeeStepReport {
            head,
            ..PayeeStepReport::default()
        };
        for (id, found) in look.found {
            let before = holdings.deposits.remove(&id);
            let deadline = match look.wins.get(&id) {
                Some(win) => Some(win.deadline()),
                // A window closes, too, while nobody can look at it.
                None if found.trouble.is_some() => before.as_ref().and_then(|known| known.deadline),
                None => None,
            };
            let closing = deadline.filter(|last| self.settings.is_urgent(*last, head));
            let known = Tracked {
                draw_block: found.draw_block,
                last_block: found.last_block,
                state: found.state,
                settled: false,
                deadline,
                closing: closing.is_some(),
                trouble: found.trouble.map(Box::new),
            };
            if let Some(last) = closing {
                stepped.closing.push(id);
                let warned = |before: &Tracked| before.closing && before.deadline == Some(last);
                if !before.as_ref().is_some_and(warned) {
                    let reason = known.state.to_string();
                    tracing::warn!(event = "window_closing", deposit = %id, last_block = last, reason);
                }
            }
            if let Some(LastError { error, .. }) = known.trouble.as_deref() {
                stepped.failed.push(id);
                tracing::warn!(event = "step_failed", step = "deposit", deposit = %id, reason = error);
            }
            let before = before.map(|before| before.state);
            if before != Some(known.state) {
                let change = HoldingChange {
                    deposit: id,
                    before,
                    state: known.state,
                };
                log(&change);
                stepped.changes.push(change);
            }
            holdings.deposits.insert(id, known);
        }
        let depth = self.final_depth();
        let pending_txs = look
            .pending_txs
            .iter()
            .flat_map(PendingTx::deposits)
            .copied();
        holdings.settles(head, depth, &pending_txs.collect());
        count(&holdings);
        stepped
    }

    /// Finds out what of the wallet waits for very long, and tells the metrics.
    pub(super) async fn count_stuck(&self, head: u64) -> Result<(), PayeeServiceError> {
        let stuck = self.payee.stuck(head).await?;
        let nonces: BTreeSet<_> = stuck.iter().map(PendingTx::nonce).collect();
        gauge!(names::PAYEE_STUCK).set(u32::try_from(nonces.len()).unwrap_or(u32::MAX));
        let since = stuck.iter().map(PendingTx::since).min();
        self.vitals().waits_since(since);
        self.holdings().stuck = stuck;
        Ok(())
    }

    /// Forgets deposits whose window has been over for as long as the settings say, in the store and here. What the store
    /// keeps, for a transaction is under way that redeems it, stays here, too: else every step would find it as new.
    pub(super) async fn forget_old(&self, head: u64) -> Result<(), PayeeServiceError> {
        let confirmed = self.payee.reader().confirmed(head);
        let before = head.saturating_sub(self.settings.keep).min(confirmed);
        let old = |known: &Tracked| known.settled && known.last_block < before;
        if !self.holdings().deposits.values().any(old) {
            return Ok(());
        }
        let forgotten = self.payee.forget_before(before).await?;
        let forgotten: BTreeSet<_> = forgotten.into_iter().collect();
        let mut holdings = self.holdings();
        // What is old and not among them, somebody else has forgotten.
        let known = &mut holdings.deposits;
        known.retain(|id, known| !old(known) && !forgotten.contains(id));
        Ok(())
    }

    /// How deep a block has to be so that no reorganisation takes it back.
    pub(super) const fn final_depth(&self) -> u64 {
        self.payee.reader().profile().final_depth
    }

    pub(super) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        let holdings = self.shared.holdings.lock();
        holdings.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of state. Only names and reasons: whoever draws conclusions reads the chain.
fn log(change: &HoldingChange) {
    let before = change.before.map_or("", |before| before.name());
    let (deposit, state) = (change.deposit, change.state.name());
    let reason = change.state.to_string();
    match change.state {
        HoldingState::Missed(_) => {
            tracing::error!(event = "holding_state", %deposit, before, state, reason);
        }
        // Every deposit is new after a restart, and what a win waits for may change with every block.
        HoldingState::Won(_) | HoldingState::Redeeming { .. } if before != state => {
            tracing::info!(event = "holding_state", %deposit, before, state, reason);
        }
        _ if before.is_empty() || before == state => {
            tracing::debug!(event = "holding_state", %deposit, before, state, reason);
        }
        _ => tracing::info!(event = "holding_state", %deposit, before, state, reason),
    }
}

/// Sets the gauges.
fn count(holdings: &Holdings) {
    let mut counts: BTreeMap<_, u32> = HoldingState::NAMES.map(|name| (name, 0)).into();
    let mut closing = 0u32;
    for known in holdings.deposits.values() {
        *counts.entry(known.state.name()).or_default() += 1;
        closing += u32::from(known.closing);
    }
    for (state, count) in counts {
        gauge!(names::PAYEE_DEPOSITS, "state" => state).set(count);
    }
    gauge!(names::PAYEE_CLOSING).set(closing);
}
