//! The health of the service, and its errors of all deposits.

use crate::{
    payee::service::{
        PayeeService, observation::Observation, report::PayeeServiceError, state::HoldingState,
    },
    service::{
        health::Health,
        health_tracker::{HealthTracker, Undone},
        metrics as names,
    },
};
use metrics::counter;
use std::sync::{MutexGuard, PoisonError};
use tokio::time::Instant;

impl PayeeService {
    /// The health of the service: good while polls and steps succeed and the store takes writes, whatever the
    /// [status](PayeeService::status) of single deposits. A win that cannot be looked at makes it ill after a while; one
    /// that cannot be redeemed and whose window is about to close, at once. A token without a usable rate is a warning.
    ///
    /// While [`PayeeService::run`] runs, it writes a mark to the store every ten seconds if nothing else is written, and each
    /// second after a failed write: an idle service notices, too, that its store takes no writes.
    #[must_use]
    pub fn health(&self) -> Health {
        let limit = HealthTracker::limit(self.payee.reader().profile());
        let now = Instant::now();
        let fault = self.payee.store.watch().fault(now);
        let mut tracker = self.health_tracker();
        tracker.set_store_fault(fault);
        let mut health = tracker.health(now, limit);
        let stopped = self.payee.rates().faults().into_iter();
        let stopped =
            stopped.map(|(token, fault)| format!("payments in token {token} are refused: {fault}"));
        health.warnings = stopped.collect();
        health
    }

    /// Returns what a step has left undone: a win that cannot be redeemed although its window is about to close, else a draw or
    /// a win that was not looked at. A draw whose round is long due counts, too, whatever relays say.
    pub(super) fn undone(&self, observed: &Observation) -> Option<Undone> {
        let head_time = observed.head.time;
        let is_closing =
            |until: u64| until >= head_time && self.settings.is_urgent(until, head_time);
        let closing = observed.found.iter().find_map(|(id, found)| {
            let failed = found.last_error.as_ref()?;
            let is_open =
                found.state.is_open_win() || matches!(found.state, HoldingState::Drawn { .. });
            let reason = || format!("deposit {id}: {}", failed.error);
            (is_open && is_closing(found.redeem_until)).then(reason)
        });
        if let Some(reason) = closing {
            let is_urgent = true;
            return Some(Undone { reason, is_urgent });
        }
        if let Some(reason) = observed.unread.clone() {
            let is_urgent = false;
            return Some(Undone { reason, is_urgent });
        }
        let patience = HealthTracker::limit(self.payee.reader().profile());
        let holdings = self.holdings();
        let overdue = holdings.undecided(observed.now.saturating_sub(patience));
        let mut overdue = overdue.filter_map(|(draw_time, id)| {
            let is_decided = observed.found.get(&id).is_some_and(|found| {
                !matches!(
                    found.state,
                    HoldingState::Drawn { .. } | HoldingState::Missed(_)
                )
            });
            let until = holdings.get(id)?.redeem_until;
            (until >= head_time && !is_decided).then_some((draw_time, until))
        });
        let (draw_time, until) = overdue.next()?;
        Some(Undone {
            reason: format!(
                "no relay has given the round of draw time {draw_time}; name further relays of the beacon"
            ),
            is_urgent: is_closing(until) || overdue.any(|(_, until)| is_closing(until)),
        })
    }

    /// Reports a failed poll of the chain.
    pub(super) fn report_poll_error(&self, error: &PayeeServiceError) {
        self.health_tracker().record_poll_error(error.to_string());
        report_error("view", error);
    }

    /// Reports the failure of a whole step.
    pub(super) fn report_step_error(&self, error: &PayeeServiceError) {
        self.health_tracker().record_step_error(error.to_string());
        report_error("step", error);
    }

    /// Reports that the stuck transactions could not be counted.
    pub(super) fn report_count_error(&self, error: &PayeeServiceError) {
        self.health_tracker().record_error(error.to_string());
        report_error("count", error);
    }

    pub(super) fn health_tracker(&self) -> MutexGuard<'_, HealthTracker> {
        let tracker = self.shared.health.lock();
        tracker.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts and logs an error of all deposits.
fn report_error(step: &'static str, error: &PayeeServiceError) {
    counter!(names::PAYEE_ERRORS, "step" => step).increment(1);
    tracing::warn!(event = "step_failed", step, reason = %error);
}
