//! Compares core and contract on random deposits, cheques, streams, headers and rolls.

use crate::{
    evm::{Evm, reclaimCall, recordSeedCall, rollOfCall},
    random::{TestRng, account, cases, pick, rng, word},
    support::comparison::{assert_batch_matches, assert_redeem_matches, judge_both},
    support::generate::{self, OpenDeposit, Payees, mostly_first},
};
use alloy_primitives::{Address, Bytes, U256, aliases::U40};
use cheque::{Amount, BankSnapshot, Outcome, Redemption, Seed, SeedSource, Stream, roll};
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

/// A packed redemption and its caller.
type Case = (Bytes, Address);

impl Run {
    fn new(source: SeedSource, seed: u64) -> Self {
        let mut rng = rng(seed);
        Self {
            chain: Evm::new(source, 1),
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
        for (outcome, &count) in counts.iter().enumerate() {
            // A `BlockHash` bank reads the seed without a header.
            let never = self.chain.source == SeedSource::BlockHash
                && outcome == Outcome::SeedUnknown as usize;
            assert_eq!(count == 0, never, "{outcome}: {counts:?}");
        }
        for outcome in [Outcome::Payable, Outcome::Loses, Outcome::ConsentMissing] {
            assert!(counts[outcome as usize] > cases / 20, "{counts:?}");
        }
    }
}

// Two runs, so that each uses a core.

#[test]
fn agrees_on_random_redemptions_and_pays_payable() {
    Run::new(SeedSource::PrevRandao, 1).run(cases(10_000));
}

#[test]
fn agrees_on_random_redemptions_of_other_deposits() {
    Run::new(SeedSource::PrevRandao, 2).run(cases(10_000));
}

#[test]
fn agrees_on_random_redemptions_with_block_hash_seed() {
    Run::new(SeedSource::BlockHash, 3).run(cases(2_000));
}

impl Run {
    /// Runs the cases of a deposit, from before its draw until it is reclaimed.
    fn run_deposit(&mut self) {
        let window = self.rng.random_range(1..5);
        let open = generate::open(&mut self.chain, &mut self.rng, &self.payees, 200, window);
        let early = Bytes::from_static(b"the draw block does not exist yet");
        self.run_cases(&open, &early, word, 3);
        self.chain.mine_to(open.deposit.drawBlock);
        self.run_cases(&open, &early, word, 2);
        let later = open.deposit.drawBlock + self.rng.random_range(1..=window);
        self.chain.mine_to(later);
        for _ in 0..8 {
            let header = generate::header(&mut self.rng, open.deposit.drawBlock);
            let (proof, seed) = open.draw(&mut self.chain, &header);
            self.run_cases(&open, &proof, |_| seed, 10);
        }
        let header = generate::header(&mut self.rng, open.deposit.drawBlock);
        let (proof, seed) = open.draw(&mut self.chain, &header);
        let record = recordSeedCall {
            blockNumber: U256::from(open.deposit.drawBlock),
            header: proof.clone(),
        };
        assert_eq!(self.chain.send(Address::ZERO, 0, &record).ok(), Some(seed));
        let deposit = open.deposit.clone();
        let contracts = self.chain.view(Address::ZERO, &rollOfCall { deposit });
        assert_eq!(contracts, drawn(&open, seed));
        self.run_cases(&open, &proof, |_| seed, 10);
        self.chain.mine_to(open.deposit.lastRedeemBlock + 1);
        self.run_cases(&open, &proof, |_| seed, 3);
        let deposit = open.deposit.clone();
        let reclaimed = self.chain.send(Address::ZERO, 0, &reclaimCall { deposit });
        assert!(reclaimed.is_ok());
        self.run_cases(&open, &proof, |_| seed, 2);
    }

    fn run_cases(
        &mut self,
        open: &OpenDeposit,
        header: &Bytes,
        seed: impl Fn(&mut TestRng) -> alloy_primitives::B256,
        number: usize,
    ) {
        let state = self.chain.state(&open.deposit, Address::ZERO);
        for _ in 0..number {
            let point = drawn(open, seed(&mut self.rng));
            let (packed, caller) = self.random_case(open, header, point);
            let state = BankSnapshot {
                caller,
                ..state.clone()
            };
            let judgement = judge_both(&mut self.chain, &packed, &state);
            self.counts[judgement.0 as usize] += 1;
            let sample = self.rng.random_ratio(1, 8);
            if judgement.0 == Outcome::Payable || sample {
                assert_redeem_matches(&mut self.chain, &packed, &state, judgement);
            }
            if sample {
                assert_batch_matches(&mut self.chain, &packed, &state, judgement);
            }
        }
    }

    fn random_case(&mut self, open: &OpenDeposit, header: &Bytes, point: u128) -> Case {
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
        r.header = header.clone();
        let caller = mostly_first(&[payee, open.deposit.payer, account(rng)], rng);
        r.to = *pick(&[Address::ZERO, account(rng)], rng);
        r.consent = self.consent(open, payee, total, r.to);
        if self.rng.random_ratio(1, 8) {
            self.corrupt(open, &mut r);
        }
        let mut packed = generate::packed(&r);
        if self.rng.random_ratio(1, 64) {
            // Everything before the consent is required, so the bytes become malformed.
            let announced = packed.len() - r.consent.len();
            packed.truncate(self.rng.random_range(0..announced));
        }
        (packed, caller)
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
    fn corrupt(&mut self, open: &OpenDeposit, r: &mut Redemption) {
        let rng = &mut self.rng;
        match rng.random_range(0..9) {
            0 => r.header = Bytes::new(),
            1 => r.header = generate::bytes(rng, 700),
            2 => r.header = generate::rlp(&generate::header(rng, open.deposit.drawBlock)),
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

fn drawn(open: &OpenDeposit, seed: alloy_primitives::B256) -> u128 {
    roll(Seed(seed), open.id, Amount::new(open.deposit.amount)).get()
}
