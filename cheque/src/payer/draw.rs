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

impl Payer {
    /// Computes and stores the winners of the snapshot's deposits whose rounds are public. A failure of the
    /// beacon's relays leaves the rest to the next poll.
    pub(super) async fn draw_due(&self, snapshot: &ChainSnapshot, report: &mut PollReport) {
        let mut known: Option<(u64, Option<Seed>)> = None;
        for (id, record) in &snapshot.undrawn {
            let draw_time = record.deposit.drawTime;
            let seed = match known {
                Some((time, seed)) if time == draw_time => seed,
                _ => match self.seeds.round(draw_time).await {
                    Ok(round) => round.map(|round| round.seed()),
                    // A payer without relays does not need the winner: the bank knows it.
                    Err(SeedError::NoClient(_)) => None,
                    Err(error) => {
                        report.errors.push((*id, error.into()));
                        return;
                    }
                },
            };
            known = Some((draw_time, seed));
            if let Some(seed) = seed
                && let Err(error) = self.draw(*id, record, seed, report).await
            {
                report.errors.push((*id, error));
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
