//! The look at won deposits: what the bank holds at the head.

use crate::{
    bank::redeem::RedeemError,
    payee::service::{
        PayeeService,
        holdings::Win,
        observation::{Found, Observation},
        report::PayeeServiceError,
        state::{HoldingState, WinFacts, after_win},
    },
    protocol::terms::{DepositId, Purse},
    service::metrics as names,
};
use metrics::counter;
use std::collections::BTreeSet;

/// The number of wins that a step looks at: those of one request for purses. The next step looks at the next.
const MAX_LOOKS: usize = 100;

/// The number of closed wins whose event a step looks up.
const MAX_EVENTS: usize = 20;

/// The number of draw times of which a step asks whether their seed is recorded.
const MAX_SEEDS: usize = 10;

impl PayeeService {
    /// Looks at wins: at new ones and those with a pending redemption first, then at those with the oldest look. Fails unless
    /// all answers are of the head's fork. The caller pins the node.
    pub(super) async fn scan_wins(
        &self,
        observed: &mut Observation,
    ) -> Result<(), PayeeServiceError> {
        let mut urgent = observed.pending_deposits();
        urgent.extend(observed.looked.keys());
        let wins: Vec<_> = {
            let mut holdings = self.holdings();
            // A win whose total was raised after the draw replaces the one before.
            holdings.wins.extend(observed.looked.clone());
            let ids = holdings.wins_to_look_at(&urgent, &observed.confirmed, MAX_LOOKS);
            let wins = ids.into_iter();
            wins.filter_map(|id| Some((id, holdings.wins.get(&id)?.clone())))
                .collect()
        };
        if !wins.is_empty() {
            self.look_at(wins, observed).await?;
        }
        self.find_recorded(observed).await?;
        self.collect_open_wins(observed);
        if !observed.wins.is_empty() || !observed.looked.is_empty() {
            let still = self.payee.reader().check_canonical(&observed.head).await;
            still.map_err(RedeemError::from)?;
        }
        Ok(())
    }

    async fn look_at(
        &self,
        wins: Vec<(DepositId, Win)>,
        observed: &mut Observation,
    ) -> Result<(), PayeeServiceError> {
        let reader = self.payee.reader();
        let queries: Vec<_> = wins
            .iter()
            .map(|(_, win)| (win.purse, observed.head.number))
            .collect();
        let purses = reader.purses_of_bank(&queries).await;
        let purses = purses.map_err(RedeemError::from)?;
        let mut events = 0;
        for ((id, mut win), purse) in wins.into_iter().zip(purses) {
            let mut closed = None;
            if purse == Purse::Open(id) {
                win.open_at = Some(observed.head.number);
            } else if events == MAX_EVENTS {
                observed.closed.insert(id);
                win.looked = u64::MAX;
                observed.looked.insert(id, win);
                continue;
            } else {
                events += 1;
                observed.closed.insert(id);
                match self.closed(id, &win, observed).await {
                    Ok(found) => closed = found,
                    Err(error) => {
                        counter!(names::PAYEE_ERRORS, "step" => "draw").increment(1);
                        self.record_failure(id, &error, observed);
                        continue;
                    }
                }
            }
            let missing_since = match self.holdings().state(id) {
                Some(HoldingState::NotOnChain { since }) => Some(since),
                _ => None,
            };
            let facts = WinFacts {
                head_time: observed.head.time,
                purse,
                closed,
                missing_since,
                pending: observed.redemption_of(id).map(|tx| tx.hash),
            };
            let times = (win.win.draw_time, win.win.redeem_until);
            let payee = self.payee.policy().payee;
            let state = after_win((id, times.1), payee, &facts);
            let state = state.unwrap_or_else(|| HoldingState::due(&win.win));
            observed.found.insert(id, Found::new(times, state));
            win.looked = u64::MAX;
            observed.looked.insert(id, win);
        }
        Ok(())
    }

    /// The event that closed a win. Looks from the last head at which it was open, else from the draw time.
    async fn closed(
        &self,
        id: DepositId,
        win: &Win,
        observed: &Observation,
    ) -> Result<Option<crate::bank::ends::Closed>, RedeemError> {
        let reader = self.payee.reader();
        let open_at = match win.open_at {
            Some(open_at) => open_at,
            None => {
                let block = reader.block_before(&observed.head, win.win.draw_time);
                block.await?.number
            }
        };
        let closed = reader.closed(id, open_at.saturating_add(1), &observed.head);
        let closed = closed.await?;
        if closed.is_none() && win.open_at.is_some() {
            // The deposit was open and is not, so the node lacks an event.
            reader.forget_closed(id);
        }
        Ok(closed)
    }

    /// Finds out which seeds of open wins are recorded.
    async fn find_recorded(&self, observed: &mut Observation) -> Result<(), PayeeServiceError> {
        if self.payee.wallet().is_none() {
            return Ok(());
        }
        let times: BTreeSet<_> = {
            let holdings = self.holdings();
            let looked = observed.looked.values().filter(|win| win.open_at.is_some());
            looked
                .map(|win| win.win.draw_time)
                .filter(|time| !holdings.recorded.contains(time))
                .collect()
        };
        for time in times.into_iter().take(MAX_SEEDS) {
            let recorded = self
                .payee
                .reader()
                .recorded_seed_at(time, observed.head.number.into());
            if recorded.await.map_err(RedeemError::from)?.is_some() {
                observed.recorded.insert(time);
            }
        }
        Ok(())
    }

    /// Collects the wins that are open, as of this step or the last look.
    fn collect_open_wins(&self, observed: &mut Observation) {
        let holdings = self.holdings();
        let mut open = Vec::new();
        for (id, known) in &holdings.wins {
            let state = observed.found.get(id).map(|found| found.state);
            let state = state.or_else(|| holdings.state(*id));
            let win = observed.looked.get(id).unwrap_or(known);
            let is_open = win.open_at.is_some() && !observed.closed.contains(id);
            if !is_open || !state.is_some_and(|state| state.is_open_win()) {
                continue;
            }
            let time = win.win.draw_time;
            let mut win = win.win.clone();
            win.recorded = holdings.recorded.contains(&time) || observed.recorded.contains(&time);
            open.push((*id, win));
        }
        observed.wins.extend(open);
    }
}
