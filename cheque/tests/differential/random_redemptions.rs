//! Compares core and contract on random deposits, cheques, streams, proofs of seeds and rolls.

use crate::{
    evm::{Evm, PERIOD, reclaimCall, recordSeedCall, rollOfCall},
    random::{TestRng, account, cases, pick, rng, word},
    support::comparison::{Sent, assert_batch_matches, assert_redeem_matches, judge_both},
    support::generate::{self, OpenDeposit, Payees, mostly_first},
};
use alloy_primitives::{Address, B256, Bytes, aliases::U40};
use cheque::{Amount, Outcome, Redemption, Seed, Stream, roll};
use rand::Rng;

/// Cases of each deposit, the sum of those in `Run::run_deposit`.
const CASES_PER_DEPOSIT: usize = 100;

struct Run {
    chain: Evm,
    rng: TestRng,
    payees: Payees,
    /// Count of each outcome, in the order of the enum.
    counts: [usize; Outcome::ConsentMissing as usize + 1],
}

/// A packed redemption, the proof of its seed, and its caller.
type Case = (Bytes, Bytes, Address);

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        Self {
            chain: Evm::new(1),
            payees: Payees::new(&mut rng, 200),
            rng,
            counts: Default::default(),
        }
    }

    /// Runs at least `cases` cases. Asserts that every possible outcome occurs, the main outcomes often.
    fn run(&mut self, cases: usize) {
        let deposits = cases.div_ceil(CASES_PER_DEPOSIT);
        for _ in 0..deposits {
            self.run_deposit();
        }
        let counts = &self.counts;
        assert_eq!(counts.iter().sum::<usize>(), deposits * CASES_PER_DEPOSIT);
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        for outcome in [Outcome::Payable, Outcome::Loses, Outcome::ConsentMissing] {
            assert!(counts[outcome as usize] > cases / 20, "{counts:?}");
        }
    }
}

// Two runs, so that each uses a core.

#[test]
fn agrees_on_random_redemptions_and_pays_payable() {
    Run::new(1).run(cases(10_000));
}

#[test]
fn agrees_on_random_redemptions_of_other_deposits() {
    Run::new(2).run(cases(10_000));
}

impl Run {
    /// Runs the cases of a deposit, from before its draw until it is reclaimed.
    fn run_deposit(&mut self) {
        let window = self.rng.random_range(1..9);
        let open = generate::open(&mut self.chain, &mut self.rng, &self.payees, 200, window);
        let draw_time = open.deposit.drawTime;
        let round = self.chain.round(draw_time);
        let (proof, seed) = (open.proof(&self.chain), round.seed().0);
        // The beacon's operators know the seed early, but the bank waits.
        self.run_cases(&open, &proof, seed, 3);
        self.chain.mine_at(draw_time);
        self.run_cases(&open, &proof, seed, 2);
        let later = draw_time + self.rng.random_range(1..=window);
        self.chain.mine_at(later);
        for _ in 0..7 {
            let other = open.redraw(&mut self.chain, &mut self.rng);
            // A proof of another seed: nobody reads it once a seed is recorded.
            self.run_cases(&open, &proof, other, 10);
        }
        self.chain.record(draw_time, B256::ZERO);
        self.run_cases(&open, &proof, seed, 10);
        let record = recordSeedCall {
            drawTime: draw_time,
            proof,
        };
        assert_eq!(self.chain.send(Address::ZERO, 0, &record).ok(), Some(seed));
        let deposit = open.deposit.clone();
        let contracts = self.chain.view(Address::ZERO, &rollOfCall { deposit });
        assert_eq!(contracts, drawn(&open, seed));
        let none = Bytes::new();
        self.run_cases(&open, &none, seed, 10);
        self.chain.mine_at(open.deposit.redeemUntil + 1);
        self.run_cases(&open, &none, seed, 3);
        let deposit = open.deposit.clone();
        let reclaimed = self.chain.send(Address::ZERO, 0, &reclaimCall { deposit });
        assert!(reclaimed.is_ok());
        self.run_cases(&open, &none, seed, 2);
    }

    fn run_cases(&mut self, open: &OpenDeposit, proof: &Bytes, seed: B256, number: usize) {
        for _ in 0..number {
            let point = drawn(open, seed);
            let (packed, proof, caller) = self.random_case(open, proof, point);
            let state = self.chain.state(&open.deposit, caller, &proof);
            let sent = Sent {
                packed: &packed,
                proof: &proof,
                state: &state,
            };
            let judgement = judge_both(&mut self.chain, sent);
            self.counts[judgement.0 as usize] += 1;
            let sample = self.rng.random_ratio(1, 8);
            if judgement.0 == Outcome::Payable || sample {
                assert_redeem_matches(&mut self.chain, sent, judgement);
            }
            if sample {
                assert_batch_matches(&mut self.chain, sent, judgement);
            }
        }
    }

    fn random_case(&mut self, open: &OpenDeposit, proof: &Bytes, point: u128) -> Case {
        let rng = &mut self.rng;
        let payee = match rng.random_range(0..6) {
            0 => {
                let all: Vec<Address> = open.tree.iter().map(|(payee, _)| payee).collect();
                *pick(&all, rng)
            }
            1 => open.left_of(point),
            _ => open.tree.payee_at(Amount::new(point)).expect("a point"),
        };
        let mut total = open.total(rng, payee, point);
        let (mut spent, mut stream) = (total, None);
        if rng.random_ratio(1, 3) {
            let length = match rng.random_range(0..100) {
                0 => 4096,
                1..10 => 1,
                _ => rng.random_range(1..40),
            };
            let k = *pick(&[0, 1, length, rng.random_range(0..=length)], rng);
            let step = rng.random_range(1..=(total / u128::from(k.max(1))).max(1));
            spent = total.saturating_sub(step * u128::from(k));
            total = spent + step * u128::from(k);
            let stream_of = Stream::new(word(rng), length).expect("a length");
            stream = Some((stream_of, step, k));
        }
        let terms = stream.as_ref().map(|(stream, step, k)| (stream, *step, *k));
        let mut r = open.redemption(&self.chain, payee, spent, terms);
        let mut proof = proof.clone();
        let caller = mostly_first(&[payee, open.deposit.payer, account(rng)], rng);
        r.to = *pick(&[Address::ZERO, account(rng)], rng);
        r.consent = self.consent(open, payee, total, r.to);
        if self.rng.random_ratio(1, 8) {
            self.corrupt(open, &mut r, &mut proof);
        }
        let mut packed = generate::packed(&r);
        if self.rng.random_ratio(1, 64) {
            // Everything before the consent is required, so the bytes become malformed.
            let announced = packed.len() - r.consent.len();
            packed.truncate(self.rng.random_range(0..announced));
        }
        (packed, proof, caller)
    }

    /// Generates a consent, about half of them valid.
    fn consent(&mut self, open: &OpenDeposit, payee: Address, total: u128, to: Address) -> Bytes {
        let key = self.payees.key(payee);
        match self.rng.random_range(0..8) {
            0 => Bytes::new(),
            1 => generate::bytes(&mut self.rng, 70),
            2 => open.consent(&self.chain, key, total - 1, to),
            3 => open.consent(&self.chain, key, total, open.deposit.payer),
            4 => open.consent(&self.chain, &open.signer, total, to),
            _ => open.consent(&self.chain, key, total, to),
        }
    }

    /// Makes a single mistake in a redemption.
    fn corrupt(&mut self, open: &OpenDeposit, r: &mut Redemption, proof: &mut Bytes) {
        let rng = &mut self.rng;
        match rng.random_range(0..9) {
            0 => *proof = Bytes::new(),
            1 => *proof = generate::bytes(rng, 200),
            2 => *proof = self.chain.proof(open.deposit.drawTime + PERIOD),
            3 => r.path ^= U40::ONE << rng.random_range(0..10),
            4 => r.allowance = r.spent.max(1),
            5 => *r = open.redemption(&self.chain, r.payee, 0, None),
            6 => {
                let over = r.allowance.saturating_add(rng.random_range(1..3));
                *r = open.redemption(&self.chain, r.payee, over, None);
            }
            7 => r.x = word(rng),
            _ => {
                let other = *pick(&self.payees.0, rng).sign(word(rng)).as_bytes();
                r.signature = other.into();
            }
        }
    }
}

fn drawn(open: &OpenDeposit, seed: B256) -> u128 {
    roll(Seed(seed), open.id, Amount::new(open.deposit.amount)).get()
}
