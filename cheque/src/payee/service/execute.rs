//! Doing what a look has shown to be due: looking after what was sent, recording seeds, redeeming.

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

/// How sure it is that a deposit cannot be redeemed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Over, and so deep in the chain that it counts.
    Over,
    /// Over as long as the newest blocks stay, or by a draw that is not decided at this head.
    Open,
    /// It could not be read.
    Unread,
}

impl PayeeService {
    /// Does what is due. What fails is noted at its deposits, and is tried again with the next step.
    pub(super) async fn act(&self, look: &mut Observation, plan: Plan, prices: &GasPrices) {
        if self.payee.wallet().is_none() {
            return;
        }
        // First, so that nodes that have lost them count their nonces again.
        for one in look.pending_txs.clone() {
            let result = match &one.purpose {
                Purpose::Redeem(ids) => self.look_after_redemption(&one, ids, look, prices).await,
                Purpose::RecordSeed(_) => self.look_after_seed(&one, look, prices).await,
                // What a node has dropped may share its nonce with what was sent later, which must not be cancelled with it.
                Purpose::Cancel if look.pending_txs.iter().any(|other| one.cancels_also(other)) => {
                    Ok(())
                }
                Purpose::Cancel => self.cancel(&one, look).await,
            };
            if let Err(error) = result {
                self.failed(&one, &error, look);
            }
        }
        let recording = look.recording();
        for block in plan.record.difference(&recording) {
            self.record(*block, look).await;
        }
        if !plan.redeem.is_empty() {
            self.redeem(&plan.redeem, look).await;
        }
    }

    async fn look_after_redemption(
        &self,
        one: &PendingTx,
        ids: &[DepositId],
        look: &mut Observation,
        prices: &GasPrices,
    ) -> Result<(), RedeemError> {
        let open: Vec<_> = ids
            .iter()
            .filter(|id| look.wins.contains_key(*id))
            .collect();
        if open.is_empty() {
            return self.look_after_closed(one, ids, look).await;
        }
        let wins: Vec<RedeemableWin> = open
            .iter()
            .filter_map(|id| look.wins.get(*id))
            .cloned()
            .collect();
        // It may have been sent by a draw that is none any more.
        if self.payee.would_pay(one, &look.head).await? == 0 {
            if let Some(sent) = self.payee.mined(one).await?
                && sent.block > look.confirmed
            {
                // Since this look; the next one sees what it has paid.
                return Ok(());
            }
            tracing::warn!(event = "transaction_given_up", purpose = "redeem", hash = %one.hash);
            self.give_up(one, look).await?;
            for win in wins {
                look.set(win.id, HoldingState::due(&win));
            }
            return Ok(());
        }
        let bump = self.may_cost_more(look, prices);
        match self.payee.look_after(one, bump).await? {
            TxStatus::Pending(hash) => {
                for win in wins {
                    look.set(win.id, HoldingState::Redeeming { hash });
                }
            }
            // It has skipped them: it was mined before their seeds were recorded again, say.
            TxStatus::Mined(sent) if sent.block <= look.confirmed => {
                mined("redeem", &sent);
                self.payee.done(one).await?;
                for win in wins {
                    look.set(win.id, HoldingState::due(&win));
                }
            }
            // Since this look, or it counts only when it is deeper.
            TxStatus::Mined(_) => {}
            TxStatus::Dropped => {
                tracing::warn!(event = "transaction_gone", purpose = "redeem", hash = %one.hash);
                for win in wins {
                    look.set(win.id, HoldingState::due(&win));
                }
            }
        }
        Ok(())
    }

    /// Looks after a redemption of wins of which none is known to be open. Once it is forgotten, a win that is open all the
    /// same would be redeemed by another transaction with another nonce.
    async fn look_after_closed(
        &self,
        one: &PendingTx,
        ids: &[DepositId],
        look: &Observation,
    ) -> Result<(), RedeemError> {
        let standing: Vec<_> = ids.iter().map(|id| self.standing(*id, look)).collect();
        if standing.contains(&Standing::Unread) {
            if let TxStatus::Dropped = self.payee.look_after(one, false).await? {
                tracing::warn!(event = "transaction_gone", purpose = "redeem", hash = %one.hash);
            }
            return Ok(());
        }
        if standing.contains(&Standing::Open) {
            // Kept, but not handed to the node again: mined before the draw, or after somebody else's, it would fail.
            return Ok(());
        }
        let paid = |id: &DepositId| match look.found.get(id) {
            Some(found) => matches!(found.state, HoldingState::Redeemed { .. }),
            None => false,
        };
        if ids.iter().any(paid)
            && let TxStatus::Mined(sent) = self.payee.look_after(one, false).await?
        {
            mined("redeem", &sent);
            return Ok(self.payee.done(one).await?);
        }
        // What has become a loss, too, is not sent again.
        self.give_up(one, look).await
    }

    /// Gives up a redemption that has no work to do any more.
    async fn give_up(&self, one: &PendingTx, look: &Observation) -> Result<(), RedeemError> {
        match self.payee.give_up(one).await? {
            Some(unwanted) => self.cancel(&unwanted, look).await,
            None => Ok(()),
        }
    }

    /// Cancels what was given up, until its nonce is used so deep in the chain that it stays so.
    async fn cancel(&self, one: &PendingTx, look: &Observation) -> Result<(), RedeemError> {
        match self.payee.cancel(one).await? {
            Cancellation::Nothing | Cancellation::Waiting(_) => Ok(()),
            Cancellation::Cancelled(sent) if sent.block <= look.confirmed => {
                mined("cancel", &sent);
                Ok(self.payee.done(one).await?)
            }
            Cancellation::TooLate(sent) if sent.block <= look.confirmed => {
                mined("redeem", &sent);
                Ok(self.payee.done(one).await?)
            }
            Cancellation::Cancelled(_) | Cancellation::TooLate(_) => Ok(()),
        }
    }

    /// Whether a deposit, which is not known to be won and open, is over for good.
    fn standing(&self, id: DepositId, look: &Observation) -> Standing {
        let Some(found) = look.found.get(&id) else {
            // Else nothing changes any more, or it is not in the store.
            let is_to_be_drawn = self.holdings().is_to_be_drawn(id, look.head.number);
            return if is_to_be_drawn {
                Standing::Open
            } else {
                Standing::Over
            };
        };
        if found.trouble.is_some() {
            return Standing::Unread;
        }
        let counts = |since: u64| match found.state {
            HoldingState::NotOnChain { .. } => {
                look.head.number >= since.saturating_add(self.final_depth())
            }
            _ => since <= look.confirmed,
        };
        match found.state.over_since(found.draw_block) {
            Some(since) if counts(since) => Standing::Over,
            _ => Standing::Open,
        }
    }

    async fn look_after_seed(
        &self,
        one: &PendingTx,
        look: &Observation,
        prices: &GasPrices,
    ) -> Result<(), RedeemError> {
        let bump = self.may_cost_more(look, prices);
        match self.payee.look_after(one, bump).await? {
            TxStatus::Mined(sent) if sent.block <= look.confirmed => {
                mined("record_seed", &sent);
                Ok(self.payee.done(one).await?)
            }
            TxStatus::Mined(_) | TxStatus::Pending(_) => Ok(()),
            TxStatus::Dropped => {
                tracing::warn!(event = "transaction_gone", purpose = "record_seed", hash = %one.hash);
                Ok(())
            }
        }
    }

    /// Whether what waits may be sent again for more: if anything were sent at the price of now, or is urgent. What waits
    /// may be worth it no more by itself, and is still in the way of what comes after it.
    fn may_cost_more(&self, look: &Observation, prices: &GasPrices) -> bool {
        let wins: Vec<_> = look.wins.values().cloned().collect();
        let head = look.head.number;
        let plan = plan(&wins, None, prices, head, &self.settings);
        let is_worth = !plan.redeem.is_empty() || !plan.record.is_empty();
        is_worth || wins.iter().any(|win| win.is_urgent(head, &self.settings))
    }

    async fn record(&self, block: u64, look: &mut Observation) {
        match self.payee.submit_seed(block).await {
            Ok(Some(sent)) => {
                tracing::info!(event = "seed_sent", block, hash = %sent.hash);
                look.pending_txs.push(sent);
            }
            // Somebody has done so since this look.
            Ok(None) => {}
            Err(error) => {
                let of_block: Vec<_> = look
                    .wins
                    .values()
                    .filter(|win| win.draw_block == block)
                    .map(|win| win.id)
                    .collect();
                for id in of_block {
                    look.fail(id, &error);
                }
                counter!(names::PAYEE_ERRORS, "step" => "record_seed").increment(1);
            }
        }
    }

    async fn redeem(&self, ids: &[DepositId], look: &mut Observation) {
        let mut ids = ids;
        let mut submitted = self.payee.submit_redemptions(ids).await;
        // A few, those that end first, rather than none.
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
                    look.fail(*id, error);
                }
                let Some(sent) = submitted.sent else {
                    return;
                };
                let hash = sent.hash;
                tracing::info!(event = "redemption_sent", wins = sent.deposits().len(), %hash);
                for id in sent.deposits() {
                    look.set(*id, HoldingState::Redeeming { hash });
                }
                look.pending_txs.push(sent);
            }
            Err(error) => {
                for id in ids {
                    look.fail(*id, &error);
                }
                counter!(names::PAYEE_ERRORS, "step" => "redeem").increment(1);
            }
        }
    }

    /// Notes that a transaction could not be looked after.
    fn failed(&self, one: &PendingTx, error: &RedeemError, look: &mut Observation) {
        for id in one.deposits() {
            look.fail(*id, error);
        }
        counter!(names::PAYEE_ERRORS, "step" => "look_after").increment(1);
        tracing::warn!(event = "step_failed", step = "look_after", hash = %one.hash, reason = %error);
    }
}

/// Counts a transaction once it is deep in the chain.
fn mined(purpose: &'static str, sent: &MinedTx) {
    let fee = u64::try_from(sent.fee).unwrap_or(u64::MAX);
    counter!(names::PAYEE_TRANSACTIONS, "purpose" => purpose).increment(1);
    counter!(names::PAYEE_FEES).increment(fee);
    tracing::info!(event = "transaction_mined", purpose, hash = %sent.hash, block = sent.block, fee);
}
