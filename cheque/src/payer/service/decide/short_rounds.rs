//! Short rounds in simulated time: a payer on a chain with slow blocks, late transactions, winners and reclaims.

use crate::{
    payer::{
        records::DepositState,
        service::{
            decide::{
                Action, DAY, RoundNeed, Situation, TrackedDeposit,
                tests::{ACTIVE, ME, PENDING, RECLAIMABLE, SIGNER, rounds, tracked},
            },
            prune::Pruning,
            rounds::Rounds,
        },
        state::{Limits, is_past_cutoff},
    },
    protocol::{amount::Amount, deposit_builder::draw_time_from, terms::DepositId},
};
use alloy_primitives::{Address, B256};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Layer 1, and the bank for all public chains.
const LIMITS: Limits = Limits {
    cutoff: 45,
    min_lead: 2_400,
    confirm: 144,
};

const GRID: u64 = 300;
const DRAW_IN: u64 = 3_600;
const EVERY: u64 = 300;

/// The default lead of overlapping rounds on layer 1.
const LEAD: u64 = 624;

/// Longest time until a transaction is in a block.
const INCLUSION: u64 = 48;

/// Age at which a block is final.
const FINALITY: u64 = 768;

/// Units of each deposit.
const AMOUNT: u128 = 1_000_000;

struct Simulation {
    rng: ChaCha8Rng,
    rounds: Rounds,
    window: u64,
    now: u64,
    made: u64,
    deposits: Vec<TrackedDeposit>,
    /// Times at which openings and reclaims are in a block.
    mined: BTreeMap<DepositId, u64>,
    reclaimed: BTreeMap<DepositId, u64>,
    /// Deposits that the opening of another one reclaims.
    taken_over: BTreeMap<DepositId, DepositId>,
    /// Times at which winners redeem.
    redeemed: BTreeMap<DepositId, u64>,
    /// Creation times of all deposits ever made.
    history: Vec<u64>,
    most_lanes: usize,
}

impl Simulation {
    fn new(seed: u64, window: u64, budget: Option<u128>) -> Self {
        let mut rounds = rounds(budget);
        rounds.draw_in = DRAW_IN;
        rounds.every = Some(EVERY);
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            rounds,
            window,
            now: 1_800_000_000,
            made: 0,
            deposits: Vec::new(),
            mined: BTreeMap::new(),
            reclaimed: BTreeMap::new(),
            taken_over: BTreeMap::new(),
            redeemed: BTreeMap::new(),
            history: Vec::new(),
            most_lanes: 0,
        }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            head_time: self.now,
            now: self.now,
            limits: LIMITS,
            account: ME,
            signer: SIGNER,
            deposits: &self.deposits,
        }
    }

    /// Goes on to the next block, and does there what payer, payees and service do. Returns the units that could not be
    /// paid of `units` per second.
    fn block(&mut self, units: u128) -> u128 {
        let seconds = self.rng.random_range(1..=48);
        self.now += seconds;
        self.follow();
        let unpaid = self.pay(units * u128::from(seconds));
        self.act();
        unpaid
    }

    /// The states that a poll finds.
    fn follow(&mut self) {
        let now = self.now;
        for index in 0..self.deposits.len() {
            let tracked = &self.deposits[index];
            let (id, terms) = (tracked.id, &tracked.record.deposit);
            let is_mined = |times: &BTreeMap<DepositId, u64>, age: u64| {
                times.get(&id).is_some_and(|time| time + age <= now)
            };
            let state = match tracked.record.state {
                DepositState::Pending if is_mined(&self.mined, LIMITS.confirm) => {
                    if let Some(before) = self.taken_over.remove(&id) {
                        self.reclaimed.insert(before, self.mined[&id]);
                    }
                    ACTIVE
                }
                DepositState::Active if is_past_cutoff(terms, LIMITS.cutoff, now) => {
                    DepositState::PastCutoff
                }
                DepositState::PastCutoff if now >= terms.drawTime => {
                    let winner = self.rng.random_ratio(1, 3).then_some(SIGNER);
                    if winner.is_some() {
                        let redeemed = self.rng.random_range(now..terms.redeemUntil);
                        self.redeemed.insert(id, redeemed);
                    }
                    DepositState::Drawn { winner }
                }
                DepositState::Drawn { .. } if is_mined(&self.redeemed, 0) => {
                    DepositState::Redeemed {
                        payee: SIGNER,
                        payout: Amount::new(AMOUNT),
                    }
                }
                DepositState::Drawn { .. } if now > terms.redeemUntil => RECLAIMABLE,
                DepositState::Reclaimable if is_mined(&self.reclaimed, 0) => {
                    DepositState::Reclaimed
                }
                state => state,
            };
            let settled = match state {
                DepositState::Redeemed { .. } => is_mined(&self.redeemed, FINALITY),
                DepositState::Reclaimed => is_mined(&self.reclaimed, FINALITY),
                _ => false,
            };
            self.deposits[index].record.state = state;
            self.deposits[index].record.settled = settled;
        }
    }

    /// Pays from the deposits drawn first. Returns the rest.
    fn pay(&mut self, units: u128) -> u128 {
        let now = self.now;
        let mut payable: Vec<_> = self
            .deposits
            .iter_mut()
            .filter(|tracked| tracked.record.state == ACTIVE)
            .filter(|tracked| !is_past_cutoff(&tracked.record.deposit, LIMITS.cutoff, now))
            .collect();
        payable.sort_by_key(|tracked| (tracked.record.deposit.drawTime, tracked.id));
        let mut rest = units;
        for tracked in payable {
            let part = rest.min(AMOUNT - tracked.spent.get());
            tracked.spent = Amount::new(tracked.spent.get() + part);
            rest -= part;
        }
        rest
    }

    /// What the service does at a head.
    fn act(&mut self) {
        let situation = self.situation();
        let actions = situation.actions(Some(&self.rounds));
        let need = situation.need(&self.rounds, LEAD);
        let amount = Amount::new(AMOUNT);
        let fits = situation.check_budget(&self.rounds, amount).is_ok();
        for action in actions {
            if let Action::Reclaim(id) = action {
                let mined = self.now + self.rng.random_range(1..=INCLUSION);
                self.reclaimed.entry(id).or_insert(mined);
            }
        }
        let RoundNeed::Another { expired } = need else {
            return;
        };
        if !fits {
            return;
        }
        self.prune();
        let idle = self.situation().idle_lanes(Address::ZERO);
        let before = expired.and_then(|id| self.deposits.iter().find(|tracked| tracked.id == id));
        let in_use = self.lanes_in_use();
        let lane = match before {
            Some(before) => Some(before.record.deposit.lane),
            None => idle.first().copied(),
        };
        let free = (1..).find(|lane| !in_use.contains(lane));
        let lane = lane.or(free).expect("lanes have no end");
        self.made += 1;
        let mut next = tracked(0, PENDING);
        next.id = DepositId(B256::left_padding_from(&self.made.to_be_bytes()));
        next.record.created = self.now;
        let terms = &mut next.record.deposit;
        terms.lane = lane;
        terms.amount = AMOUNT;
        // A schedule of seconds: every time of the grid is on it.
        terms.drawTime = draw_time_from(self.now + DRAW_IN, GRID, 0, 1).expect("far from the end");
        terms.redeemUntil = terms.drawTime + self.window;
        let mined = self.now + self.rng.random_range(1..=INCLUSION);
        self.mined.insert(next.id, mined);
        self.taken_over
            .extend(expired.map(|expired| (next.id, expired)));
        self.history.push(self.now);
        self.deposits.push(next);
        self.most_lanes = self.most_lanes.max(self.lanes_in_use().len());
    }

    /// Removes old deposits, except for the last of each purse.
    fn prune(&mut self) {
        let pruning = Pruning {
            now: self.now,
            retention: None,
            rounds: Some((ME, SIGNER, Address::ZERO)),
        };
        let mut last = BTreeMap::new();
        for tracked in &self.deposits {
            let terms = &tracked.record.deposit;
            let newest = last.entry(terms.lane).or_insert((0, tracked.id));
            *newest = (*newest).max((terms.drawTime, tracked.id));
        }
        self.deposits.retain(|tracked| {
            let is_last = last[&tracked.record.deposit.lane].1 == tracked.id;
            is_last || !(tracked.record.settled && pruning.is_old(&tracked.record))
        });
    }

    /// Lanes of deposits that are not closed.
    fn lanes_in_use(&self) -> BTreeSet<u64> {
        let is_open = |state| {
            !matches!(
                state,
                DepositState::Redeemed { .. } | DepositState::Reclaimed
            )
        };
        let open = self.deposits.iter();
        open.filter(|tracked| is_open(tracked.record.state))
            .map(|tracked| tracked.record.deposit.lane)
            .collect()
    }

    /// The most units of deposits made within a day.
    fn most_in_a_day(&self) -> u128 {
        let mut most = 0;
        let mut first = 0;
        for (index, created) in self.history.iter().enumerate() {
            while self.history[first] + DAY <= *created {
                first += 1;
            }
            most = most.max(index + 1 - first);
        }
        u128::try_from(most).expect("few") * AMOUNT
    }
}

/// The most lanes in use: one for each deposit that is drawn or waits for the end of its window, two that wait for a next
/// round, and those under way.
fn max_lanes(window: u64) -> usize {
    let in_use = (DRAW_IN + GRID).div_ceil(EVERY) + window.div_ceil(EVERY);
    usize::try_from(in_use + 4).expect("few")
}

/// Runs until this many rounds are made. Payments of three quarters of the allowances must never fail once the first
/// deposit is active.
fn run(simulation: &mut Simulation, rounds: u64) {
    let units = AMOUNT * 3 / 4 / u128::from(EVERY);
    let warm = simulation.now + INCLUSION + LIMITS.confirm + 2 * 48;
    while simulation.made < rounds {
        let unpaid = simulation.block(units);
        let now = simulation.now;
        assert!(unpaid == 0 || now < warm, "{unpaid} units unpaid at {now}");
    }
}

#[test]
fn pays_without_a_gap_for_hundreds_of_short_rounds() {
    let window = DAY;
    let mut simulation = Simulation::new(1, window, None);
    run(&mut simulation, 800);
    let lanes = simulation.most_lanes;
    assert!(lanes <= max_lanes(window), "{lanes} lanes");
    // Rounds of a window and a day at most, although 800 were made.
    let kept = simulation.deposits.len();
    let bound = max_lanes(window) + usize::try_from(DAY / EVERY).unwrap();
    assert!(kept <= bound, "{kept} deposits kept");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn bounds_lanes_and_pays_without_a_gap(seed: u64, window in 300_u64..15_000) {
        let mut simulation = Simulation::new(seed, window, None);
        run(&mut simulation, 120);
        let lanes = simulation.most_lanes;
        prop_assert!(lanes <= max_lanes(window), "{lanes} lanes");
    }

    #[test]
    fn keeps_short_rounds_within_the_budget_of_a_day(seed: u64, deposits in 1..100_u128) {
        let budget = deposits * AMOUNT;
        let mut simulation = Simulation::new(seed, 3_600, Some(budget));
        let end = simulation.now + DAY + DAY / 4;
        // More than there is, so that rounds are used up early.
        let units = AMOUNT * 2 / u128::from(EVERY);
        while simulation.now < end {
            simulation.block(units);
        }
        prop_assert!(simulation.most_in_a_day() <= budget);
        prop_assert!(simulation.made >= u64::try_from(deposits).expect("few"));
    }
}
