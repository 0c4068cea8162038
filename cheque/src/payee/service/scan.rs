//! The scan of the deposits that have something to do: reads beacon, chain and store, and plans the next actions.

use crate::{
    bank::{cost::GasPrices, redeem::RedeemError},
    node::failover::pin_node,
    payee::{
        positions::stored_positions_at,
        service::{
            PayeeService,
            holdings::{Tracked, Win},
            observation::{Found, Observation},
            plan::{Plan, RedeemableWin, WaitReason, Waiting, plan},
            report::PayeeServiceError,
            state::{EndedBy, HoldingState, MissReason, before_draw},
        },
        snapshot::ChainSnapshot,
    },
    protocol::{
        draw::Seed,
        receive::{policy::redeem_gas, position::Position},
        terms::DepositId,
    },
    service::metrics as names,
};
use alloy_primitives::B256;
use metrics::counter;
use std::{collections::BTreeSet, sync::PoisonError};
use tokio::time::Instant;

/// The number of deposits that show the error of a draw, of all that wait for it.
const MAX_ERRORS: usize = 100;

impl PayeeService {
    /// Scans the deposits that have something to do, and plans the next actions. Sends nothing, and stores nothing but the
    /// rounds of draws.
    ///
    /// Work and requests do not depend on the number of deposits, but on the number of changes.
    pub(super) async fn scan(
        &self,
        snapshot: &ChainSnapshot,
    ) -> Result<(Observation, Plan), PayeeServiceError> {
        let mut observed = self.begin(snapshot).await?;
        self.find_new(&mut observed).await?;
        self.scan_found(observed, snapshot).await
    }

    /// Scans like [`PayeeService::scan`], after the new deposits were found.
    pub(super) async fn scan_found(
        &self,
        mut observed: Observation,
        snapshot: &ChainSnapshot,
    ) -> Result<(Observation, Plan), PayeeServiceError> {
        self.follow_reorgs(snapshot);
        self.scan_undrawn(&mut observed);
        self.scan_draws(&mut observed).await?;
        pin_node(self.scan_wins(&mut observed)).await?;
        let plan = self.plan_wins(&mut observed, &snapshot.prices);
        Ok((observed, plan))
    }

    pub(super) async fn begin(
        &self,
        snapshot: &ChainSnapshot,
    ) -> Result<Observation, PayeeServiceError> {
        let head = snapshot.head;
        let by = |number, time| EndedBy {
            number,
            time,
            head_time: head.time,
            missing_for: self.payee.reader().profile().finality,
        };
        Ok(Observation {
            head,
            now: self.payee.now(head.time).await.latest(),
            confirmed: by(snapshot.confirmed.number, snapshot.confirmed.time),
            final_block: by(snapshot.final_block.number, snapshot.final_block.time),
            found: Default::default(),
            rescanned: false,
            gone: BTreeSet::new(),
            looked: Default::default(),
            closed: BTreeSet::new(),
            wins: Default::default(),
            recorded: BTreeSet::new(),
            unread: None,
            pending_txs: self.payee.pending_txs().await?,
        })
    }

    /// Makes the service look again at what a reorganisation may have undone: at all wins if confirmed blocks were replaced,
    /// and at all deposits that had ended on the chain if a final block was.
    fn follow_reorgs(&self, snapshot: &ChainSnapshot) {
        let reorgs = (snapshot.generation, self.payee.shared.deep_reorgs.number());
        let seen = self.shared.reorgs.lock();
        let mut seen = seen.unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *seen, reorgs);
        let mut holdings = self.holdings();
        if before != reorgs {
            holdings.look_again();
        }
        if before.1 != reorgs.1 {
            let ended = holdings.ended_on_chain();
            tracing::warn!(event = "final_block_replaced", deposits = ended.len());
            for id in ended {
                let Some(tracked) = holdings.get(id).cloned() else {
                    continue;
                };
                // The draw is decided again by the same round, and the win looked at.
                let draw_time = tracked.draw_time;
                let state = HoldingState::Drawn { draw_time };
                holdings.put(id, Tracked { state, ..tracked });
            }
        }
    }

    /// Finds the deposits with a first payment since the last step. Looks for those of other processes, too, so rarely that
    /// no more than a thousand keys are read in a second.
    pub(super) async fn find_new(
        &self,
        observed: &mut Observation,
    ) -> Result<(), PayeeServiceError> {
        let news = std::mem::take(&mut *self.payee.shared.news_deposits());
        let ids: Vec<_> = {
            let mut holdings = self.holdings();
            holdings.news.extend(news);
            holdings.news.iter().copied().collect()
        };
        let (bank, payee) = (self.payee.reader().bank(), self.payee.policy().payee);
        let read = stored_positions_at(&self.payee.store, bank.address(), payee, ids.clone());
        for (id, position) in ids.into_iter().zip(read.await?) {
            match position {
                Some(position) => self.add_new(&position, observed),
                // Not written, after all. A scan of the store finds it otherwise.
                None => {
                    observed.gone.insert(id);
                }
            }
        }
        if self.is_rescan_due() {
            let shared = self.shared.clone();
            let unknown = move |id| {
                let holdings = shared.holdings.lock();
                let holdings = holdings.unwrap_or_else(PoisonError::into_inner);
                holdings.get(id).is_none()
            };
            for position in self.payee.positions_of(unknown).await? {
                self.add_new(&position, observed);
            }
            // Counts once the result is recorded: a step may still fail.
            observed.rescanned = true;
        }
        Ok(())
    }

    fn add_new(&self, position: &Position, observed: &mut Observation) {
        let terms = position.deposit();
        let policy = self.payee.policy();
        let state = before_draw(terms.drawTime, observed.now, policy, false);
        let found = Found::new((terms.drawTime, terms.redeemUntil), state);
        observed.found.insert(position.deposit_id(), found);
    }

    fn is_rescan_due(&self) -> bool {
        let last = self.shared.rescanned.lock();
        let last = last.unwrap_or_else(PoisonError::into_inner);
        let deposits = u64::try_from(self.holdings().len()).unwrap_or(u64::MAX);
        last.is_none_or(|at| at.elapsed() >= std::time::Duration::from_millis(deposits))
    }

    pub(super) fn record_rescan(&self) {
        let last = self.shared.rescanned.lock();
        *last.unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Scans the deposits at their cutoff or draw time, and those that a reorganisation has removed or brought back.
    fn scan_undrawn(&self, observed: &mut Observation) {
        let missing = self.payee.unconfirmed();
        let policy = self.payee.policy();
        for (id, found) in &mut observed.found {
            found.state = before_draw(found.draw_time, observed.now, policy, missing.contains(id));
        }
        let holdings = self.holdings();
        for id in holdings.at_cutoff(observed.now, &missing) {
            let Some(tracked) = holdings.get(id) else {
                continue;
            };
            let (draw_time, now) = (tracked.draw_time, observed.now);
            let state = before_draw(draw_time, now, policy, missing.contains(&id));
            if tracked.state.is_to_be_drawn() && state != tracked.state {
                let found = Found::new((draw_time, tracked.redeem_until), state);
                observed.found.insert(id, found);
            }
        }
        for (draw_time, id) in holdings.undecided(observed.now) {
            let Some(tracked) = holdings.get(id) else {
                continue;
            };
            let state = if tracked.redeem_until < observed.head.time {
                HoldingState::Missed(MissReason::NoSeed { draw_time })
            } else {
                HoldingState::Drawn { draw_time }
            };
            if state != tracked.state {
                let found = Found::new((draw_time, tracked.redeem_until), state);
                observed.found.insert(id, found);
            }
        }
    }

    /// Decides the draws whose round is known. A verified round is final, and so is a loss.
    async fn scan_draws(&self, observed: &mut Observation) -> Result<(), PayeeServiceError> {
        let mut undecided: BTreeSet<_> = self.holdings().undecided(observed.now).collect();
        let drawn = observed.found.iter().filter(|(_, found)| {
            matches!(
                found.state,
                HoldingState::Drawn { .. } | HoldingState::Missed(MissReason::NoSeed { .. })
            )
        });
        undecided.extend(drawn.map(|(id, found)| (found.draw_time, *id)));
        let times: BTreeSet<_> = undecided.iter().map(|(time, _)| *time).collect();
        let times: Vec<_> = times.into_iter().collect();
        let rounds = self.payee.rounds_of(&times).await;
        let (first, last) = (B256::ZERO, B256::repeat_byte(0xff));
        let at = |time: u64| -> Vec<DepositId> {
            let of_time = undecided.range((time, DepositId(first))..=(time, DepositId(last)));
            of_time.map(|(_, id)| *id).collect()
        };
        for (draw_time, round) in rounds.known {
            self.decide(at(draw_time), round.seed(), observed).await?;
        }
        if let Some((draw_time, error)) = rounds.failed {
            let error = error.into();
            for id in at(draw_time).into_iter().take(MAX_ERRORS) {
                self.record_failure(id, &error, observed);
            }
            counter!(names::PAYEE_ERRORS, "step" => "draw").increment(1);
        }
        Ok(())
    }

    /// Decides a draw for some deposits. Leaves out those with a payment that is being written, which may turn a loss into a
    /// win: a later step decides them.
    async fn decide(
        &self,
        mut ids: Vec<DepositId>,
        seed: Seed,
        observed: &mut Observation,
    ) -> Result<(), PayeeServiceError> {
        {
            // Before the positions are read: a write that has ended by then is in the store.
            let index = self.payee.index();
            ids.retain(|id| !index.is_in_flight(*id));
        }
        let (bank, payee) = (self.payee.reader().bank(), self.payee.policy().payee);
        let positions = stored_positions_at(&self.payee.store, bank.address(), payee, ids.clone());
        for (id, position) in ids.into_iter().zip(positions.await?) {
            let Some(position) = position else {
                // Another process has removed it.
                observed.found.remove(&id);
                observed.gone.insert(id);
                continue;
            };
            let terms = position.deposit();
            let times = (terms.drawTime, terms.redeemUntil);
            if crate::payee::draws::wins(&position, seed) {
                let win = self.win(&position);
                let state = HoldingState::due(&win.win);
                observed.found.insert(id, Found::new(times, state));
                observed.looked.insert(id, win);
            } else {
                let state = HoldingState::NotDrawn;
                observed.found.insert(id, Found::new(times, state));
            }
        }
        Ok(())
    }

    fn win(&self, position: &Position) -> Win {
        let terms = position.deposit();
        Win {
            win: RedeemableWin {
                id: position.deposit_id(),
                payout: position
                    .payout()
                    .map(|payout| payout.amount)
                    .unwrap_or_default(),
                gas: redeem_gas(position.depth(), position.shown().0),
                rate: self.payee.rates().last(terms.token),
                fallback_cost: position.redeem_cost(),
                draw_time: terms.drawTime,
                redeem_until: terms.redeemUntil,
                recorded: false,
            },
            purse: (terms.payer, terms.token, terms.lane),
            open_at: None,
            looked: 0,
        }
    }

    /// Plans the open wins without a pending redemption. Sets the state of each waiting win to its reason.
    fn plan_wins(&self, observed: &mut Observation, prices: &GasPrices) -> Plan {
        let head_time = observed.head.time;
        let idle = |win: &&RedeemableWin| observed.redemption_of(win.id).is_none();
        let (wins, early): (Vec<_>, Vec<_>) = observed
            .wins
            .values()
            .filter(idle)
            .cloned()
            .partition(|win| head_time > win.draw_time);
        let wait = |win: &RedeemableWin, reason| {
            let until = win.redeem_until;
            (win.id, Waiting { until, reason })
        };
        let mut plan = if wins.is_empty() {
            Plan::default()
        } else if self.payee.wallet().is_some() {
            let next_draw = self.next_draw(observed);
            plan(&wins, next_draw, prices, head_time, &self.settings)
        } else {
            let waiting = wins.iter().map(|win| wait(win, WaitReason::NoWallet));
            Plan {
                wait: waiting.collect(),
                ..Plan::default()
            }
        };
        // The bank pays in blocks later than the draw time only.
        plan.wait
            .extend(early.iter().map(|win| wait(win, WaitReason::Chain)));
        for (id, waiting) in &plan.wait {
            observed.set_state(*id, HoldingState::Won(*waiting));
        }
        plan
    }

    /// The next draw time of a deposit in the store.
    fn next_draw(&self, observed: &Observation) -> Option<u64> {
        let known = self.holdings().next_draw(observed.now);
        let found = observed.found.values().map(|found| found.draw_time);
        let found = found.filter(|draw| *draw > observed.now).min();
        known.into_iter().chain(found).min()
    }

    /// Records that the state of a deposit could not be read. Keeps its state.
    pub(super) fn record_failure(
        &self,
        id: DepositId,
        error: &RedeemError,
        observed: &mut Observation,
    ) {
        if !observed.found.contains_key(&id)
            && let Some(tracked) = self.holdings().get(id)
        {
            let times = (tracked.draw_time, tracked.redeem_until);
            let found = Found::new(times, tracked.state);
            observed.found.insert(id, found);
        }
        if matches!(error, RedeemError::Bank(_)) {
            // Another node may have what this one lacks.
            self.payee.reader().leave_node();
        }
        observed.unread.get_or_insert_with(|| error.to_string());
        observed.record_error(id, error);
    }
}
