//! What the service remembers of each deposit between two steps, and what it says about it.

use crate::{
    payee::{
        service::{
            HoldingChange, PayeeService, PayeeServiceError, PayeeStepReport,
            scan::Observation,
            state::{HoldingState, before_draw},
        },
        transactions::PendingTx,
    },
    protocol::{receive::position::Position, terms::DepositId},
    service::metrics as names,
};
use metrics::gauge;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
};

/// Something that failed for one deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// What happened.
    pub error: String,
    /// The block at which it is tried again.
    pub retry_at: u64,
}

/// Where a deposit stands that the payee holds a cheque of.
#[derive(Clone, Debug)]
pub struct HoldingStatus {
    /// What the payee holds.
    pub position: Position,
    /// Where it stands.
    pub state: HoldingState,
    /// What failed at the last step, if something did.
    pub trouble: Option<LastError>,
    /// The last block to redeem it, where it is won and that block is near.
    pub closing: Option<u64>,
    /// The block since which what redeems it waits to be mined, where that is more than 30 blocks ago.
    pub waits_since: Option<u64>,
}

impl HoldingStatus {
    /// Why it stands there, what it waits for, and when a failed step is tried again.
    pub fn reason(&self) -> String {
        let mut reason = self.state.to_string();
        if let Some(LastError { error, retry_at }) = &self.trouble {
            reason = format!("{error}; tried again at block {retry_at} ({reason})");
        }
        if let Some(since) = self.waits_since {
            reason += &format!("; it has waited since block {since}");
        }
        if let Some(last) = self.closing {
            reason += &format!("; its window closes at block {last}");
        }
        reason
    }
}

/// All deposits in the store, by id.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    deposits: BTreeMap<DepositId, Tracked>,
    /// What was sent and waits for very long.
    stuck: Vec<PendingTx>,
}

/// What is remembered of a deposit. There may be a million.
#[derive(Debug)]
struct Tracked {
    draw_block: u64,
    last_block: u64,
    state: HoldingState,
    /// Nothing changes any more, so it is not looked at again.
    settled: bool,
    /// The last block to redeem it, where it was a win when it could be looked at last.
    deadline: Option<u64>,
    /// Whether that block is near, which was warned about.
    closing: bool,
    trouble: Option<Box<LastError>>,
}

impl Ledger {
    /// Whether a step has to read a deposit from the store.
    pub(super) fn wants(&self, id: DepositId, head: u64) -> bool {
        let known = self.deposits.get(&id);
        known.is_none_or(|known| !known.settled && known.draw_block <= head)
    }

    /// The state of a deposit, if it is known.
    pub(super) fn state(&self, id: DepositId) -> Option<HoldingState> {
        self.deposits.get(&id).map(|known| known.state)
    }

    /// Whether a deposit is known and drawn after `head`.
    pub(super) fn is_to_be_drawn(&self, id: DepositId, head: u64) -> bool {
        let known = self.deposits.get(&id);
        known.is_some_and(|known| !known.settled && known.draw_block > head)
    }

    /// The deposits that are drawn after `head`: id, draw block, last block to redeem, state.
    pub(super) fn to_be_drawn(
        &self,
        head: u64,
    ) -> impl Iterator<Item = (DepositId, u64, u64, HoldingState)> {
        let deposits = self.deposits.iter();
        deposits
            .filter(move |(_, known)| known.draw_block > head)
            .map(|(id, known)| (*id, known.draw_block, known.last_block, known.state))
    }

    /// The block since which what redeems a deposit waits, where that is very long.
    fn waits_since(&self, id: DepositId) -> Option<u64> {
        let redeems = |one: &&PendingTx| one.deposits().contains(&id);
        self.stuck.iter().find(redeems).map(PendingTx::since)
    }

    fn settles(&mut self, head: u64, depth: u64, pending_txs: &BTreeSet<DepositId>) {
        for (id, known) in &mut self.deposits {
            if known.settled || known.trouble.is_some() || pending_txs.contains(id) {
                continue;
            }
            let Some(since) = known.state.over_since(known.draw_block) else {
                continue;
            };
            known.settled = head >= since.saturating_add(depth);
        }
    }
}

impl PayeeService {
    /// All deposits that the payee holds a cheque of, as of the last step. One that came in since then is there, too.
    pub async fn status(&self) -> Result<Vec<HoldingStatus>, PayeeServiceError> {
        let positions = self.payee.ledger().await?;
        let head = self.vitals().head().unwrap_or_default();
        let ledger = self.ledger();
        let new = |draw_block| before_draw(draw_block, head, self.payee.policy(), false);
        Ok(positions
            .into_iter()
            .map(
                |position| match ledger.deposits.get(&position.deposit_id()) {
                    Some(known) => HoldingStatus {
                        state: known.state,
                        trouble: known.trouble.as_deref().cloned(),
                        closing: known.deadline.filter(|_| known.closing),
                        waits_since: ledger.waits_since(position.deposit_id()),
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
        let mut ledger = self.ledger();
        let mut stepped = PayeeStepReport {
            head,
            ..PayeeStepReport::default()
        };
        for (id, found) in look.found {
            let before = ledger.deposits.remove(&id);
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
            ledger.deposits.insert(id, known);
        }
        let depth = self.final_depth();
        let pending_txs = look
            .pending_txs
            .iter()
            .flat_map(PendingTx::deposits)
            .copied();
        ledger.settles(head, depth, &pending_txs.collect());
        count(&ledger);
        stepped
    }

    /// Finds out what of the wallet waits for very long, and tells the metrics.
    pub(super) async fn count_stuck(&self, head: u64) -> Result<(), PayeeServiceError> {
        let stuck = self.payee.stuck(head).await?;
        let nonces: BTreeSet<_> = stuck.iter().map(PendingTx::nonce).collect();
        gauge!(names::PAYEE_STUCK).set(u32::try_from(nonces.len()).unwrap_or(u32::MAX));
        let since = stuck.iter().map(PendingTx::since).min();
        self.vitals().waits_since(since);
        self.ledger().stuck = stuck;
        Ok(())
    }

    /// Forgets deposits whose window has been over for as long as the settings say, in the store and here. What the store
    /// keeps, for a transaction is under way that redeems it, stays here, too: else every step would find it as new.
    pub(super) async fn forget_old(&self, head: u64) -> Result<(), PayeeServiceError> {
        let confirmed = self.payee.reader().confirmed(head);
        let before = head.saturating_sub(self.settings.keep).min(confirmed);
        let old = |known: &Tracked| known.settled && known.last_block < before;
        if !self.ledger().deposits.values().any(old) {
            return Ok(());
        }
        let forgotten = self.payee.forget_before(before).await?;
        let forgotten: BTreeSet<_> = forgotten.into_iter().collect();
        let mut ledger = self.ledger();
        // What is old and not among them, somebody else has forgotten.
        let known = &mut ledger.deposits;
        known.retain(|id, known| !old(known) && !forgotten.contains(id));
        Ok(())
    }

    /// How deep a block has to be so that no reorganisation takes it back.
    pub(super) const fn final_depth(&self) -> u64 {
        self.payee.reader().profile().final_depth
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        let ledger = self.shared.ledger.lock();
        ledger.unwrap_or_else(PoisonError::into_inner)
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
fn count(ledger: &Ledger) {
    let mut counts: BTreeMap<_, u32> = HoldingState::NAMES.map(|name| (name, 0)).into();
    let mut closing = 0u32;
    for known in ledger.deposits.values() {
        *counts.entry(known.state.name()).or_default() += 1;
        closing += u32::from(known.closing);
    }
    for (state, count) in counts {
        gauge!(names::PAYEE_DEPOSITS, "state" => state).set(count);
    }
    gauge!(names::PAYEE_CLOSING).set(closing);
}
