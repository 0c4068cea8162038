//! The scan of all unsettled deposits: reads chain and store, and plans the next actions.

use crate::{
    bank::{cost::GasPrices, head::Head, redeem::RedeemError},
    node::failover::pin_node,
    payee::service::{
        PayeeService,
        observation::{Found, Observation},
        plan::{Plan, RedeemableWin, WaitReason, Waiting, plan},
        report::PayeeServiceError,
        state::{DrawFacts, HoldingState, after_draw, before_draw},
    },
    protocol::{
        amount::Amount,
        draw::{Seed, roll},
        receive::{policy::redeem_gas, position::Position},
        terms::Purse,
    },
    service::metrics as names,
};
use metrics::counter;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::PoisonError,
};

/// The seed of a draw block.
#[derive(Clone, Copy, Debug)]
struct DrawSeed {
    /// `None` if the node lacks the block.
    seed: Option<Seed>,
    recorded: bool,
}

impl PayeeService {
    /// Scans all unsettled deposits, and plans the next actions. Sends nothing, and stores nothing.
    pub(super) async fn scan(
        &self,
        head: Head,
        prices: &GasPrices,
    ) -> Result<(Observation, Plan), PayeeServiceError> {
        let mut observed = Observation {
            head,
            confirmed: self.payee.reader().confirmed(head.number),
            found: BTreeMap::new(),
            wins: BTreeMap::new(),
            pending_txs: self.payee.pending_txs().await?,
        };
        let head = head.number;
        let shared = self.shared.clone();
        let wanted = move |id| {
            let holdings = shared.holdings.lock();
            let holdings = holdings.unwrap_or_else(PoisonError::into_inner);
            holdings.needs_read(id, head)
        };
        let positions = self.payee.positions_of(wanted).await?;
        let (drawn, undrawn): (Vec<_>, Vec<_>) = positions
            .into_iter()
            .partition(|position| position.deposit().drawBlock <= head);

        self.scan_undrawn(&undrawn, &mut observed);
        if !drawn.is_empty() {
            pin_node(self.scan_drawn(&drawn, &mut observed)).await?;
        }
        let plan = self.plan_wins(&mut observed, prices);
        Ok((observed, plan))
    }

    /// Scans the deposits before their draw: the new ones, and known ones with a new state.
    fn scan_undrawn(&self, new: &[Position], observed: &mut Observation) {
        let unconfirmed = self.payee.unconfirmed();
        let policy = self.payee.policy();
        let state = |id, draw_block| {
            before_draw(
                draw_block,
                observed.head.number,
                policy,
                unconfirmed.contains(&id),
            )
        };
        for position in new {
            let (id, terms) = (position.deposit_id(), position.deposit());
            let found = Found::new(terms, state(id, terms.drawBlock));
            observed.found.insert(id, found);
        }
        let holdings = self.holdings();
        for (id, draw_block, last_block, before) in holdings.to_be_drawn(observed.head.number) {
            let state = state(id, draw_block);
            if state != before {
                let found = Found {
                    draw_block,
                    last_block,
                    state,
                    last_error: None,
                };
                observed.found.insert(id, found);
            }
        }
    }

    /// Scans the deposits after their draw block. Fails unless all answers are of the head's fork. The caller pins the
    /// node.
    async fn scan_drawn(
        &self,
        positions: &[Position],
        observed: &mut Observation,
    ) -> Result<(), PayeeServiceError> {
        let mut seeds = BTreeMap::new();
        let mut winners = Vec::new();
        for position in positions {
            match self.draw_facts(position, &mut seeds, observed).await {
                // The purse matters for a win only.
                Ok(facts) if facts.wins == Some(true) => winners.push((position, facts)),
                Ok(facts) => self.record_state(position, &facts, observed),
                Err(error) => self.record_failure(position, &error, observed),
            }
        }
        let queries: Vec<_> = winners
            .iter()
            .map(|(position, _)| {
                let terms = position.deposit();
                let purse = (terms.payer, terms.token, terms.lane);
                (purse, observed.head.number)
            })
            .collect();
        let purses = self.payee.reader().purses_of_bank(&queries).await;
        for ((position, mut facts), purse) in
            winners.into_iter().zip(purses.map_err(RedeemError::from)?)
        {
            facts.purse = purse;
            let (id, terms) = (position.deposit_id(), position.deposit());
            if purse != Purse::Open(id) {
                let (from, to) = (terms.drawBlock + 1, observed.head.number);
                match self.payee.reader().closed(id, from, to).await {
                    Ok(closed) => facts.closed = closed,
                    Err(error) => {
                        self.record_failure(position, &error.into(), observed);
                        continue;
                    }
                }
            }
            self.record_state(position, &facts, observed);
        }
        let still = self.payee.reader().check_canonical(&observed.head).await;
        Ok(still.map_err(RedeemError::from)?)
    }

    /// The facts of a draw. Assumes that the bank still holds the deposit.
    async fn draw_facts(
        &self,
        position: &Position,
        seeds: &mut BTreeMap<u64, DrawSeed>,
        observed: &Observation,
    ) -> Result<DrawFacts, RedeemError> {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let draw = match seeds.entry(terms.drawBlock) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                *unknown.insert(self.seed(terms.drawBlock, observed.head.number).await?)
            }
        };
        let missing_since = match self.holdings().state(id) {
            Some(HoldingState::NotOnChain { since }) => Some(since),
            _ => None,
        };
        let wins = |seed| {
            let roll = roll(seed, id, Amount::new(terms.amount));
            let payout = position.payout();
            payout.is_some_and(|payout| payout.wins(position.start(), roll))
        };
        Ok(DrawFacts {
            head: observed.head.number,
            confirmed: observed.confirmed,
            purse: Purse::Open(id),
            wins: draw.seed.map(wins),
            recorded: draw.recorded,
            closed: None,
            missing_since,
            pending: observed.redemption_of(id).map(|tx| tx.hash),
        })
    }

    /// Records the state of a deposit after its draw, and the win if it is open.
    fn record_state(&self, position: &Position, facts: &DrawFacts, observed: &mut Observation) {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let state = after_draw(id, terms, self.payee.policy().payee, facts);
        if let Some(state) = state
            && !matches!(state, HoldingState::Redeeming { .. })
        {
            observed.found.insert(id, Found::new(terms, state));
            return;
        }
        let win = RedeemableWin {
            id,
            payout: position
                .payout()
                .map(|payout| payout.amount)
                .unwrap_or_default(),
            gas: redeem_gas(position.depth(), position.shown().0),
            rate: self.payee.rates().of(terms.token),
            fallback_cost: position.redeem_cost(),
            draw_block: terms.drawBlock,
            last_block: terms.lastRedeemBlock,
            recorded: facts.recorded,
        };
        let state = state.unwrap_or_else(|| HoldingState::due(&win));
        observed.found.insert(id, Found::new(terms, state));
        observed.wins.insert(id, win);
    }

    /// Records that the state of a deposit could not be read. Keeps the last state after the draw, if known.
    fn record_failure(&self, position: &Position, error: &RedeemError, observed: &mut Observation) {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let before = self.holdings().state(id);
        let before = before.filter(|state| !state.is_to_be_drawn());
        let confirmed_at = observed.head.number + 1;
        let state = before.unwrap_or(HoldingState::Drawn { confirmed_at });
        observed.found.insert(id, Found::new(terms, state));
        observed.record_error(id, error);
        counter!(names::PAYEE_ERRORS, "step" => "draw").increment(1);
    }

    /// Reads the seed of a draw block: the recorded seed, else the block's own.
    async fn seed(&self, block: u64, head: u64) -> Result<DrawSeed, RedeemError> {
        let reader = self.payee.reader();
        if let Some(seed) = reader.recorded_seed_at(block, head.into()).await? {
            return Ok(DrawSeed {
                seed: Some(seed),
                recorded: true,
            });
        }
        let draw = reader.draw_block(block).await?;
        Ok(DrawSeed {
            seed: draw.map(|draw| draw.seed),
            recorded: false,
        })
    }

    /// Plans the wins without a pending redemption. Sets the state of each waiting win to its reason.
    fn plan_wins(&self, observed: &mut Observation, prices: &GasPrices) -> Plan {
        let idle = |win: &&RedeemableWin| observed.redemption_of(win.id).is_none();
        let wins: Vec<_> = observed.wins.values().filter(idle).cloned().collect();
        if wins.is_empty() {
            return Plan::default();
        }
        let plan = if self.payee.wallet().is_some() {
            plan(
                &wins,
                self.next_draw(observed),
                prices,
                observed.head.number,
                &self.settings,
            )
        } else {
            let waiting = |win: &RedeemableWin| Waiting {
                until: win.deadline(),
                reason: WaitReason::NoWallet,
            };
            Plan {
                wait: wins.iter().map(|win| (win.id, waiting(win))).collect(),
                ..Plan::default()
            }
        };
        for (id, waiting) in &plan.wait {
            observed.set_state(*id, HoldingState::Won(*waiting));
        }
        plan
    }

    /// The block at which the next draw of a deposit in the store is decided.
    fn next_draw(&self, observed: &Observation) -> Option<u64> {
        let depth = self.payee.reader().profile().confirmations;
        // The node simulates a redemption at the head, and the bank refuses one at the draw block itself.
        let decided = observed
            .confirmed
            .min(observed.head.number.saturating_sub(1));
        let known = self
            .holdings()
            .to_be_drawn(decided)
            .map(|(_, draw, ..)| draw)
            .min();
        let found = observed.found.values().map(|found| found.draw_block);
        let found = found.filter(|draw| *draw > decided).min();
        let next = known.into_iter().chain(found).min();
        next.map(|draw| draw.saturating_add(depth.saturating_sub(1).max(1)))
    }
}
