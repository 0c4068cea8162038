//! Compares the credited values of many payments with the cash from redeeming their wins: both are equal in the long
//! run.
//!
//! The net cash of a deposit is a random number that depends on the roll. Its expected value is the sum of
//! range / amount * max(0, payout - cost) over the payees; `receive_payment` credits the whole units. The variance
//! follows exactly from the same numbers, so the distance between both sums over many deposits has a known bound. All
//! arithmetic is in integers.

use crate::{
    random::{TestRng, account, cases, pick, rng},
    support::{payee::Payee, payer::Payer},
};
use alloy_primitives::{Address, I256, U256};
use cheque::{Amount, Bank, LocalBeacon, Position, Rejection, Seed, roll};
use rand::Rng;

/// The time of all payments, and of the first draw.
const NOW: u64 = 1_800_000_000;
const FIRST_DRAW: u64 = NOW + 500;

/// Seconds between the rounds of the beacon.
const PERIOD: u64 = 3;
const DEPOSITS: usize = 2_000;

/// Sums over deposits, in token units.
#[derive(Default)]
struct Totals {
    /// The sum of the values returned by `receive_payment`.
    values: U256,
    /// The sum by a wrong rule without the cost to redeem.
    values_without_cost: U256,
    /// Payouts of redeemed wins minus their redeem costs.
    net_cash: U256,
    /// The variance of the net cash, in square units.
    variance: U256,
    payments: usize,
    redeemed: usize,
    /// Wins below their redeem cost, not redeemed.
    not_redeemed: usize,
}

/// Distance of a sum of values from the net cash.
struct Deviation {
    difference: I256,
    standard_error: U256,
}

impl Totals {
    fn deviation(&self, values: U256) -> Deviation {
        let difference = I256::from_raw(values) - I256::from_raw(self.net_cash);
        Deviation {
            difference,
            // Rounded down, which makes the test stricter.
            standard_error: self.variance.root(2),
        }
    }

    /// Adds a deposit: payments until shortly before the draw, then the draw by a round of the beacon.
    fn add_deposit(&mut self, rng: &mut TestRng, beacon: &LocalBeacon, draw_time: u64) {
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
        let mut payer = Payer::new(rng, bank, pairs, min_payout_of, draw_time);
        let positions: Vec<Position> = payees
            .iter()
            .filter_map(|&payee| self.pay_some(rng, &mut payer, payee))
            .collect();
        let round = beacon.beacon().round_at(draw_time).unwrap();
        let round = beacon.round(round).unwrap();
        self.draw(&payer, &positions, round.seed());
    }

    /// Pays a payee up to four times. Returns the payee's position.
    fn pay_some(
        &mut self,
        rng: &mut TestRng,
        payer: &mut Payer,
        payee: Address,
    ) -> Option<Position> {
        let mut payee_app = Payee::new(payee, payer.bank);
        payee_app.policy.min_payout_per_cost = 0;
        let allowance = payer.account(payee).allowance().get();
        let payout = payer.deposit.minPayout.max(payer.deposit.amount / 10);
        for _ in 0..*pick(&[0, 1, 2, 4], rng) {
            let max = (allowance >> rng.random_range(0..4)).max(1);
            if payer.pay(rng, payee, max).is_err() {
                continue;
            }
            // Only the redeem cost at the first payment counts; later costs are arbitrary.
            let cost = Amount::new(rng.random_range(1..payout / 2));
            let view = payer.view(NOW, cost);
            let first = payee_app.positions().next().is_none();
            let proofs = payer.proofs(payee, first || rng.random_ratio(1, 4));
            for proof in proofs {
                let value = match payee_app.receive(proof, &view) {
                    Ok(value) => value,
                    // The step after this cheque arrived earlier.
                    Err(Rejection::Replay | Rejection::Stale { .. }) => continue,
                    Err(other) => panic!("{other}"),
                };
                self.values += value.to_u256();
                self.payments += 1;
            }
        }
        payee_app.assert_balances_match_totals();
        payee_app.positions().next()
    }

    /// Draws, and redeems the win if its payout exceeds the redeem cost.
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
                    self.not_redeemed += 1;
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

/// Splits about `whole` into shares of very different sizes.
fn uneven(rng: &mut TestRng, whole: u128, number: usize) -> Vec<Amount> {
    let weights: Vec<u128> = (0..number).map(|_| 1 << rng.random_range(0..8)).collect();
    let all: u128 = weights.iter().sum();
    let share = |weight| Amount::new(whole * weight / all);
    weights.into_iter().map(share).collect()
}

fn totals(seed: u64) -> Totals {
    let rng = &mut rng(seed);
    let mut totals = Totals::default();
    let beacon = LocalBeacon::new(&[8; 32], FIRST_DRAW, PERIOD).unwrap();
    // Fewer deposits would not expose a wrong rule.
    for number in 0..cases(DEPOSITS).max(DEPOSITS) {
        totals.add_deposit(rng, &beacon, FIRST_DRAW + PERIOD * number as u64);
    }
    totals
}

impl Deviation {
    fn exceeds(&self, standard_errors: u64) -> bool {
        self.difference.unsigned_abs() > self.standard_error * U256::from(standard_errors)
    }
}

impl std::fmt::Display for Deviation {
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
    reason = "the numbers are the result of this test"
)]
fn values_match_net_cash_within_three_standard_errors() {
    let totals = totals(1);
    let deviation = totals.deviation(totals.values);
    println!(
        "{} payments worth {}, net cash {} from {} redemptions ({} wins not redeemed); {deviation}",
        totals.payments, totals.values, totals.net_cash, totals.redeemed, totals.not_redeemed,
    );
    assert!(!deviation.exceeds(3), "{deviation}");
    assert!(totals.redeemed > 200 && totals.not_redeemed > 20);

    // The same statistic detects a wrong rule.
    let wrong = totals.deviation(totals.values_without_cost);
    println!("without the cost to redeem: {wrong}");
    assert!(wrong.exceeds(3), "{wrong}");
}
