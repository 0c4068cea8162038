//! What the chain and the store say about every deposit now.

use crate::{
    bank::{cost::GasPrices, head::Head, redeem::RedeemError},
    node::failover::pin_node,
    payee::{
        pending::{PendingTx, Purpose},
        service::{
            PayeeService,
            observation::{Found, Observation},
            plan::{Plan, RedeemableWin, WaitReason, Waiting, plan},
            report::PayeeServiceError,
            state::{Drawn, HoldingState, after_draw, before_draw},
        },
    },
    protocol::{
        amount::Amount,
        draw::{Seed, roll},
        receive::{policy::redeem_gas, position::Position},
        terms::{DepositId, Purse},
    },
    service::metrics as names,
};
use cheque_bindings::Deposit;
use metrics::counter;
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

/// The seed of a draw block.
#[derive(Clone, Copy, Debug)]
struct DrawSeed {
    /// `None`: the node does not have the block.
    seed: Option<Seed>,
    recorded: bool,
}

impl PayeeService {
    /// Looks at all deposits that are not settled, and decides what to do. Sends nothing, and stores nothing.
    pub(super) async fn observe(
        &self,
        head: Head,
        prices: &GasPrices,
    ) -> Result<(Observation, Plan), PayeeServiceError> {
        let mut look = Observation {
            head,
            confirmed: self.payee.reader().confirmed(head.number),
            found: BTreeMap::new(),
            wins: BTreeMap::new(),
            pending_txs: self.payee.pending_txs().await?,
        };
        let head = head.number;
        let shared = self.shared.clone();
        let wants = move |id| {
            let holdings = shared.holdings.lock();
            holdings
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .wants(id, head)
        };
        let positions = self.payee.positions_of(wants).await?;
        let (drawn, open): (Vec<_>, Vec<_>) = positions
            .into_iter()
            .partition(|position| position.deposit().drawBlock <= head);

        self.follow_open(&open, &mut look);
        if !drawn.is_empty() {
            pin_node(self.follow_drawn(&drawn, &mut look)).await?;
        }
        let plan = self.decide(&mut look, prices);
        Ok((look, plan))
    }

    /// Deposits that are still to be drawn: those that are known, and the new ones.
    fn follow_open(&self, new: &[Position], look: &mut Observation) {
        let unconfirmed = self.payee.unconfirmed();
        let policy = self.payee.policy();
        let state = |id, draw_block| {
            before_draw(
                draw_block,
                look.head.number,
                policy,
                unconfirmed.contains(&id),
            )
        };
        for position in new {
            let (id, terms) = (position.deposit_id(), position.deposit());
            look.found
                .insert(id, Found::of(terms, state(id, terms.drawBlock)));
        }
        let holdings = self.holdings();
        for (id, draw_block, last_block, before) in holdings.to_be_drawn(look.head.number) {
            let state = state(id, draw_block);
            if state != before {
                let found = Found {
                    draw_block,
                    last_block,
                    state,
                    trouble: None,
                };
                look.found.insert(id, found);
            }
        }
    }

    /// Deposits whose draw block is over. What one node says about all of them counts if it is of the fork of the head.
    async fn follow_drawn(
        &self,
        positions: &[Position],
        look: &mut Observation,
    ) -> Result<(), PayeeServiceError> {
        let mut seeds = BTreeMap::new();
        let mut winners = Vec::new();
        for position in positions {
            match self.drawn(position, &mut seeds, look).await {
                // Only of a win it matters what became of the deposit.
                Ok(drawn) if drawn.wins == Some(true) => winners.push((position, drawn)),
                Ok(drawn) => self.place(position, &drawn, look),
                Err(error) => self.keep_place(position, &error, look),
            }
        }
        let purse = |position: &Position| {
            let terms = position.deposit();
            (terms.payer, terms.token, terms.lane)
        };
        let asked = winners
            .iter()
            .map(|(position, _)| (purse(position), look.head.number));
        let asked: Vec<_> = asked.collect();
        let purses = self.payee.reader().purses_of_bank(&asked).await;
        for ((position, mut drawn), purse) in
            winners.into_iter().zip(purses.map_err(RedeemError::from)?)
        {
            drawn.purse = purse;
            let (id, terms) = (position.deposit_id(), position.deposit());
            if purse != Purse::Open(id) {
                let from = terms.drawBlock + 1;
                match self.payee.reader().closed(id, from, look.head.number).await {
                    Ok(closed) => drawn.closed = closed,
                    Err(error) => {
                        self.keep_place(position, &error.into(), look);
                        continue;
                    }
                }
            }
            self.place(position, &drawn, look);
        }
        let still = self.payee.reader().check_still(&look.head).await;
        Ok(still.map_err(RedeemError::from)?)
    }

    /// What the draw says about a deposit, as if the bank still held it.
    async fn drawn(
        &self,
        position: &Position,
        seeds: &mut BTreeMap<u64, DrawSeed>,
        look: &Observation,
    ) -> Result<Drawn, RedeemError> {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let draw = match seeds.entry(terms.drawBlock) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                *unknown.insert(self.seed(terms.drawBlock, look.head.number).await?)
            }
        };
        let gone_since = match self.holdings().state(id) {
            Some(HoldingState::NotOnChain { since }) => Some(since),
            _ => None,
        };
        let wins = |seed| {
            let roll = roll(seed, id, Amount::new(terms.amount));
            let payout = position.payout();
            payout.is_some_and(|payout| payout.wins(position.start(), roll))
        };
        Ok(Drawn {
            head: look.head.number,
            confirmed: look.confirmed,
            purse: Purse::Open(id),
            wins: draw.seed.map(wins),
            recorded: draw.recorded,
            closed: None,
            gone_since,
            sent: look.sent_for(id).map(|one| one.hash),
        })
    }

    /// Notes where a deposit stands after its draw.
    fn place(&self, position: &Position, drawn: &Drawn, look: &mut Observation) {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let state = after_draw(id, terms, self.payee.policy().payee, drawn);
        if let Some(over) = state
            && !matches!(over, HoldingState::Redeeming { .. })
        {
            look.found.insert(id, Found::of(terms, over));
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
            reckoned: position.redeem_cost(),
            draw_block: terms.drawBlock,
            last_block: terms.lastRedeemBlock,
            recorded: drawn.recorded,
        };
        let state = state.unwrap_or_else(|| HoldingState::due(&win));
        look.found.insert(id, Found::of(terms, state));
        look.wins.insert(id, win);
    }

    /// Notes that it could not be found out where a deposit stands.
    fn keep_place(&self, position: &Position, error: &RedeemError, look: &mut Observation) {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let before = self.holdings().state(id);
        let before = before.filter(|state| !state.is_to_be_drawn());
        let deep_at = look.head.number + 1;
        let state = before.unwrap_or(HoldingState::Drawn { deep_at });
        look.found.insert(id, Found::of(terms, state));
        look.fail(id, error);
        counter!(names::PAYEE_ERRORS, "step" => "draw").increment(1);
    }

    /// The seed of a draw block: the recorded one counts, else the block's own.
    async fn seed(&self, block: u64, head: u64) -> Result<DrawSeed, RedeemError> {
        let reader = self.payee.reader();
        if let Some(seed) = reader.recorded_seed_at(block, head).await? {
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

    /// What to do about the wins that nothing is under way for. Those that are to wait, say why.
    fn decide(&self, look: &mut Observation, prices: &GasPrices) -> Plan {
        let idle = |win: &&RedeemableWin| look.sent_for(win.id).is_none();
        let wins: Vec<_> = look.wins.values().filter(idle).cloned().collect();
        if wins.is_empty() {
            return Plan::default();
        }
        let mut plan = plan(
            &wins,
            self.coming(look),
            prices,
            look.head.number,
            &self.settings,
        );
        if self.payee.wallet().is_none() {
            let because = WaitReason::NoWallet;
            let wait = |win: &RedeemableWin| {
                (
                    win.id,
                    Waiting {
                        until: win.deadline(),
                        because,
                    },
                )
            };
            plan = Plan {
                wait: wins.iter().map(wait).collect(),
                ..Plan::default()
            };
        }
        for (id, wait) in &plan.wait {
            look.set(*id, HoldingState::Won(*wait));
        }
        plan
    }

    /// The block at which the next draw of a deposit in the ledger is decided.
    fn coming(&self, look: &Observation) -> Option<u64> {
        let depth = self.payee.reader().profile().confirmations;
        // A redemption is simulated as one of the head, and that has to be past the draw.
        let decided = look.confirmed.min(look.head.number.saturating_sub(1));
        let known = self
            .holdings()
            .to_be_drawn(decided)
            .map(|(_, draw, ..)| draw)
            .min();
        let found = look.found.values().map(|found| found.draw_block);
        let found = found.filter(|draw| *draw > decided).min();
        let next = known.into_iter().chain(found).min();
        next.map(|draw| draw.saturating_add(depth.saturating_sub(1).max(1)))
    }
}

impl Found {
    const fn of(terms: &Deposit, state: HoldingState) -> Self {
        Self {
            draw_block: terms.drawBlock,
            last_block: terms.lastRedeemBlock,
            state,
            trouble: None,
        }
    }
}

impl Observation {
    /// The transaction that redeems a deposit, if one is under way.
    pub(super) fn sent_for(&self, id: DepositId) -> Option<&PendingTx> {
        self.pending_txs
            .iter()
            .find(|one| one.deposits().contains(&id))
    }

    /// The blocks whose seeds are being recorded.
    pub(super) fn recording(&self) -> BTreeSet<u64> {
        let blocks = self.pending_txs.iter().filter_map(|one| match one.purpose {
            Purpose::RecordSeed(block) => Some(block),
            _ => None,
        });
        blocks.collect()
    }
}
