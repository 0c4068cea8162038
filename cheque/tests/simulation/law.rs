//! The law of the payee's books: what payments are worth on arrival is, in the long run, what can be cashed.
//!
//! For each deposit the net cash is a random number that depends on the roll. Its expected value is the sum of
//! range / amount * max(0, payout - cost) over the payees, of which `receive_payment` credits the whole units. Its
//! variance follows from the same numbers, exactly: so the sum over many deposits must lie near the sum of the values,
//! and how near is known. All of this is integer arithmetic.

use crate::{
    common::{TestRng, account, cases, pick, rng, word},
    host::Host,
    payer::Payer,
};
use alloy_primitives::{Address, I256, U256};
use cheque::{Amount, Bank, Position, Rejection, Seed, roll};
use rand::Rng;

const HEAD: u64 = 1_000;
const DEPOSITS: usize = 2_000;

/// What came of some deposits, in token units.
#[derive(Default)]
struct Books {
    /// The sum of the values that `receive_payment` gave.
    values: U256,
    /// The same by a wrong rule, which forgets what it costs to redeem.
    values_without_cost: U256,
    /// Payouts of redeemed wins, less the cost to redeem them.
    net_cash: U256,
    /// The variance of the net cash, in square units.
    variance: U256,
    payments: usize,
    redeemed: usize,
    /// Wins that were not worth their redemption.
    lapsed: usize,
}

/// How far a sum of values is from the net cash.
struct Verdict {
    difference: I256,
    standard_error: U256,
}

impl Books {
    fn verdict(&self, values: U256) -> Verdict {
        let difference = I256::from_raw(values) - I256::from_raw(self.net_cash);
        Verdict {
            difference,
            // Rounded down, so the test is the stricter by it.
            standard_error: self.variance.root(2),
        }
    }

    /// Adds the books of one deposit: payments until shortly before the draw, then the draw.
    fn add_deposit(&mut self, rng: &mut TestRng) {
        let bank = Bank::new(31_337, Address::repeat_byte(0xba));
        let number = *pick(&[1, 2, 3, 5, 12], rng);
        let payees: Vec<Address> = (0..number).map(|_| account(rng)).collect();
        let whole = rng.random_range(500_000_000..2_000_000_000);
        let min_payout_of = *pick(
            &[
                |_| 0,
                |amount| amount / 50,
                |amount| amount / 4,
                |amount| amount,
            ],
            rng,
        );
        let allowances = uneven(rng, whole, number);
        let pairs = payees.iter().copied().zip(allowances);
        let mut payer = Payer::new(rng, bank, pairs, min_payout_of, HEAD + 500);
        let positions: Vec<Position> = payees
            .iter()
            .filter_map(|&payee| self.pay_some(rng, &mut payer, payee))
            .collect();
        self.draw(&payer, &positions, Seed(word(rng)));
    }

    /// Pays one payee a few times, or not at all. Returns what the payee holds in the end.
    fn pay_some(
        &mut self,
        rng: &mut TestRng,
        payer: &mut Payer,
        payee: Address,
    ) -> Option<Position> {
        let mut host = Host::new(payee, payer.bank);
        host.policy.min_payout_per_cost = 0;
        let allowance = payer.account(payee).allowance().get();
        let payout = payer.deposit.minPayout.max(payer.deposit.amount / 10);
        for _ in 0..*pick(&[0, 1, 2, 4], rng) {
            let most = (allowance >> rng.random_range(0..4)).max(1);
            if payer.pay(rng, payee, most).is_err() {
                continue;
            }
            // The cost that counts is that of the first payment; later it may be anything.
            let cost = Amount::new(rng.random_range(1..payout / 2));
            let view = payer.view(HEAD, cost);
            let first = host.positions().next().is_none();
            let proofs = payer.proofs(payee, first || rng.random_ratio(1, 4));
            for proof in proofs {
                let value = match host.receive(proof, &view) {
                    Ok(value) => value,
                    // The cheque of a step that came before.
                    Err(Rejection::Replay | Rejection::Stale { .. }) => continue,
                    Err(other) => panic!("{other}"),
                };
                self.values += value.to_u256();
                self.payments += 1;
            }
        }
        host.assert_balances_are_the_value_of_all_totals();
        host.positions().next()
    }

    /// The draw decides, and the winner redeems where it pays.
    fn draw(&mut self, payer: &Payer, positions: &[Position], seed: Seed) {
        let amount = U256::from(payer.deposit.amount);
        let point = roll(seed, payer.id, Amount::new(payer.deposit.amount));
        let mut winners = 0;
        // Sums of range * net and of range * net^2, for the mean and the variance.
        let (mut first, mut second) = (U256::ZERO, U256::ZERO);
        for position in positions {
            let Some(payout) = position.payout() else {
                continue;
            };
            let net = payout
                .amount
                .saturating_sub(position.redeem_cost())
                .to_u256();
            let range = payout.range.to_u256();
            first += range * net;
            second += range * net * net;
            self.values_without_cost += range * payout.amount.to_u256() / amount;
            if payout.wins(position.start(), point) {
                winners += 1;
                self.net_cash += net;
                if net.is_zero() {
                    self.lapsed += 1;
                } else {
                    self.redeemed += 1;
                }
            }
        }
        assert!(winners <= 1);
        // E[X^2] - E[X]^2 with the common denominator amount^2.
        self.variance += (second * amount - first * first) / (amount * amount);
    }
}

/// Shares of about `whole`, some of them many times as large as others.
fn uneven(rng: &mut TestRng, whole: u128, number: usize) -> Vec<Amount> {
    let weights: Vec<u128> = (0..number).map(|_| 1 << rng.random_range(0..8)).collect();
    let all: u128 = weights.iter().sum();
    let share = |weight| Amount::new(whole * weight / all);
    weights.into_iter().map(share).collect()
}

fn books(seed: u64) -> Books {
    let rng = &mut rng(seed);
    let mut books = Books::default();
    // Fewer say too little to find a wrong rule out.
    for _ in 0..cases(DEPOSITS).max(DEPOSITS) {
        books.add_deposit(rng);
    }
    books
}

impl Verdict {
    fn exceeds(&self, standard_errors: u64) -> bool {
        self.difference.unsigned_abs() > self.standard_error * U256::from(standard_errors)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error = I256::from_raw(self.standard_error);
        let hundredths = self.difference * I256::unchecked_from(100) / error;
        write!(
            f,
            "difference {} units, standard error {error} units: {hundredths} hundredths of it",
            self.difference,
        )
    }
}

#[test]
#[allow(
    clippy::disallowed_macros,
    reason = "the numbers are what this test is about"
)]
fn sum_of_all_values_is_the_net_cash_within_three_standard_errors() {
    let books = books(1);
    let verdict = books.verdict(books.values);
    println!(
        "{} payments worth {}, net cash {} from {} redemptions ({} wins lapsed); {verdict}",
        books.payments, books.values, books.net_cash, books.redeemed, books.lapsed,
    );
    assert!(!verdict.exceeds(3), "{verdict}");
    assert!(books.redeemed > 200 && books.lapsed > 20);

    // The same statistic finds a rule out that is wrong.
    let wrong = books.verdict(books.values_without_cost);
    println!("forgetting the cost to redeem: {wrong}");
    assert!(wrong.exceeds(3), "{wrong}");
}
