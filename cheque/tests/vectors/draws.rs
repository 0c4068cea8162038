//! Checks rolls.json and payouts.json: rolls, payouts and values.

use crate::file::{Int, deposit_of, vectors};
use alloy_primitives::B256;
use cheque::{Amount, DepositId, Payout, Seed, payout, roll};
use serde::Deserialize;

#[derive(Deserialize)]
struct Rolls {
    rolls: Vec<RollVector>,
}

#[derive(Deserialize)]
struct RollVector {
    amount: Amount,
    id: DepositId,
    seed: B256,
    roll: Amount,
}

#[test]
fn computes_rolls_up_to_both_ends_of_deposit() {
    let vectors: Rolls = vectors!("rolls");
    for v in &vectors.rolls {
        assert_eq!(roll(Seed(v.seed), v.id, v.amount), v.roll, "{}", v.amount);
    }
    let small = || vectors.rolls.iter().filter(|v| v.amount.get() == 10_001);
    assert!(small().any(|v| v.roll.is_zero()));
    assert!(small().any(|v| v.roll.get() == 10_000));
}

#[derive(Deserialize)]
struct Payouts {
    payouts: Vec<PayoutVector>,
    wins: Vec<Win>,
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terms {
    amount: Amount,
    allowance: Amount,
    min_payout: Amount,
    spent: Amount,
}

impl Terms {
    fn payout(&self) -> Option<Payout> {
        let deposit = deposit_of(B256::ZERO, self.amount.get(), self.min_payout.get());
        payout(self.spent, self.allowance, &deposit)
    }
}

#[derive(Deserialize)]
struct PayoutVector {
    #[serde(flatten)]
    terms: Terms,
    payout: Amount,
    range: Amount,
}

#[derive(Deserialize)]
struct Win {
    start: Amount,
    range: Amount,
    roll: Amount,
    wins: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    #[serde(flatten)]
    terms: Terms,
    redeem_cost: Amount,
    value: Int<u128>,
}

#[test]
fn computes_payouts_and_ranges_around_min_payout() {
    let vectors: Payouts = vectors!("payouts");
    assert!(!vectors.payouts.is_empty());
    for v in vectors.payouts {
        let (payout, range) = (v.payout, v.range);
        assert_eq!(
            v.terms.payout(),
            Some(Payout {
                amount: payout,
                range
            })
        );
    }
}

#[test]
fn wins_from_start_to_before_end_of_range() {
    let vectors: Payouts = vectors!("payouts");
    assert!(vectors.wins.iter().any(|v| v.wins) && vectors.wins.iter().any(|v| !v.wins));
    for v in vectors.wins {
        let payout = Payout {
            amount: Amount::MAX,
            range: v.range,
        };
        assert_eq!(
            payout.wins(v.start, v.roll),
            v.wins,
            "{} in {}",
            v.roll,
            v.start
        );
    }
}

#[test]
fn computes_values_net_of_redeem_cost() {
    let vectors: Payouts = vectors!("payouts");
    assert!(!vectors.values.is_empty());
    for v in vectors.values {
        let value = v
            .terms
            .payout()
            .unwrap()
            .expected_value(v.terms.amount, v.redeem_cost);
        assert_eq!(
            value.get(),
            v.value.0,
            "{} at {}",
            v.terms.spent,
            v.redeem_cost
        );
    }
}
