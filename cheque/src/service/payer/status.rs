//! Where everything stands, why, and what comes next.

use super::{
    PayerService,
    decide::{Known, Need},
    notes::{About, Note},
};
use crate::{
    DepositId,
    chain::PayerError,
    store::{DepositRecord, DepositState},
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
    /// Whether another round is needed and cannot be opened.
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
        let of_use =
            |known: &Known| self.with_situation(&deposits, |situation| situation.is_of_use(known));
        let mut status = Vec::with_capacity(deposits.len());
        for known in &deposits {
            let id = known.id;
            let opening = match known.record.state {
                DepositState::Pending => self.payer.opening_sent(id).await?,
                _ => None,
            };
            let opening = opening.and_then(|sent| sent.hashes.last().copied());
            if known.record.state == DepositState::Pending && of_use(known) == Some(false) {
                status.push(too_late(known));
                continue;
            }
            let (reason, next) = self.told(known, opening, kept == Some(id));
            status.push(DepositStatus {
                id,
                record: known.record.clone(),
                reason,
                next,
            });
        }
        Ok(status)
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
            Need::Serves(id) => RoundStatus {
                blocked: false,
                reason: format!("deposit {id} serves"),
                next: "the next round is opened when it is nearly spent, or near its draw"
                    .to_owned(),
            },
            Need::Coming(id) => RoundStatus {
                blocked: false,
                reason: format!("deposit {id} is the next round, and not active yet"),
                next: "it is opened and confirmed".to_owned(),
            },
            Need::Another { .. } => match self.notes().of(About::Round) {
                Some(note) => RoundStatus {
                    blocked: note.retry_at.is_some(),
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

    /// Reason and next step of a deposit, given the transaction that is to open it.
    fn told(&self, known: &Known, opening: Option<TxHash>, kept: bool) -> (String, String) {
        let (terms, id) = (&known.record.deposit, known.id);
        let (draw, last) = (terms.drawBlock, terms.lastRedeemBlock);
        let payer = &self.payer;
        let own = payer.wallet() == Some(terms.payer);
        let shared = self.notes();
        let note = shared.of(About::Deposit(id));
        let unfollowed = self.seen().unfollowed.get(&id).cloned();
        if let Some(error) = unfollowed {
            return (error, "it is followed again at the next block".to_owned());
        }
        match known.record.state {
            DepositState::Pending => match note {
                Some(note) => (note.reason.clone(), again(note, "it becomes active")),
                None if own => (
                    opening.map_or_else(|| "it is stored, and not confirmed".to_owned(), waits),
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
            DepositState::Expired => (
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
                (format!("{payee} redeemed {payout} units of it"), closed())
            }
            DepositState::Reclaimed => ("its money was taken back".to_owned(), closed()),
            DepositState::Lost => (
                "it was never opened, and it is too late now; its money never left the payer"
                    .to_owned(),
                closed(),
            ),
        }
    }
}

/// Why something that was sent is not done yet.
pub(super) fn waits(hash: TxHash) -> String {
    format!("transaction {hash} waits to be mined; its fee is raised if that takes long")
}

/// A deposit that is not opened any more.
fn too_late(known: &Known) -> DepositStatus {
    DepositStatus {
        id: known.id,
        record: known.record.clone(),
        reason: "it is not confirmed, and too near its draw to be paid from".to_owned(),
        next: "it is lost, unless a transaction that was sent for it is still mined".to_owned(),
    }
}

fn closed() -> String {
    "nothing, it is closed".to_owned()
}

/// What comes next, given why something is not done yet.
fn again(note: &Note, otherwise: &str) -> String {
    match note.retry_at {
        Some(block) => format!("it is tried again at block {block}"),
        None => otherwise.to_owned(),
    }
}
