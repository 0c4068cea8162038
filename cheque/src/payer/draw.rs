//! Computes the winners of drawn deposits, each once: a verified round of the beacon is final.

use crate::{
    bank::seeds::SeedError,
    payer::{
        Payer,
        error::PayerError,
        event::PollReport,
        records::{DepositRecord, DepositState, DrawResult},
        snapshot::ChainSnapshot,
    },
    protocol::{
        amount::Amount,
        draw::{Seed, payout, roll},
        terms::DepositId,
    },
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::collections::{BTreeSet, HashMap};

impl Payer {
    /// Computes and stores the winners of the snapshot's deposits whose rounds are public. Asks relays for a bounded
    /// time. The next polls ask for the rounds that are left.
    pub(super) async fn draw_due(&self, snapshot: &ChainSnapshot, report: &mut PollReport) {
        let times: BTreeSet<_> = snapshot.undrawn.iter().map(drawn_at).collect();
        let times: Vec<_> = times.into_iter().collect();
        let rounds = self.shared.due_rounds.look_up(&self.seeds, &times).await;
        let known: HashMap<_, _> = rounds.known.into_iter().collect();
        for (id, record) in &snapshot.undrawn {
            if let Some(round) = known.get(&record.deposit.drawTime)
                && let Err(error) = self.draw(*id, record, round.seed(), report).await
            {
                report.errors.push((*id, error));
            }
        }
        // The reason stays in the report while relays that have failed are not asked.
        let paused = rounds.paused.map(|(time, error)| (time, error.into()));
        match rounds.failed.or(paused) {
            // A payer without relays does not need the winner: the bank knows it.
            None | Some((_, SeedError::NoClient(_))) => {}
            Some((time, error)) => {
                let mut undrawn = snapshot.undrawn.iter();
                let failed = undrawn.find(|undrawn| drawn_at(undrawn) == time);
                let failed = failed.map(|(id, _)| (*id, error.into()));
                report.errors.extend(failed);
            }
        }
    }

    async fn draw(
        &self,
        id: DepositId,
        record: &DepositRecord,
        seed: Seed,
        report: &mut PollReport,
    ) -> Result<(), PayerError> {
        // No account changes between the reading of the winner's account and the writing of the winner.
        let _no_recovery_meanwhile = self.shared.snapshot.pause().await;
        let winner = self.compute_winner(id, &record.deposit, seed).await?;
        let state = DepositState::Drawn { winner };
        let drawn = DepositRecord {
            draw: Some(DrawResult { seed, winner }),
            state,
            ..record.clone()
        };
        // If another task was faster, it has reported the change.
        if self.store_record(id, record, &drawn).await? {
            self.report_change(id, record.state, state, report);
        }
        Ok(())
    }

    /// Forgets the winner of a deposit that is not settled, because an account of the deposit has changed. The next
    /// poll computes the winner again.
    pub(super) async fn forget_winner(&self, id: DepositId) -> Result<(), PayerError> {
        let _no_draw_meanwhile = self.shared.snapshot.pause().await;
        loop {
            let record = self.record(id).await?;
            if record.draw.is_none() || record.settled {
                return Ok(());
            }
            let undrawn = DepositRecord {
                draw: None,
                ..record.clone()
            };
            if self.store_record(id, &record, &undrawn).await? {
                self.memory().looked.remove(&id);
                return Ok(());
            }
        }
    }

    /// Computes the winner for a seed. `None` if the roll selects no payee, or a payee that was paid too little.
    async fn compute_winner(
        &self,
        id: DepositId,
        terms: &Deposit,
        seed: Seed,
    ) -> Result<Option<Address>, PayerError> {
        let roll = roll(seed, id, Amount::new(terms.amount));
        let tree = self.tree(id).await?;
        let Some(payee) = tree.payee_at(roll) else {
            return Ok(None);
        };
        let (_, account) = self.account(id, payee).await?;
        let start = tree
            .proof(payee)
            .and_then(|proof| proof.start(payee, terms).ok());
        let payout = payout(account.total(), account.allowance(), terms);
        let wins = match (start, payout) {
            (Some(start), Some(payout)) => payout.wins(start, roll),
            _ => false,
        };
        Ok(wins.then_some(payee))
    }
}

const fn drawn_at((_, record): &(DepositId, DepositRecord)) -> u64 {
    record.deposit.drawTime
}

#[cfg(test)]
#[cfg(feature = "local-beacon")]
mod tests;
