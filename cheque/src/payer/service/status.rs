//! Where everything stands, why, and what comes next.

use crate::{
    payer::{
        error::PayerError,
        records::{DepositRecord, DepositState},
        service::{
            PayerService,
            decide::{RoundNeed, TrackedDeposit},
            retry::{About, Note},
        },
    },
    protocol::terms::DepositId,
    tx::outbox::fate::newest,
};
use alloy_primitives::TxHash;

/// Where a deposit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositStatus {
    /// The deposit.
    pub id: DepositId,
    /// Its terms and its state, as of the last look at the chain.
    pub record: DepositRecord,
    /// Why it is in this state, in a sentence.
    pub reason: String,
    /// What comes next, in a sentence.
    pub next: String,
}

/// Where the next round stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundStatus {
    /// Whether another round is needed and cannot be opened, or is held up by what the wallet has sent and is stuck.
    pub blocked: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// What comes next, in a sentence.
    pub next: String,
}

impl PayerService {
    /// All deposits of the store, by id.
    pub async fn status(&self) -> Result<Vec<DepositStatus>, PayerError> {
        let deposits = self.known().await?;
        let kept = self.with_situation(&deposits, |situation| {
            let rounds = self.rounds.as_ref()?;
            situation.reopenable(rounds.token)
        });
        let kept = kept.flatten();
        let of_use = |known: &TrackedDeposit| {
            self.with_situation(&deposits, |situation| situation.is_of_use(known))
        };
        let status = deposits.iter().map(|known| {
            let pending = known.record.state == DepositState::Pending;
            let (mut reason, next) = match pending && of_use(known) == Some(false) {
                true => self.too_late(known),
                false => self.told(known, kept == Some(known.id)),
            };
            if let Some(since) = self.seen().stuck.get(&known.id) {
                reason.push_str(&format!("; it has waited since block {since}"));
            }
            DepositStatus {
                id: known.id,
                record: known.record.clone(),
                reason,
                next,
            }
        });
        Ok(status.collect())
    }

    /// Where the next round stands. `None`: this service opens none.
    pub async fn round(&self) -> Result<Option<RoundStatus>, PayerError> {
        let Some(rounds) = &self.rounds else {
            return Ok(None);
        };
        let deposits = self.known().await?;
        let lead = rounds.lead(&self.payer);
        let need = self.with_situation(&deposits, |situation| situation.need(rounds, lead));
        Ok(need.map(|need| match need {
            RoundNeed::Serves(id) => RoundStatus {
                blocked: false,
                reason: format!("deposit {id} serves"),
                next: "the next round is opened when it is nearly spent, or near its draw"
                    .to_owned(),
            },
            RoundNeed::Coming(id) => RoundStatus {
                blocked: self.is_stuck(),
                reason: format!("deposit {id} is the next round, and not active yet"),
                next: "it is opened and confirmed".to_owned(),
            },
            RoundNeed::Another { .. } => match self.notes().of(About::Round) {
                Some(note) => RoundStatus {
                    blocked: note.retry_at.is_some() || self.is_stuck(),
                    reason: note.reason.clone(),
                    next: again(note, "it is looked at again at every block"),
                },
                None => RoundStatus {
                    blocked: false,
                    reason: "no deposit serves any longer".to_owned(),
                    next: "the next round is opened at the next block".to_owned(),
                },
            },
        }))
    }

    /// Reason and next step of a deposit that is not opened any more.
    fn too_late(&self, known: &TrackedDeposit) -> (String, String) {
        let reason = "it is not confirmed, and too near its draw to be paid from";
        let next = "it is lost, unless a transaction that was sent for it is still mined";
        match self.notes().of(About::Cancelling(known.id)) {
            Some(note) if known.opening.is_some() => {
                (format!("{reason}; {}", note.reason), again(note, next))
            }
            _ => (reason.to_owned(), next.to_owned()),
        }
    }

    /// Reason and next step of a deposit.
    fn told(&self, known: &TrackedDeposit, kept: bool) -> (String, String) {
        let (terms, id) = (&known.record.deposit, known.id);
        let (draw, last) = (terms.drawBlock, terms.lastRedeemBlock);
        let payer = &self.payer;
        let own = payer.wallet_address() == Some(terms.payer);
        let shared = self.notes();
        let note = shared.of(About::Deposit(id));
        // Something may still wait for one that is closed.
        let over = |reason: String| match shared.of(About::Cancelling(id)) {
            Some(note) if known.opening.is_some() || known.reclaim.is_some() => {
                let next = "nothing, once no transaction that was sent for it waits any more";
                (format!("{reason}; {}", note.reason), again(note, next))
            }
            _ => (reason, "nothing, it is closed".to_owned()),
        };
        let unfollowed = self.seen().unfollowed.get(&id).cloned();
        if let Some(error) = unfollowed {
            return (error, "it is followed again at the next block".to_owned());
        }
        match known.record.state {
            DepositState::Pending => match note {
                Some(note) => (note.reason.clone(), again(note, "it becomes active")),
                None if own => (
                    known.opening.as_ref().map_or_else(
                        || "it is stored, and not confirmed".to_owned(),
                        |sent| waits(newest(sent)),
                    ),
                    "it is opened, or its opening is looked for, at the next block".to_owned(),
                ),
                None => (
                    format!(
                        "it is {}'s, whose wallet this service does not have",
                        terms.payer
                    ),
                    "its payer or a relayer opens it".to_owned(),
                ),
            },
            DepositState::Active => (
                format!(
                    "cheques are written from it; {} of {} units are spent",
                    known.spent, terms.amount
                ),
                format!(
                    "the last cheque is written before block {}",
                    draw.saturating_sub(payer.cutoff())
                ),
            ),
            DepositState::PastCutoff => (
                "it is too near its draw for any more cheques".to_owned(),
                format!("it is drawn by block {draw}, once that is confirmed"),
            ),
            DepositState::Drawn { winner: None } => (
                "nobody has won it".to_owned(),
                format!("its money can be taken back after block {last}"),
            ),
            DepositState::Drawn {
                winner: Some(winner),
            } => (
                format!("{winner} has won it"),
                format!("it is redeemed until block {last}, or taken back after it"),
            ),
            DepositState::Reclaimable => match note {
                Some(note) => (note.reason.clone(), again(note, "it is taken back")),
                None if payer.wallet().is_none() => (
                    "nobody redeemed it in time, and this service has no wallet".to_owned(),
                    "anybody can reclaim it for its payer".to_owned(),
                ),
                None if kept => (
                    "nobody redeemed it in time; its purse is kept for the next round".to_owned(),
                    "the next round takes it back in the same transaction".to_owned(),
                ),
                None => (
                    "nobody redeemed it in time".to_owned(),
                    "its money is taken back, alone or with the next deposit in its purse"
                        .to_owned(),
                ),
            },
            DepositState::Redeemed { payee, payout } => {
                over(format!("{payee} redeemed {payout} units of it"))
            }
            DepositState::Reclaimed => over("its money was taken back".to_owned()),
            DepositState::NeverOpened => {
                let never =
                    "it was never opened, and it is too late now; its money never left the payer";
                over(never.to_owned())
            }
        }
    }
}

/// Why something that was sent is not done yet.
pub(super) fn waits(hash: TxHash) -> String {
    format!("transaction {hash} waits to be mined; its fee is raised if that takes long")
}

/// Why something that is of no use any more is not over yet.
pub(super) fn cancels(hash: TxHash) -> String {
    format!("transaction {hash} cancels what was sent for it, and waits to be mined")
}

/// The same, once the cancellation is in a block.
pub(super) fn is_cancelled(hash: TxHash) -> String {
    format!("transaction {hash} has cancelled what was sent for it, and waits for confirmations")
}

/// Why something that is in a block is not done yet.
pub(super) const CONFIRMING: &str = "it is in a block, and waits for confirmations";

/// What comes next, given why something is not done yet.
fn again(note: &Note, otherwise: &str) -> String {
    match note.retry_at {
        Some(block) => format!("it is tried again at block {block}"),
        None => otherwise.to_owned(),
    }
}
