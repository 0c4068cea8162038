use super::super::meter::Meter;
use super::*;
use proptest::prelude::*;

#[test]
fn one_of_32_equal_allowances_pays_for_half_of_the_fee_over_19_20ths() {
    let mut meter = Meter::new(1_900, 3_200);
    meter.cover(100, 0, 100);
    assert_eq!(meter.charged(), 1_000);
    assert!(!meter.is_full());
}

#[test]
fn a_sixteenth_of_the_deposit_pays_the_fee_off_when_19_20ths_of_it_are_spent() {
    let mut meter = Meter::new(1_000_000, 1_600);
    meter.cover(100, 0, 94);
    assert_eq!(meter.charged(), 989_473);
    meter.cover(100, 94, 95);
    assert_eq!(meter.charged(), 1_000_000);
    assert!(meter.is_full());
}

#[test]
fn a_bucket_counts_up_to_a_sixteenth_of_the_deposit() {
    // The first quarter of one allowance that is nearly the whole deposit fills 16 of 64 buckets.
    let mut meter = Meter::new(1_900, 6_400);
    meter.cover(6_400, 0, 1_600);
    assert_eq!(meter.charged(), 500);
    // Others that cross the same buckets pay nothing.
    meter.cover(64, 0, 16);
    assert_eq!(meter.charged(), 500);
}

#[test]
fn a_deposit_without_a_fee_is_charged_off_like_any_other() {
    let mut meter = Meter::new(0, 100);
    assert!(!meter.is_full());
    meter.cover(100, 0, 100);
    assert!(meter.is_full());
    assert_eq!(meter.charged(), 0);
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    let mut meter = Meter::new(u128::MAX, u128::MAX);
    meter.cover(u128::MAX, 0, u128::MAX / 2);
    let half = meter.charged();
    assert!(half > u128::MAX / 2 && half < u128::MAX);
    meter.cover(u128::MAX, u128::MAX / 2, u128::MAX);
    assert_eq!(meter.charged(), u128::MAX);
}

/// The charge by the formula, coverage being counted one 64th of a unit at a time.
fn charge_by_counting(fee: u128, size: u128, spent: &[(u128, u128)]) -> u128 {
    let mut buckets = [0u128; 64];
    for (total, spent) in spent {
        for position in 0..spent * 64 {
            buckets[usize::try_from(position / total).unwrap()] += 1;
        }
    }
    let counted: u128 = buckets.iter().map(|bucket| (bucket * 16).min(size)).sum();
    (fee * counted * 100 / (64 * size * 95)).min(fee)
}

proptest! {
    #[test]
    fn the_charge_is_that_of_the_formula_monotone_and_capped(
        fee in 0u128..1 << 40,
        payments in prop::collection::vec((0usize..6, 1u128..20), 1..60),
        totals in prop::collection::vec(1u128..60, 6),
    ) {
        let size = totals.iter().sum();
        let mut meter = Meter::new(fee, size);
        let mut spent: Vec<(u128, u128)> = totals.iter().map(|total| (*total, 0)).collect();
        let mut before = 0;
        for (node, amount) in payments {
            let (total, from) = spent[node];
            let to = (from + amount).min(total);
            meter.cover(total, from, to);
            spent[node].1 = to;
            let charged = meter.charged();
            prop_assert_eq!(charged, charge_by_counting(fee, size, &spent));
            prop_assert!(before <= charged && charged <= fee);
            before = charged;
        }
    }

    #[test]
    fn the_fees_of_payments_add_up_to_what_is_charged(
        payments in prop::collection::vec((0u8..8, 1u128..1 << 38), 1..80),
        fee in 0u128..1 << 50,
    ) {
        let mut composer = Nodes::new();
        next(&mut composer, 8, 1, fee);
        let mut fees = 0;
        for (node, most) in payments {
            let Ok(quote) = composer.quote(&[node], 1, most, 0) else { continue };
            prop_assert_eq!(composer.estimate_cost(&[node], quote.amount(), 0), Ok(quote.cost()));
            composer.record(&quote).unwrap();
            fees += quote.fee();
            prop_assert_eq!(composer.charged(), Some((fees, fee)));
            let mut again = restarted(&composer);
            again.revision = composer.revision;
            prop_assert_eq!(&again, &composer);
        }
    }
}
