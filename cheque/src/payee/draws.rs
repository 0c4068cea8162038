//! Draws: a loss frees exposure at once, a win once its deposit is closed. Nothing is concluded from an unverified seed.

use crate::{
    bank::due_rounds::Rounds,
    node::failover::pin_node,
    payee::{Payee, error::ReceiveError, positions::stored_positions_at, snapshot::ChainSnapshot},
    protocol::{
        amount::Amount,
        draw::{Seed, roll},
        receive::position::Position,
        terms::Purse,
    },
};
use std::time::Duration;
use tokio::time::Instant;

/// The number of wins whose purses are read at a time: those of one request.
const MAX_WINS: usize = 100;

/// True if a position wins the draw of a seed.
pub(super) fn wins(position: &Position, seed: Seed) -> bool {
    let amount = Amount::new(position.deposit().amount);
    let roll = roll(seed, position.deposit_id(), amount);
    let payout = position.payout();
    payout.is_some_and(|payout| payout.wins(position.start(), roll))
}

impl Payee {
    /// Looks up the rounds of draw times, which are in ascending order.
    pub(super) async fn rounds_of(&self, draw_times: &[u64]) -> Rounds {
        let due_rounds = &self.shared.due_rounds;
        due_rounds.look_up(&self.seeds, draw_times).await
    }

    /// Decides the draws whose seed is known, and frees the exposure of losses, of closed wins and of closed windows. Does nothing if the last
    /// time is less than `max_age` ago, or by a head in the future.
    pub(super) async fn decide_draws(
        &self,
        snapshot: &ChainSnapshot,
        max_age: Duration,
    ) -> Result<(), ReceiveError> {
        if snapshot.ahead.is_some() {
            return Ok(());
        }
        let mut decided = self.shared.decided.lock().await;
        if decided.is_some_and(|at| at.elapsed() < max_age) {
            return Ok(());
        }
        // Before the draws of long ago are asked for: a round may be lost for ever.
        self.index().remove_over(snapshot.head.time);
        let now = self.now(snapshot.head.time).await.latest();
        let due = self.index().due(now);
        for (draw_time, round) in self.rounds_of(&due).await.known {
            self.decide(draw_time, round.seed()).await?;
        }
        self.close_wins(snapshot).await?;
        *decided = Some(Instant::now());
        Ok(())
    }

    async fn decide(&self, draw_time: u64, seed: Seed) -> Result<(), ReceiveError> {
        let drawn = self.index().drawn_at(draw_time);
        let ids = drawn.iter().map(|(_, id)| *id).collect();
        let (bank, payee) = (self.reader.bank().address(), self.policy.payee);
        let positions = stored_positions_at(&self.store, bank, payee, ids).await?;
        let mut index = self.index();
        for (key, position) in drawn.into_iter().zip(positions) {
            index.decide(key, position.is_some_and(|position| wins(&position, seed)));
        }
        Ok(())
    }

    /// Frees the exposure of wins that are no longer open at the confirmed block.
    async fn close_wins(&self, snapshot: &ChainSnapshot) -> Result<(), ReceiveError> {
        let wins = self.index().open_wins(MAX_WINS);
        if wins.is_empty() {
            return Ok(());
        }
        let at = snapshot.confirmed.number;
        let queries: Vec<_> = wins.iter().map(|(_, _, purse)| (*purse, at)).collect();
        let read = async {
            let contents = self.reader.purses_of_bank(&queries).await;
            let contents = self.reader.fail_over_on_err(contents)?;
            self.reader.check_canonical(&snapshot.confirmed).await?;
            Ok::<_, ReceiveError>(contents)
        };
        let contents = pin_node(read).await?;
        let mut index = self.index();
        for ((key, id, _), contents) in wins.into_iter().zip(contents) {
            if contents != Purse::Open(id) {
                index.close((key, id));
            }
        }
        Ok(())
    }
}
