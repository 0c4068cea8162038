//! Payers beside crowds of newcomers, who pay for one request each.

use super::*;
use std::collections::BTreeMap;

/// The price of a request of 100 units.
const PRICE: u128 = 1_000;

fn ask(cost: u64) -> Demand {
    Demand {
        cost,
        bytes: 1,
        price: PRICE,
    }
}

/// Serves `seconds` in which a payer of `paid` prices always has ten requests waiting, and returns the units of the
/// payer, and the most units that one newcomer got. `crowd` newcomers ask at the beginning, and as many with new names in
/// each later second if `again`.
fn served_beside(crowd: u16, again: bool, paid: u128, seconds: u64) -> (u64, u64) {
    const PAYER: u16 = u16::MAX;
    let mut admission = Admission::<u16>::new(settings(), 0).unwrap();
    admission.paid(&PAYER, rich(), paid * PRICE, 0);
    assert!(is_served(&admission.request(&PAYER, rich(), ask(990), 0)));
    let (mut waiting, mut units) = (BTreeMap::new(), BTreeMap::<u16, u64>::new());
    for now in (0..seconds * SECOND).step_by(10_000_000) {
        // The crowd is first.
        if now == 0 || again && now % SECOND == 0 {
            let from = u16::try_from(now / SECOND).unwrap() * crowd;
            for newcomer in from..from + crowd {
                if let Ok(Decision::Wait(ticket)) =
                    admission.request(&newcomer, rich(), ask(100), now)
                {
                    waiting.insert(ticket, newcomer);
                }
            }
        }
        while waiting
            .values()
            .filter(|account| **account == PAYER)
            .count()
            < 10
        {
            match admission.request(&PAYER, rich(), ask(100), now) {
                Ok(Decision::Wait(ticket)) => waiting.insert(ticket, PAYER),
                other => panic!("{other:?}"),
            };
        }
        for outcome in admission.poll(now) {
            let (Outcome::Serve(ticket, _) | Outcome::Refuse(ticket, _)) = outcome;
            let account = waiting.remove(&ticket).unwrap();
            if let Outcome::Serve(..) = outcome {
                *units.entry(account).or_default() += 100;
            }
        }
    }
    let payer = units.remove(&PAYER).unwrap_or(0);
    (payer, units.into_values().max().unwrap_or(0))
}

#[test]
fn leaves_a_payer_its_share_beside_500_newcomers() {
    // The payer has paid as much as all of them, and has half of the capacity at least.
    let (payer, newcomer) = served_beside(500, false, 500, 2);
    assert!(payer >= 9_800, "{payer}");
    assert!(newcomer <= 100, "{newcomer}");
}

#[test]
fn leaves_a_payer_its_share_beside_endless_newcomers() {
    // Five hundred new names a second: at most a thousand wait at the same time, for two seconds.
    let (payer, newcomer) = served_beside(500, true, 1_000, 10);
    assert!(payer >= 49_000, "{payer}");
    assert!(newcomer <= 100, "{newcomer}");
}

#[test]
fn serves_newcomers_that_pay_as_much_alike() {
    let (payer, newcomer) = served_beside(50, false, 1, 10);
    assert_eq!(newcomer, 100);
    assert!(payer >= 85_000, "{payer}");
}
