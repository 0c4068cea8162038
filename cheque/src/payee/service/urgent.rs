//! Redemptions of urgent wins while the head is off the clock.
//!
//! Payments stop then, and nothing is concluded from the head. But a slow clock or a quiet chain may last longer than the
//! window of a win, and the bank itself simulates each redemption, so that the clock decides nothing.

use crate::{
    bank::head::HeadCheckError,
    payee::{
        pending::{PendingTx, Purpose},
        service::{PayeeService, observation::Observation, plan::plan, report::PayeeServiceError},
        snapshot::ChainSnapshot,
    },
};

/// The lead over the own clock from which on a head is not the chain's, in seconds. Clocks are rarely as wrong.
const MAX_LEAD: u64 = 3_600;

impl PayeeService {
    /// True if urgent wins are redeemed by a head with this error: it is old, or not long in the future.
    pub(super) const fn may_redeem_by(error: &HeadCheckError) -> bool {
        match *error {
            HeadCheckError::Behind { .. } => true,
            HeadCheckError::Ahead { time, clock, .. } => time.saturating_sub(clock) < MAX_LEAD,
            _ => false,
        }
    }

    /// Submits the urgent redemptions, and bumps the fees of pending ones. Records no state but that of new deposits, and
    /// removes nothing.
    ///
    /// A win is urgent by the latest clock: the next block of a quiet chain has the time at which it is made.
    pub(super) async fn redeem_urgent(
        &self,
        snapshot: &ChainSnapshot,
    ) -> Result<(), PayeeServiceError> {
        let _one_at_a_time = self.shared.stepping.lock().await;
        let mut observed = self.begin(snapshot).await?;
        self.find_new(&mut observed).await?;
        self.record_new(&mut observed);
        if self.payee.wallet().is_none() {
            return Ok(());
        }
        let (mut observed, _) = self.scan_found(observed, snapshot).await?;
        let now = observed.now;
        let (head_time, settings) = (observed.head.time, &self.settings);
        observed
            .wins
            .retain(|_, win| win.is_urgent(now, settings) && head_time > win.draw_time);
        for tx in observed.pending_txs.clone() {
            let result = self.bump_urgent(&tx, &observed).await;
            if let Err(error) = result {
                tracing::warn!(event = "step_failed", step = "check", hash = %tx.hash, reason = %error);
            }
        }
        let idle = observed.wins.values();
        let idle = idle.filter(|win| observed.redemption_of(win.id).is_none());
        let idle: Vec<_> = idle.cloned().collect();
        let plan = plan(&idle, None, &snapshot.prices, now, settings);
        if !plan.redeem.is_empty() {
            observed.found.clear();
            self.submit_redemptions(&plan.redeem, &mut observed).await;
            for (id, found) in &observed.found {
                if let Some(failed) = &found.last_error {
                    let reason = &failed.error;
                    tracing::warn!(event = "step_failed", step = "deposit", deposit = %id, reason);
                }
            }
        }
        Ok(())
    }

    /// Hands a pending redemption of urgent wins to the node again, for a higher fee after a long wait.
    async fn bump_urgent(
        &self,
        tx: &PendingTx,
        observed: &Observation,
    ) -> Result<(), PayeeServiceError> {
        let Purpose::Redeem(ids) = &tx.purpose else {
            return Ok(());
        };
        let is_urgent = ids.iter().any(|id| observed.wins.contains_key(id));
        if is_urgent && self.payee.count_payable(tx, &observed.head).await? > 0 {
            let _status = self.payee.check(tx, true).await?;
        }
        Ok(())
    }
}
