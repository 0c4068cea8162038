//! The reference's vectors, the limits, and the documented bounds against a big-number oracle.

use super::*;
use dashu_float::{FBig, round::mode::HalfEven};
use proptest::prelude::*;

type Real = FBig<HalfEven, 2>;

fn at(octaves: u32) -> LogOffset {
    LogOffset::from_octaves(octaves)
}

/// Converts with 400 bits: the oracle's own error is far below every tested bound.
fn real(integer: u64) -> Real {
    Real::from(integer).with_precision(400).value()
}

/// Returns `base · 2^(exp - offset)` without rounding.
fn true_value(value: ExpiringValue, offset: LogOffset) -> Real {
    let fraction = real(offset.fraction().into()) * real(2).ln() / real(1 << 24);
    let octaves = value.exp as isize - offset.whole() as isize;
    (real(value.base) * (-fraction).exp()) << octaves
}

/// Returns a value after `add`, read at the offset of the change, and the net.
fn added(base: u64, exp: u64, amount: i64, octaves: u32) -> (u64, i64) {
    let mut value = ExpiringValue::new(base, exp);
    let net = value.add(amount, at(octaves));
    (value.value(at(octaves)), net)
}

#[test]
fn halves_with_every_octave() {
    let value = ExpiringValue::new(128, 0);
    assert_eq!(
        [0, 1, 2, 7, 8].map(|octaves| value.value(at(octaves))),
        [128, 64, 32, 1, 0]
    );
    let value = ExpiringValue::new(128, 2);
    assert_eq!(
        [0, 1, 2, 3].map(|octaves| value.value(at(octaves))),
        [512, 256, 128, 64]
    );
}

#[test]
fn reads_zero_64_octaves_later() {
    let value = ExpiringValue::new(u64::MAX, 0);
    assert_eq!(
        [63, 64, 65, 128].map(|octaves| value.value(at(octaves))),
        [1, 0, 0, 0]
    );
    assert_eq!(value.value(LogOffset::MAX), 0);
}

#[test]
fn reads_the_limit_too_far_before_the_offset() {
    assert_eq!(ExpiringValue::new(1, 62).value(at(0)), 1 << 62);
    for exp in [63, 64, 65, 1 << 40, u64::MAX] {
        assert_eq!(
            ExpiringValue::new(1, exp).value(at(0)),
            ExpiringValue::LIMIT
        );
        assert_eq!(ExpiringValue::new(0, exp).value(at(0)), 0);
    }
    assert_eq!(
        ExpiringValue::new(u64::MAX, 1).value(at(0)),
        ExpiringValue::LIMIT
    );
}

#[test]
fn adds_at_any_exponent() {
    assert_eq!(added(128, 0, 128, 0), (256, 128));
    assert_eq!(added(128, 2, 128, 0), (640, 128));
    assert_eq!(added(128, 0, 128, 1), (192, 128));
    assert_eq!(added(128, 2, 128, 1), (384, 128));
    assert_eq!(added(128, 2, 128, 3), (192, 128));
}

#[test]
fn subtracts_down_to_zero() {
    assert_eq!(added(128, 0, -64, 0), (64, -64));
    assert_eq!(added(128, 0, -192, 0), (0, -128));
    assert_eq!(added(128, 0, -64, 1), (0, -64));
    assert_eq!(added(128, 0, -128, 1), (0, -64));
    assert_eq!(added(128, 2, -128, 1), (128, -128));
    assert_eq!(added(128, 2, -128, 2), (0, -128));
    assert_eq!(added(128, 0, i64::MIN, 0), (0, -128));
}

#[test]
fn nets_whole_value_if_more_is_subtracted_before_offset() {
    assert_eq!(added(128, 2, -1_000, 0), (0, -512));
    assert_eq!(added(1, 40, i64::MIN, 0), (0, -(1 << 40)));
}

#[test]
fn caps_sum_at_the_limit_and_returns_the_net() {
    let limit = ExpiringValue::LIMIT;
    assert_eq!(added(limit - 5, 0, 5, 0), (limit, 5));
    assert_eq!(added(limit - 5, 0, 6, 0), (limit, 5));
    assert_eq!(added(0, 0, i64::MAX, 0), (limit, i64::MAX));
    assert_eq!(added(u64::MAX, 0, i64::MAX, 0), (limit, 0));
}

#[test]
fn ignores_addition_of_zero() {
    let mut value = ExpiringValue::new(12_345, 3);
    assert_eq!(value.add(0, at(9)), 0);
    assert_eq!(value, ExpiringValue::new(12_345, 3));
}

#[test]
fn combines_values_at_the_larger_exponent() {
    let after = |operation: fn(&mut ExpiringValue, ExpiringValue), a: (u64, u64), b: (u64, u64)| {
        let mut value = ExpiringValue::new(a.0, a.1);
        operation(&mut value, ExpiringValue::new(b.0, b.1));
        value
    };
    assert_eq!(
        after(ExpiringValue::add_exp, (128, 1), (128, 0)).value(at(0)),
        384
    );
    assert_eq!(
        after(ExpiringValue::add_exp, (128, 0), (128, 1)).value(at(0)),
        384
    );
    assert_eq!(
        after(ExpiringValue::add_exp, (128, 0), (128, 0)).value(at(1)),
        128
    );
    assert_eq!(
        after(ExpiringValue::sub_exp, (128, 1), (128, 0)).value(at(0)),
        128
    );
    assert_eq!(
        after(ExpiringValue::sub_exp, (128, 1), (128, 0)).value(at(1)),
        64
    );
    assert_eq!(
        after(ExpiringValue::sub_exp, (128, 0), (128, 1)).value(at(0)),
        0
    );

    let full = ExpiringValue::new(u64::MAX, 0);
    assert_eq!(after(ExpiringValue::add_exp, (1, 0), (u64::MAX, 0)), full);
    assert_eq!(
        after(ExpiringValue::add_exp, (5, 64), (u64::MAX, 0)),
        ExpiringValue::new(5, 64)
    );
    assert_eq!(
        after(ExpiringValue::sub_exp, (5, 64), (u64::MAX, 0)),
        ExpiringValue::new(5, 64)
    );
}

prop_compose! {
    /// Offsets of up to 80 octaves, including whole ones and their neighbours.
    fn offsets()(octaves in 0i64..80, steps in prop_oneof![Just(0), Just(1), Just((1 << 24) - 1), 0i64..1 << 24])
        -> LogOffset {
        LogOffset::from_steps((octaves << 24) + steps).unwrap()
    }
}

prop_compose! {
    /// Amounts of every size.
    fn amounts()(amount: u64, shift in 0u32..64) -> u64 {
        amount >> shift
    }
}

proptest! {
    #[test]
    fn reads_at_most_the_true_value_within_the_bound(
        base in amounts(), exp in 0u64..80, offset in offsets(),
    ) {
        let value = ExpiringValue::new(base, exp);
        let read = real(value.value(offset));
        let exact = true_value(value, offset);
        prop_assert!(read <= exact);
        let missing = exact - &read;
        // 1 + 2^-57
        let bound = real(1) + real(1) / real(1 << 57);
        prop_assert!(missing < bound || read == real(ExpiringValue::LIMIT), "{}", missing);
    }

    #[test]
    fn never_grows_as_time_passes(base in amounts(), exp in 0u64..80, offset in offsets(), later in 0i64..1 << 30) {
        let value = ExpiringValue::new(base, exp);
        let next = LogOffset::from_steps(offset.steps() + later).unwrap();
        prop_assert!(value.value(next) <= value.value(offset));
    }

    #[test]
    fn changes_value_by_exactly_the_net(
        base in amounts(), exp in 0u64..80, size in amounts(), negative: bool, offset in offsets(),
    ) {
        let size = i64::try_from(size >> 1).unwrap();
        let amount = if negative { -size } else { size };
        let mut value = ExpiringValue::new(base, exp);
        let before = i128::from(value.value(offset));
        let net = value.add(amount, offset);
        let after = i128::from(value.value(offset));

        prop_assert_eq!(after - before, i128::from(net));
        let wanted = (before + i128::from(amount)).clamp(0, ExpiringValue::LIMIT.into());
        prop_assert_eq!(after, wanted);
    }

    #[test]
    fn leaves_less_than_one_unit_above_the_value_read(amount in amounts(), offset in offsets()) {
        let amount = i64::try_from(amount >> 1).unwrap();
        let mut value = ExpiringValue::ZERO;
        prop_assert_eq!(value.add(amount, offset), amount);
        let over = true_value(value, offset) - real(amount.unsigned_abs());
        prop_assert!(over >= real(0) && over < real(1), "{}", over);
    }

    #[test]
    fn gains_nothing_from_splitting_a_sum(
        amounts in prop::collection::vec(0i64..1_000_000, 1..20), offset in offsets(),
    ) {
        let mut value = ExpiringValue::ZERO;
        for amount in &amounts {
            value.add(*amount, offset);
        }
        prop_assert_eq!(value.value(offset), u64::try_from(amounts.iter().sum::<i64>()).unwrap());
    }

    #[test]
    fn subtracts_all_parts_of_a_total(
        parts in prop::collection::vec((0u64..1 << 50, 0u64..20), 1..20),
    ) {
        let mut total = ExpiringValue::ZERO;
        for (base, exp) in &parts {
            total.add_exp(ExpiringValue::new(*base, *exp));
        }
        for (base, exp) in &parts {
            total.sub_exp(ExpiringValue::new(*base, *exp));
        }
        // Rounding may leave one unit of the largest exponent for each part.
        prop_assert!(total.base() <= parts.len() as u64);
    }
}
