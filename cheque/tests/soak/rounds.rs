//! Rounds that overlap: one is opened every five minutes, paid from, drawn an hour later, and redeemed or reclaimed.

use crate::{
    books::Books,
    evm::{Evm, PERIOD, START, openCall, purse_word, purseCall, reclaimCall},
    payees::Payees,
    payer::{Opened, Payer},
    win::Win,
};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{
    Amount, ChainProfile, MIN_LEAD, MasterSalt, Now, Outcome, PAYER_CUTOFF, Position, Proof, Purse,
    Rejection, SigningKey, View, redeem_gas, roll,
};
use cheque_bindings::IChequeBank::reopenCall;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// Chain id of the EVM.
const CHAIN: u64 = 560_048;

/// Seconds between the openings of two rounds.
const EVERY: u64 = 300;

/// Seconds from an opening to the draw.
const DRAW_IN: u64 = 3_600;

/// Seconds in which a win can be redeemed at least. The payees know their chain, and ask for no more.
const WINDOW: u64 = 3_600;

/// The most payments in one wave.
const MAX_WAVE: usize = 400;

pub(crate) struct Soak {
    pub(crate) chain: Evm,
    profile: &'static ChainProfile,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) payer: Payer,
    pub(crate) payees: Payees,
    pub(crate) books: Books,
    /// From opening to close, the oldest first.
    rounds: VecDeque<Round>,
    /// Number of purses ever used. Their lanes are 1, 2, 3 and so on.
    lanes: u64,
    /// Lanes of redeemed deposits.
    free: Vec<u64>,
    /// The most rows of payer and payees in their stores.
    most_kept: usize,
}

/// A round from its opening to its close.
struct Round {
    opened: Opened,
    opened_at: u64,
    gas_price: u128,
    drawn: bool,
    /// The win, if there is one and it is not redeemed yet.
    win: Option<Win>,
}

impl Soak {
    pub(crate) fn new(payees: usize) -> Self {
        let profile = ChainProfile::of(CHAIN).unwrap();
        let chain = Evm::new(MIN_LEAD);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let signer = SigningKey::from_bytes(&rng.random()).unwrap();
        let mut payees = Payees::new(payees, chain.bank, profile);
        payees.policy.min_window = WINDOW;
        payees
            .policy
            .check(MIN_LEAD, chain.beacon.period())
            .unwrap();
        Self {
            payer: Payer::new(Address::from(rng.random::<[u8; 20]>()), signer, chain.bank),
            payees,
            profile,
            chain,
            rng,
            books: Books::default(),
            rounds: VecDeque::new(),
            lanes: 0,
            free: Vec::new(),
            most_kept: 0,
        }
    }

    /// Opens a round, and lives through the time until the next.
    pub(crate) fn round(&mut self) {
        let start = self.chain.time();
        let gas_price = self.rng.random_range(1_000_000_000..20_000_000_000);
        self.open(gas_price);
        for wave in 1..=3 {
            // Confirmed by the first wave.
            self.advance(start + self.profile.confirm + wave * 30);
            let number = (self.payees.addresses.len() / 4).clamp(1, MAX_WAVE);
            for _ in 0..number {
                let chosen = self.rng.random_range(0..self.payees.addresses.len());
                self.pay(self.payees.addresses[chosen]);
            }
        }
        self.advance(start + EVERY);
        self.draw_due();
        self.most_kept = self.most_kept.max(self.kept());
    }

    /// Lives on without new rounds until all are closed.
    pub(crate) fn close(&mut self) {
        while !self.rounds.is_empty() {
            self.advance(self.chain.time() + EVERY);
            self.draw_due();
            while let Some(expired) = self.expired() {
                let deposit = expired.opened.deposit;
                let from = self.payer.address;
                self.chain.send(from, 0, &reclaimCall { deposit }).unwrap();
            }
        }
    }

    /// Takes out the round whose window ended first, without a win. Payer and payees forget it.
    fn expired(&mut self) -> Option<Round> {
        let now = self.chain.time();
        let is_over = |round: &Round| now > round.opened.deposit.redeemUntil;
        let index = self.rounds.iter().position(is_over)?;
        let round = self.rounds.remove(index)?;
        assert!(round.drawn && round.win.is_none(), "a win was missed");
        self.forget(&round.opened);
        Some(round)
    }

    fn forget(&self, opened: &Opened) {
        self.payees.forget(opened.id);
        self.payer.forget(opened.id);
    }

    /// Number of rows of payer and payees.
    fn kept(&self) -> usize {
        self.payer.kept() + self.payees.kept()
    }

    /// Returns the most rows kept since the last call.
    pub(crate) fn most_kept(&mut self) -> usize {
        std::mem::take(&mut self.most_kept)
    }

    /// The number of rounds that are not closed, and of purses ever used.
    pub(crate) fn in_use(&self) -> (usize, u64) {
        (self.rounds.len(), self.lanes)
    }
}

impl Soak {
    /// Opens the next round: in the purse of an expired one, which this reclaims, in that of a redeemed one, or in a new one.
    fn open(&mut self, gas_price: u128) {
        let now = self.chain.time();
        let expired = self.expired();
        let lane = match &expired {
            Some(expired) => expired.opened.deposit.lane,
            None => self.free.pop().unwrap_or_else(|| {
                self.lanes += 1;
                self.lanes
            }),
        };
        let draw_time = self.chain.draw_in(DRAW_IN);
        let redeem_until = draw_time + WINDOW + self.rng.random_range(0..900);
        let whole = self
            .rng
            .random_range(300_000_000_000_000_000..900_000_000_000_000_000);
        let allowances = self.allowances(whole);
        let gas = redeem_gas(17, self.payees.policy.max_steps);
        let min_payout = 50 * u128::from(gas) * gas_price;
        let master = MasterSalt::from_bytes(self.rng.random());
        let times = (now, draw_time, redeem_until);
        let next = self
            .payer
            .prepare(lane, allowances, master, min_payout, times);

        let there = match &expired {
            Some(expired) => Amount::new(expired.opened.deposit.amount),
            None => self.idle(self.payer.address, lane),
        };
        let missing = next.deposit.amount.saturating_sub(there.get());
        let value = if self.rng.random() {
            // Any excess goes to the payer's balance in the bank.
            missing + self.rng.random_range(0..missing + 2)
        } else {
            missing.saturating_sub(self.idle(self.payer.address, 0).get())
        };
        let deposit = next.deposit.clone();
        let from = self.payer.address;
        let id = match expired {
            None => self.chain.send(from, value, &openCall { deposit }),
            Some(expired) => {
                let expired = expired.opened.deposit;
                let next = deposit;
                self.chain.send(from, value, &reopenCall { expired, next })
            }
        };
        assert_eq!(id.unwrap(), next.id.0);
        self.books.funded += U256::from(value);
        self.rounds.push_back(Round {
            opened: next,
            opened_at: now,
            gas_price,
            drawn: false,
            win: None,
        });
    }

    /// Uneven shares of about `whole` for all payees.
    fn allowances(&mut self, whole: u128) -> Vec<(Address, Amount)> {
        let payees = self.payees.addresses.clone();
        let weights: Vec<u128> = payees
            .iter()
            .map(|_| self.rng.random_range(1..=4))
            .collect();
        let all: u128 = weights.iter().sum();
        let shares = weights
            .into_iter()
            .map(|weight| Amount::new(whole * weight / all));
        payees.into_iter().zip(shares).collect()
    }

    /// Makes a payment from the round drawn first that can still pay. There is one at any time.
    fn pay(&mut self, payee: Address) {
        let now = self.chain.time();
        let can_pay = |round: &Round| now + PAYER_CUTOFF < round.opened.deposit.drawTime;
        let index = self.rounds.iter().position(can_pay);
        let index = index.expect("a round to pay from");
        let round = &self.rounds[index];
        assert!(
            round.opened_at + self.profile.confirm < now,
            "not confirmed"
        );
        let (opened, clock) = (&round.opened, now + self.rng.random_range(0..10));
        let gas = redeem_gas(opened.tree.depth(), self.payees.policy.max_steps);
        let view = View {
            now: Now {
                clock,
                head_time: now,
                round_time: Some(clock - (clock - START) % PERIOD),
            },
            final_time: Some(now - self.profile.finality / 2),
            purse: self.chain.purse(&opened.deposit),
            settled: round.opened_at + self.profile.finality < now,
            redeem_cost: Some(Amount::new(u128::from(gas) * round.gas_price)),
            // The payees compute it.
            exposure: Amount::ZERO,
            unsettled: Amount::ZERO,
        };
        let Some(mut proofs) = self.payer.pay(opened, payee, &mut self.rng) else {
            return;
        };
        let is_plain = proofs.len() == 1 && !matches!(proofs[0], Proof::Step { .. });
        if is_plain && self.rng.random_ratio(1, 32) {
            // The network loses it.
            return;
        }
        while !proofs.is_empty() {
            let wire = proofs.remove(0).encode();
            match self.payees.receive(payee, &wire, &view) {
                Ok(value) => self.books.values += value.to_u256(),
                // The network lost the opening.
                Err(Rejection::UnknownDeposit(_)) => {
                    proofs = self.payer.all_proofs(opened, payee);
                    continue;
                }
                Err(error) => panic!("an honest payer is rejected: {error}"),
            }
            self.books.payments += 1;
            if self.rng.random_ratio(1, 16) {
                let again = self.payees.receive(payee, &wire, &view);
                assert_eq!(again, Err(Rejection::Replay));
            }
        }
    }

    /// Finds the winners of all rounds whose draw is over, and plans their redemption. Losers forget their positions.
    fn draw_due(&mut self) {
        let now = self.chain.time();
        for index in 0..self.rounds.len() {
            let round = &self.rounds[index];
            if round.drawn || now <= round.opened.deposit.drawTime {
                continue;
            }
            let positions = self.payees.holdings(round.opened.id);
            self.books.add_draw(&round.opened.deposit, &positions);
            let winner = self.winner(index, &positions);
            self.payees.forget_losers(&positions, winner.as_ref());
            let round = &mut self.rounds[index];
            round.drawn = true;
            if let Some(winner) = winner {
                let terms = &round.opened.deposit;
                let gas_price = round.gas_price;
                round.win = Some(Win::plan(
                    winner,
                    now,
                    terms.redeemUntil,
                    gas_price,
                    &mut self.rng,
                ));
            }
        }
    }

    /// The position of a round's winner, if a payee has won. The bank agrees about a loser.
    fn winner(&mut self, index: usize, positions: &[Position]) -> Option<Position> {
        let opened = &self.rounds[index].opened;
        let draw_time = opened.deposit.drawTime;
        let seed = self.chain.round(draw_time).seed();
        let point = roll(seed, opened.id, Amount::new(opened.deposit.amount));
        let wins = |position: &&Position| {
            let payout = position.payout();
            payout.is_some_and(|payout| payout.wins(position.start(), point))
        };
        let winners: Vec<_> = positions.iter().filter(wins).collect();
        assert!(winners.len() <= 1);
        let loser = positions
            .iter()
            .find(|position| !wins(position) && !position.total().is_zero());
        if let Some(loser) = loser {
            let packed = loser.redemption(Address::ZERO, Bytes::new()).pack();
            let (packed, proof) = (packed.unwrap(), self.chain.proof(draw_time));
            let outcome = self.chain.outcome_of(&packed, &proof, loser.payee());
            assert_eq!(outcome.unwrap().0, Outcome::Loses);
        }
        winners.first().map(|winner| (*winner).clone())
    }

    /// Goes on to a time, and redeems each win that is due meanwhile at its time.
    fn advance(&mut self, to: u64) {
        loop {
            let due = |round: &Round| round.win.as_ref().map(|win| win.at);
            let wins = self.rounds.iter().enumerate();
            let next = wins.filter_map(|(index, round)| Some((due(round)?, index)));
            let Some((at, index)) = next.min().filter(|(at, _)| *at <= to) else {
                break;
            };
            self.chain.mine_at(at);
            let round = self.rounds.remove(index).expect("found above");
            let win = round.win.as_ref().expect("found above");
            self.redeem(win);
            self.free.push(round.opened.deposit.lane);
            self.forget(&round.opened);
        }
        self.chain.mine_at(to);
    }

    /// Idle money in a purse.
    pub(crate) fn idle(&mut self, account: Address, lane: u64) -> Amount {
        let call = purseCall {
            account,
            token: Address::ZERO,
            lane,
        };
        let word = purse_word(self.chain.view(account, &call));
        match Purse::from_word(word) {
            Purse::Idle(amount) => amount,
            Purse::Open(id) => panic!("lane {lane} holds deposit {id}"),
        }
    }

    /// The lanes of the payer, and the money of its open deposits.
    pub(crate) fn money_at_stake(&self) -> (Vec<u64>, U256) {
        let open = self.rounds.iter().map(|round| &round.opened.deposit);
        let money = open.clone().map(|terms| U256::from(terms.amount));
        let taken: Vec<_> = open.map(|terms| terms.lane).collect();
        let idle = (1..=self.lanes).filter(|lane| !taken.contains(lane));
        (idle.collect(), money.sum())
    }
}
