//! The execution of a plan: checking pending transactions, recording seeds, redeeming wins.

use crate::{
    bank::{cost::GasPrices, redeem::RedeemError},
    payee::{
        pending::{PendingTx, Purpose},
        service::{
            PayeeService,
            observation::Observation,
            plan::{Plan, RedeemableWin, plan},
            state::HoldingState,
        },
    },
    protocol::terms::DepositId,
    service::metrics as names,
    tx::{
        error::OutboxError,
        error::TxError,
        outbox::{TxStatus, cancel::Cancellation},
        wallet::MinedTx,
    },
};
use metrics::counter;

/// The certainty that a deposit without an open win has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Ended in a confirmed block.
    Confirmed,
    /// Ended at the head, but a reorganisation could reopen the deposit; or its draw is not decided at the head.
    Reversible,
    /// The state could not be read.
    Unknown,
}

impl PayeeService {
    /// Executes the plan. An error is recorded at the deposits concerned, and the next step retries.
    pub(super) async fn execute(&self, observed: &mut Observation, plan: Plan, prices: &GasPrices) {
        if self.payee.wallet().is_none() {
            return;
        }
        // Pending transactions come first: a node without them would give their nonces to new transactions.
        for tx in observed.pending_txs.clone() {
            let result = match &tx.purpose {
                Purpose::Redeem(ids) => self.check_redemption(&tx, ids, observed, prices).await,
                Purpose::RecordSeed(draw_time) => {
                    self.check_seed(&tx, *draw_time, observed, prices).await
                }
                // If the node has dropped an abandoned transaction, a wanted one may have its nonce, and would be
                // dropped by a cancellation as well.
                Purpose::Cancel
                    if observed
                        .pending_txs
                        .iter()
                        .any(|other| would_drop(&tx, other)) =>
                {
                    Ok(())
                }
                Purpose::Cancel => self.cancel(&tx, observed).await,
            };
            if let Err(error) = result {
                record_failure(&tx, &error, observed);
            }
        }
        let pending_seeds = observed.pending_seeds();
        for draw_time in plan.record.difference(&pending_seeds) {
            self.submit_seed(*draw_time, observed).await;
        }
        if !plan.redeem.is_empty() {
            self.submit_redemptions(&plan.redeem, observed).await;
        }
    }

    /// Checks a pending redemption of the deposits `ids`: sends a fee bump, abandons the transaction, or removes its
    /// record.
    async fn check_redemption(
        &self,
        tx: &PendingTx,
        ids: &[DepositId],
        observed: &mut Observation,
        prices: &GasPrices,
    ) -> Result<(), RedeemError> {
        let wins: Vec<RedeemableWin> = ids
            .iter()
            .filter_map(|id| observed.wins.get(id))
            .cloned()
            .collect();
        if wins.is_empty() {
            return self.check_ended_redemption(tx, ids, observed).await;
        }
        let head_time = observed.head.time;
        if wins.iter().all(|win| head_time <= win.draw_time) {
            // The node has gone back to before the draw, where the bank pays nothing.
            return Ok(());
        }
        // A reorganisation may have removed a recorded seed since the transaction was sent.
        if self.payee.count_payable(tx, &observed.head).await? == 0 {
            if let Some(mined) = self.payee.find_mined(tx).await?
                && mined.block > observed.confirmed.number
            {
                // Mined after this scan; the next scan reads the payouts.
                return Ok(());
            }
            tracing::warn!(event = "transaction_abandoned", purpose = "redeem", hash = %tx.hash);
            self.abandon(tx, observed).await?;
            set_due(&wins, observed);
            return Ok(());
        }
        let bump = self.may_bump(observed, prices);
        match self.payee.check(tx, bump).await? {
            TxStatus::Pending(hash) => {
                for win in wins {
                    observed.set_state(win.id, HoldingState::Redeeming { hash });
                }
            }
            // The batch has skipped these wins, for example because a reorganisation removed the record of their seeds.
            TxStatus::Mined(mined) if mined.block <= observed.confirmed.number => {
                count_mined("redeem", &mined);
                self.payee.remove(tx).await?;
                set_due(&wins, observed);
            }
            // Mined after this scan, or not confirmed yet.
            TxStatus::Mined(_) => {}
            TxStatus::Dropped => {
                tracing::warn!(event = "transaction_dropped", purpose = "redeem", hash = %tx.hash);
                set_due(&wins, observed);
            }
        }
        Ok(())
    }

    /// Checks a pending redemption without a known open win. Keeps the record until the end of all deposits is
    /// confirmed: without a record, a win still open would be redeemed by a second transaction with another nonce.
    async fn check_ended_redemption(
        &self,
        tx: &PendingTx,
        ids: &[DepositId],
        observed: &Observation,
    ) -> Result<(), RedeemError> {
        let endings: Vec<_> = ids.iter().map(|id| self.ending(*id, observed)).collect();
        if endings.contains(&Ending::Unknown) {
            if let TxStatus::Dropped = self.payee.check(tx, false).await? {
                tracing::warn!(event = "transaction_dropped", purpose = "redeem", hash = %tx.hash);
            }
            return Ok(());
        }
        if endings.contains(&Ending::Reversible) {
            // Not handed to the node again: before the draw, or after another account's redemption, it would fail.
            return Ok(());
        }
        let redeemed = |id: &DepositId| {
            let state = self.state_of(*id, observed);
            matches!(state, Some(HoldingState::Redeemed { .. }))
        };
        if ids.iter().any(redeemed)
            && let TxStatus::Mined(mined) = self.payee.check(tx, false).await?
        {
            count_mined("redeem", &mined);
            return Ok(self.payee.remove(tx).await?);
        }
        // Never handed to the node again, not even if all deposits have turned out as losses.
        self.abandon(tx, observed).await
    }

    /// Abandons an obsolete redemption. Also cancels a transaction still in the node's mempool.
    async fn abandon(&self, tx: &PendingTx, observed: &Observation) -> Result<(), RedeemError> {
        match self.payee.abandon(tx).await? {
            Some(obsolete) => self.cancel(&obsolete, observed).await,
            None => Ok(()),
        }
    }

    /// Cancels an abandoned transaction, and removes its record once a confirmed transaction has used its nonce.
    async fn cancel(&self, tx: &PendingTx, observed: &Observation) -> Result<(), RedeemError> {
        match self.payee.cancel(tx).await? {
            Cancellation::Nothing | Cancellation::Pending(_) => Ok(()),
            Cancellation::Cancelled(mined) if mined.block <= observed.confirmed.number => {
                count_mined("cancel", &mined);
                Ok(self.payee.remove(tx).await?)
            }
            Cancellation::TooLate(mined) if mined.block <= observed.confirmed.number => {
                count_mined("redeem", &mined);
                Ok(self.payee.remove(tx).await?)
            }
            Cancellation::Cancelled(_) | Cancellation::TooLate(_) => Ok(()),
        }
    }

    /// The certainty that a deposit without a known open win has ended.
    fn ending(&self, id: DepositId, observed: &Observation) -> Ending {
        if let Some(found) = observed.found.get(&id)
            && found.last_error.is_some()
        {
            return Ending::Unknown;
        }
        match self.state_of(id, observed) {
            // Settled and pruned, or missing in the store.
            None => Ending::Confirmed,
            Some(state) if state.has_ended(&observed.confirmed) => Ending::Confirmed,
            Some(state) if state.is_open_win() => Ending::Unknown,
            Some(_) => Ending::Reversible,
        }
    }

    /// The state of a deposit as of this step, else as of the last look.
    fn state_of(&self, id: DepositId, observed: &Observation) -> Option<HoldingState> {
        let found = observed.found.get(&id).map(|found| found.state);
        found.or_else(|| self.holdings().state(id))
    }

    /// Checks a pending seed recording: sends a fee bump, or removes the record.
    async fn check_seed(
        &self,
        tx: &PendingTx,
        draw_time: u64,
        observed: &Observation,
        prices: &GasPrices,
    ) -> Result<(), RedeemError> {
        let wins = wins_of(draw_time, observed);
        let bump = !wins.is_empty() && self.may_bump(observed, prices);
        match self.payee.check_seed(tx, &wins, bump).await? {
            TxStatus::Mined(mined) if mined.block <= observed.confirmed.number => {
                count_mined("record_seed", &mined);
                Ok(self.payee.remove(tx).await?)
            }
            TxStatus::Mined(_) | TxStatus::Pending(_) => Ok(()),
            TxStatus::Dropped => {
                tracing::warn!(event = "transaction_dropped", purpose = "record_seed", hash = %tx.hash);
                Ok(())
            }
        }
    }

    /// True if pending transactions may get a fee bump: a transaction would be sent at the present gas price, or a win
    /// is urgent. A pending transaction no longer worth its own cost still blocks later nonces.
    fn may_bump(&self, observed: &Observation, prices: &GasPrices) -> bool {
        let wins: Vec<_> = observed.wins.values().cloned().collect();
        let head_time = observed.head.time;
        let plan = plan(&wins, None, prices, head_time, &self.settings);
        let is_worth = !plan.redeem.is_empty() || !plan.record.is_empty();
        is_worth
            || wins
                .iter()
                .any(|win| win.is_urgent(head_time, &self.settings))
    }

    async fn submit_seed(&self, draw_time: u64, observed: &mut Observation) {
        let wins = wins_of(draw_time, observed);
        match self.payee.submit_seed(draw_time, &wins).await {
            Ok(Some(tx)) => {
                tracing::info!(event = "seed_sent", draw_time, hash = %tx.hash);
                observed.pending_txs.push(tx);
            }
            // Another account has recorded the seed since this scan.
            Ok(None) => {}
            Err(error) => {
                for id in wins {
                    observed.record_error(id, &error);
                }
                counter!(names::PAYEE_ERRORS, "step" => "record_seed").increment(1);
            }
        }
    }

    pub(super) async fn submit_redemptions(&self, ids: &[DepositId], observed: &mut Observation) {
        let mut ids = ids;
        let mut submitted = self.payee.submit_redemptions(ids).await;
        // Without coin for all wins, redeems the first half, with the earliest deadlines.
        while ids.len() > 1
            && let Err(RedeemError::Outbox(OutboxError::Tx(TxError::NotEnoughCoin { .. }))) =
                &submitted
        {
            ids = &ids[..ids.len() / 2];
            submitted = self.payee.submit_redemptions(ids).await;
        }
        match submitted {
            Ok(submitted) => {
                for (id, error) in &submitted.refused {
                    observed.record_error(*id, error);
                }
                let Some(tx) = submitted.tx else {
                    return;
                };
                let hash = tx.hash;
                tracing::info!(event = "redemption_sent", wins = tx.deposits().len(), %hash);
                for id in tx.deposits() {
                    observed.set_state(*id, HoldingState::Redeeming { hash });
                }
                observed.pending_txs.push(tx);
            }
            Err(error) => {
                for id in ids {
                    observed.record_error(*id, &error);
                }
                counter!(names::PAYEE_ERRORS, "step" => "redeem").increment(1);
            }
        }
    }
}

/// Lists the open wins of a draw time.
fn wins_of(draw_time: u64, observed: &Observation) -> Vec<DepositId> {
    let wins = observed.wins.values();
    let of_draw = wins.filter(|win| win.draw_time == draw_time);
    of_draw.map(|win| win.id).collect()
}

/// True if `other` is still wanted and has the nonce of `tx`: cancelling `tx` would drop `other` as well.
///
/// Two abandoned transactions with the same nonce do not wait for each other. Each is cancelled at a higher fee than its
/// own, and nodes keep the transaction with the highest fee.
fn would_drop(tx: &PendingTx, other: &PendingTx) -> bool {
    let wanted = other.purpose != Purpose::Cancel && other.key != tx.key;
    wanted && (other.from, other.nonce) == (tx.from, tx.nonce)
}

/// Sets the state of wins whose redemption has ended without paying them. The next step plans them again.
fn set_due(wins: &[RedeemableWin], observed: &mut Observation) {
    for win in wins {
        observed.set_state(win.id, HoldingState::due(win));
    }
}

/// Records that a pending transaction could not be checked.
fn record_failure(tx: &PendingTx, error: &RedeemError, observed: &mut Observation) {
    for id in tx.deposits() {
        observed.record_error(*id, error);
    }
    counter!(names::PAYEE_ERRORS, "step" => "check").increment(1);
    tracing::warn!(event = "step_failed", step = "check", hash = %tx.hash, reason = %error);
}

/// Counts and logs a confirmed transaction.
fn count_mined(purpose: &'static str, mined: &MinedTx) {
    let fee = u64::try_from(mined.fee).unwrap_or(u64::MAX);
    counter!(names::PAYEE_TRANSACTIONS, "purpose" => purpose).increment(1);
    counter!(names::PAYEE_FEES).increment(fee);
    tracing::info!(event = "transaction_mined", purpose, hash = %mined.hash, block = mined.block, fee);
}
