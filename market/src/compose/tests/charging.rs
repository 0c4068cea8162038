use super::super::meter::Meter;
use super::*;
use proptest::prelude::*;

#[test]
fn charges_half_the_fee_over_19_20ths_for_1_of_32_allowances() {
    let mut meter = Meter::new(1_900, 3_200);
    meter.cover(100, 0, 100);
    assert_eq!(meter.charged(), 1_000);
    assert!(!meter.is_full());
}

#[test]
fn charges_whole_fee_at_19_20ths_of_a_16th_of_the_deposit() {
    let mut meter = Meter::new(1_000_000, 1_600);
    meter.cover(100, 0, 94);
    assert_eq!(meter.charged(), 989_473);
    meter.cover(100, 94, 95);
    assert_eq!(meter.charged(), 1_000_000);
    assert!(meter.is_full());
}

#[test]
fn caps_bucket_at_a_sixteenth_of_the_deposit() {
    // The first quarter of one allowance that is nearly the whole deposit fills 16 of 64 buckets.
    let mut meter = Meter::new(1_900, 6_400);
    meter.cover(6_400, 0, 1_600);
    assert_eq!(meter.charged(), 500);
    // Payments from other allowances in the same buckets are free.
    meter.cover(64, 0, 16);
    assert_eq!(meter.charged(), 500);
}

#[test]
fn fills_meter_without_a_fee() {
    let mut meter = Meter::new(0, 100);
    assert!(!meter.is_full());
    meter.cover(100, 0, 100);
    assert!(meter.is_full());
    assert_eq!(meter.charged(), 0);
}

#[test]
fn charges_largest_amounts_without_overflow() {
    let mut meter = Meter::new(u128::MAX, u128::MAX);
    meter.cover(u128::MAX, 0, u128::MAX / 2);
    let half = meter.charged();
    assert!(half > u128::MAX / 2 && half < u128::MAX);
    meter.cover(u128::MAX, u128::MAX / 2, u128::MAX);
    assert_eq!(meter.charged(), u128::MAX);
}

/// Returns the charge by the formula, counting coverage in 64ths of a unit.
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
    fn charges_by_the_formula_monotonically_up_to_the_fee(
        fee in 0u128..1 << 40,
        payments in prop::collection::vec((0usize..6, 1u128..20), 1..60),
        totals in prop::collection::vec(1u128..60, 6),
    ) {
        let size = totals.iter().sum();
        let mut meter = Meter::new(fee, size);
        let mut spent: Vec<(u128, u128)> = totals.iter().map(|total| (*total, 0)).collect();
        let mut before = 0;
        for (provider, amount) in payments {
            let (total, from) = spent[provider];
            let to = (from + amount).min(total);
            meter.cover(total, from, to);
            spent[provider].1 = to;
            let charged = meter.charged();
            prop_assert_eq!(charged, charge_by_counting(fee, size, &spent));
            prop_assert!(before <= charged && charged <= fee);
            before = charged;
        }
    }

    #[test]
    fn sums_fees_of_payments_to_the_charged_fee(
        payments in prop::collection::vec((0u8..8, 1u128..1 << 38), 1..80),
        fee in 0u128..1 << 50,
    ) {
        let mut composer = TestComposer::new();
        next(&mut composer, 8, 1, fee);
        let mut fees = 0;
        for (provider, max) in payments {
            let Ok(quote) = composer.quote(&[provider], 1, max, 0) else { continue };
            prop_assert_eq!(composer.payment_cost(&[provider], quote.amount(), 0), Ok(quote.cost()));
            composer.record(&quote).unwrap();
            fees += quote.fee();
            prop_assert_eq!(composer.charged(), Some((fees, fee)));
            let mut again = restarted(&composer);
            again.revision = composer.revision;
            prop_assert_eq!(&again, &composer);
        }
    }
}
