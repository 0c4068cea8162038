//! Reports the status of deposits and of the next round, in sentences for people.

use crate::{
    payer::{
        error::PayerError,
        expiry::expiry,
        records::{DepositRecord, DepositState},
        service::{
            PayerService,
            decide::{RoundNeed, TrackedDeposit},
            retry::{Retry, Subject},
        },
    },
    protocol::terms::DepositId,
    service::utc::utc,
    sys::unix_now,
};
use alloy_primitives::TxHash;

/// Status of a deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DepositStatus {
    /// The deposit.
    pub id: DepositId,
    /// Its terms, and its state at the last poll.
    pub record: DepositRecord,
    /// Estimate until when cheques can be written, in seconds since 1970; `None` if none can be: see
    /// [`Payer::estimated_expiry`](crate::payer::Payer::estimated_expiry).
    pub estimated_expiry: Option<u64>,
    /// Reason for this state, as a sentence.
    pub reason: String,
    /// Next event, as a sentence.
    pub next: String,
}

/// Status of the next round.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoundStatus {
    /// True if another round is needed and cannot be opened, or waits for a stuck transaction of the wallet.
    pub blocked: bool,
    /// Reason, as a sentence.
    pub reason: String,
    /// Next event, as a sentence.
    pub next: String,
}

impl PayerService {
    /// Reports the status of all deposits of the store, ordered by id.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn status(&self) -> Result<Vec<DepositStatus>, PayerError> {
        let deposits = self.tracked_deposits().await?;
        let spared = self.with_situation(&deposits, |situation| {
            let rounds = self.rounds.as_ref();
            rounds.map_or_else(Vec::new, |rounds| situation.spared(rounds))
        });
        let spared = spared.unwrap_or_default();
        let now = self.with_situation(&deposits, |situation| situation.now);
        let now = now.unwrap_or_else(unix_now);
        let status = |tracked| self.status_of(tracked, &spared, now);
        Ok(deposits.iter().map(status).collect())
    }

    /// Reports the status of one deposit. `None`: the store lacks it. Reads its records only; where the next round may take over
    /// the purse of a reclaimable deposit, those of all deposits.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn deposit_status(&self, id: DepositId) -> Result<Option<DepositStatus>, PayerError> {
        let Some(tracked) = self.tracked_deposit(id).await? else {
            return Ok(None);
        };
        if tracked.record.state == DepositState::Reclaimable && self.rounds.is_some() {
            let all = self.status().await?;
            return Ok(all.into_iter().find(|status| status.id == id));
        }
        let now = self.with_situation(&[], |situation| situation.now);
        let now = now.unwrap_or_else(unix_now);
        Ok(Some(self.status_of(&tracked, &[], now)))
    }

    /// `spared` are the deposits whose purses the next rounds take over.
    fn status_of(&self, tracked: &TrackedDeposit, spared: &[DepositId], now: u64) -> DepositStatus {
        let pending = tracked.record.state == DepositState::Pending;
        // The other deposits do not matter here.
        let is_useful = self.with_situation(&[], |situation| situation.is_useful(tracked));
        let (mut reason, next) = match pending && is_useful == Some(false) {
            true => self.describe_too_late(tracked),
            false => self.describe(tracked, spared.contains(&tracked.id)),
        };
        if let Some(since) = self.seen().stuck.get(&tracked.id) {
            let since = utc(*since);
            reason.push_str(&format!("; its transaction has waited since {since}"));
        }
        DepositStatus {
            id: tracked.id,
            record: tracked.record.clone(),
            estimated_expiry: expiry(&tracked.record, tracked.spent, self.payer.cutoff(), now),
            reason,
            next,
        }
    }

    /// Reports the status of the next round. `None` if this service opens no rounds, or has no wallet or no head yet.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn round(&self) -> Result<Option<RoundStatus>, PayerError> {
        let Some(rounds) = &self.rounds else {
            return Ok(None);
        };
        let deposits = self.tracked_deposits().await?;
        let lead = rounds.lead(&self.payer);
        let need = self.with_situation(&deposits, |situation| situation.need(rounds, lead));
        Ok(need.map(|need| match need {
            RoundNeed::Serves(id) => RoundStatus {
                blocked: false,
                reason: format!("deposit {id} is in use"),
                next: match rounds.every {
                    None => {
                        "the next round opens when this deposit is nearly spent or near its draw"
                            .to_owned()
                    }
                    Some(every) => format!("the next round opens {every} s after the last"),
                },
            },
            RoundNeed::Coming(id) => RoundStatus {
                blocked: self.is_stuck(),
                reason: format!("deposit {id} is the next round and not active yet"),
                next: "the deposit is opened and confirmed".to_owned(),
            },
            RoundNeed::Another { .. } => match self.retries().get(Subject::Round) {
                Some(retry) => RoundStatus {
                    blocked: retry.retry_at.is_some() || self.is_stuck(),
                    reason: retry.reason.clone(),
                    next: next_try(retry, "it is checked again at every head"),
                },
                None => RoundStatus {
                    blocked: false,
                    reason: "no deposit can pay for long enough".to_owned(),
                    next: "the next round opens at the next head".to_owned(),
                },
            },
        }))
    }

    /// Reason and next event of a deposit that is too late to open.
    fn describe_too_late(&self, tracked: &TrackedDeposit) -> (String, String) {
        let reason = "it is not confirmed, and too near its draw for cheques";
        let next = "it stays unopened, unless its pending transaction is mined";
        match self.retries().get(Subject::Cancelling(tracked.id)) {
            Some(retry) if tracked.opening.is_some() => {
                (format!("{reason}; {}", retry.reason), next_try(retry, next))
            }
            _ => (reason.to_owned(), next.to_owned()),
        }
    }

    /// Reason and next event of a deposit.
    fn describe(&self, tracked: &TrackedDeposit, is_for_next_round: bool) -> (String, String) {
        let (terms, id) = (&tracked.record.deposit, tracked.id);
        let (draw, last_redeem) = (utc(terms.drawTime), utc(terms.redeemUntil));
        let payer = &self.payer;
        let own = payer.wallet_address() == Some(terms.payer);
        let retries = self.retries();
        let retry = retries.get(Subject::Deposit(id));
        // A closed deposit may still have a pending transaction to cancel.
        let closed = |reason: String| match retries.get(Subject::Cancelling(id)) {
            Some(retry) if tracked.opening.is_some() || tracked.reclaim.is_some() => {
                let next = "nothing, once its pending transaction has ended";
                (format!("{reason}; {}", retry.reason), next_try(retry, next))
            }
            _ => (reason, "nothing, it is closed".to_owned()),
        };
        let unfollowed = self.seen().unfollowed.get(&id).cloned();
        if let Some(error) = unfollowed {
            return (error, "it is followed again at the next head".to_owned());
        }
        match tracked.record.state {
            DepositState::Pending => match retry {
                Some(retry) => (retry.reason.clone(), next_try(retry, "it becomes active")),
                None if own => (
                    tracked.opening.as_ref().map_or_else(
                        || "it is stored and not confirmed".to_owned(),
                        |tx| waiting_text(tx.newest_hash()),
                    ),
                    "it is opened at the next head, unless its opening is found".to_owned(),
                ),
                None => (
                    format!(
                        "it belongs to {}, and this service has no wallet of that account",
                        terms.payer
                    ),
                    "its payer or a relayer opens it".to_owned(),
                ),
            },
            DepositState::Active => (
                format!(
                    "it is active; {} of {} units are spent",
                    tracked.spent, terms.amount
                ),
                format!(
                    "the last cheque is written before {}",
                    utc(payer.end_time(terms))
                ),
            ),
            DepositState::PastCutoff => (
                "it is too near its draw for another cheque".to_owned(),
                format!("the beacon's round of {draw} draws it"),
            ),
            DepositState::Drawn { winner: None } => (
                "no payee has won it".to_owned(),
                format!("its money can be reclaimed after {last_redeem}"),
            ),
            DepositState::Drawn {
                winner: Some(winner),
            } => (
                format!("{winner} has won it"),
                format!("the winner redeems it up to {last_redeem}, else it is reclaimed"),
            ),
            DepositState::Reclaimable => match retry {
                Some(retry) => (retry.reason.clone(), next_try(retry, "it is reclaimed")),
                None if payer.wallet().is_none() => (
                    "nobody redeemed it in time, and this service has no wallet".to_owned(),
                    "any account can reclaim it for its payer".to_owned(),
                ),
                None if is_for_next_round => (
                    "nobody redeemed it in time; its purse is reserved for the next round"
                        .to_owned(),
                    "the next round reclaims it in the same transaction".to_owned(),
                ),
                None => (
                    "nobody redeemed it in time".to_owned(),
                    "it is reclaimed, alone or with the next deposit in its purse".to_owned(),
                ),
            },
            DepositState::Redeemed { payee, payout } => {
                closed(format!("{payee} redeemed {payout} units of it"))
            }
            DepositState::Reclaimed => closed("its money was reclaimed".to_owned()),
            DepositState::NeverOpened => {
                let never =
                    "it was never opened and is now too late; its money never left the payer";
                closed(never.to_owned())
            }
        }
    }
}

/// Reason of a pending transaction.
pub(super) fn waiting_text(hash: TxHash) -> String {
    format!("transaction {hash} waits to be mined; its fee is raised after a while")
}

/// Reason of a pending cancellation.
pub(super) fn cancelling_text(hash: TxHash) -> String {
    format!("transaction {hash} cancels its pending transaction, and waits to be mined")
}

/// Reason of a mined cancellation.
pub(super) fn cancelled_text(hash: TxHash) -> String {
    format!("transaction {hash} has cancelled its pending transaction, and waits for confirmations")
}

/// Reason of a mined transaction.
pub(super) const CONFIRMING: &str = "its transaction is mined, and waits for confirmations";

/// Next event, given the retry schedule.
fn next_try(retry: &Retry, otherwise: &str) -> String {
    match retry.retry_at {
        Some(time) => format!("it is tried again at {}", utc(time)),
        None => otherwise.to_owned(),
    }
}
