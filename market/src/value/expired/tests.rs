//! The reference's vectors, the limits, and the stated bounds against a big-number oracle.

use super::*;
use dashu_float::{FBig, round::mode::HalfEven};
use proptest::prelude::*;

type Real = FBig<HalfEven, 2>;

fn at(octaves: u32) -> LogOffset {
    LogOffset::from_octaves(octaves)
}

/// 400 bits, so that the oracle's own error is far below every bound that is tested.
fn real(integer: u64) -> Real {
    Real::from(integer).with_precision(400).value()
}

/// `base · 2^(exp - offset)` without rounding.
fn true_value(value: ExpiredValue, offset: LogOffset) -> Real {
    let fraction = real(offset.fraction().into()) * real(2).ln() / real(1 << 24);
    let octaves = value.exp as isize - offset.whole() as isize;
    (real(value.base) * (-fraction).exp()) << octaves
}

/// What a value is after `add`, read at the offset of the change, and the net.
fn added(base: u64, exp: u64, amount: i64, octaves: u32) -> (u64, i64) {
    let mut value = ExpiredValue::new(base, exp);
    let net = value.add(amount, at(octaves));
    (value.value(at(octaves)), net)
}

#[test]
fn a_value_halves_with_every_octave() {
    let value = ExpiredValue::new(128, 0);
    assert_eq!(
        [0, 1, 2, 7, 8].map(|octaves| value.value(at(octaves))),
        [128, 64, 32, 1, 0]
    );
    let value = ExpiredValue::new(128, 2);
    assert_eq!(
        [0, 1, 2, 3].map(|octaves| value.value(at(octaves))),
        [512, 256, 128, 64]
    );
}

#[test]
fn a_value_64_octaves_behind_is_nothing() {
    let value = ExpiredValue::new(u64::MAX, 0);
    assert_eq!(
        [63, 64, 65, 128].map(|octaves| value.value(at(octaves))),
        [1, 0, 0, 0]
    );
    assert_eq!(value.value(LogOffset::MAX), 0);
}

#[test]
fn a_value_too_far_ahead_ends_at_the_limit() {
    assert_eq!(ExpiredValue::new(1, 62).value(at(0)), 1 << 62);
    for exp in [63, 64, 65, 1 << 40, u64::MAX] {
        assert_eq!(ExpiredValue::new(1, exp).value(at(0)), ExpiredValue::LIMIT);
        assert_eq!(ExpiredValue::new(0, exp).value(at(0)), 0);
    }
    assert_eq!(
        ExpiredValue::new(u64::MAX, 1).value(at(0)),
        ExpiredValue::LIMIT
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
fn takes_away_no_more_than_there_is() {
    assert_eq!(added(128, 0, -64, 0), (64, -64));
    assert_eq!(added(128, 0, -192, 0), (0, -128));
    assert_eq!(added(128, 0, -64, 1), (0, -64));
    assert_eq!(added(128, 0, -128, 1), (0, -64));
    assert_eq!(added(128, 2, -128, 1), (128, -128));
    assert_eq!(added(128, 2, -128, 2), (0, -128));
    assert_eq!(added(128, 0, i64::MIN, 0), (0, -128));
}

#[test]
fn taking_too_much_from_a_value_ahead_of_the_offset_nets_all_of_it() {
    assert_eq!(added(128, 2, -1_000, 0), (0, -512));
    assert_eq!(added(1, 40, i64::MIN, 0), (0, -(1 << 40)));
}

#[test]
fn a_sum_ends_at_the_limit_and_the_net_says_so() {
    let limit = ExpiredValue::LIMIT;
    assert_eq!(added(limit - 5, 0, 5, 0), (limit, 5));
    assert_eq!(added(limit - 5, 0, 6, 0), (limit, 5));
    assert_eq!(added(0, 0, i64::MAX, 0), (limit, i64::MAX));
    assert_eq!(added(u64::MAX, 0, i64::MAX, 0), (limit, 0));
}

#[test]
fn adding_nothing_changes_nothing() {
    let mut value = ExpiredValue::new(12_345, 3);
    assert_eq!(value.add(0, at(9)), 0);
    assert_eq!(value, ExpiredValue::new(12_345, 3));
}

#[test]
fn two_values_combine_at_the_larger_exponent() {
    let after = |operation: fn(&mut ExpiredValue, ExpiredValue), a: (u64, u64), b: (u64, u64)| {
        let mut value = ExpiredValue::new(a.0, a.1);
        operation(&mut value, ExpiredValue::new(b.0, b.1));
        value
    };
    assert_eq!(
        after(ExpiredValue::add_exp, (128, 1), (128, 0)).value(at(0)),
        384
    );
    assert_eq!(
        after(ExpiredValue::add_exp, (128, 0), (128, 1)).value(at(0)),
        384
    );
    assert_eq!(
        after(ExpiredValue::add_exp, (128, 0), (128, 0)).value(at(1)),
        128
    );
    assert_eq!(
        after(ExpiredValue::sub_exp, (128, 1), (128, 0)).value(at(0)),
        128
    );
    assert_eq!(
        after(ExpiredValue::sub_exp, (128, 1), (128, 0)).value(at(1)),
        64
    );
    assert_eq!(
        after(ExpiredValue::sub_exp, (128, 0), (128, 1)).value(at(0)),
        0
    );

    let full = ExpiredValue::new(u64::MAX, 0);
    assert_eq!(after(ExpiredValue::add_exp, (1, 0), (u64::MAX, 0)), full);
    assert_eq!(
        after(ExpiredValue::add_exp, (5, 64), (u64::MAX, 0)),
        ExpiredValue::new(5, 64)
    );
    assert_eq!(
        after(ExpiredValue::sub_exp, (5, 64), (u64::MAX, 0)),
        ExpiredValue::new(5, 64)
    );
}

prop_compose! {
    /// Offsets of up to 80 octaves, whole ones and their neighbours among them.
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
    fn a_value_is_never_read_too_high_and_less_than_the_bound_too_low(
        base in amounts(), exp in 0u64..80, offset in offsets(),
    ) {
        let value = ExpiredValue::new(base, exp);
        let read = real(value.value(offset));
        let exact = true_value(value, offset);
        prop_assert!(read <= exact);
        let missing = exact - &read;
        // 1 + 2^-57
        let bound = real(1) + real(1) / real(1 << 57);
        prop_assert!(missing < bound || read == real(ExpiredValue::LIMIT), "{}", missing);
    }

    #[test]
    fn a_value_never_grows_as_time_passes(base in amounts(), exp in 0u64..80, offset in offsets(), later in 0i64..1 << 30) {
        let value = ExpiredValue::new(base, exp);
        let next = LogOffset::from_steps(offset.steps() + later).unwrap();
        prop_assert!(value.value(next) <= value.value(offset));
    }

    #[test]
    fn what_is_read_changes_by_exactly_the_net(
        base in amounts(), exp in 0u64..80, size in amounts(), negative: bool, offset in offsets(),
    ) {
        let size = i64::try_from(size >> 1).unwrap();
        let amount = if negative { -size } else { size };
        let mut value = ExpiredValue::new(base, exp);
        let before = i128::from(value.value(offset));
        let net = value.add(amount, offset);
        let after = i128::from(value.value(offset));

        prop_assert_eq!(after - before, i128::from(net));
        let wanted = (before + i128::from(amount)).clamp(0, ExpiredValue::LIMIT.into());
        prop_assert_eq!(after, wanted);
    }

    #[test]
    fn a_change_leaves_less_than_one_stored_unit_over_what_is_read(amount in amounts(), offset in offsets()) {
        let amount = i64::try_from(amount >> 1).unwrap();
        let mut value = ExpiredValue::ZERO;
        prop_assert_eq!(value.add(amount, offset), amount);
        let over = true_value(value, offset) - real(amount.unsigned_abs());
        prop_assert!(over >= real(0) && over < real(1), "{}", over);
    }

    #[test]
    fn no_value_comes_from_splitting_a_sum(
        amounts in prop::collection::vec(0i64..1_000_000, 1..20), offset in offsets(),
    ) {
        let mut value = ExpiredValue::ZERO;
        for amount in &amounts {
            value.add(*amount, offset);
        }
        prop_assert_eq!(value.value(offset), u64::try_from(amounts.iter().sum::<i64>()).unwrap());
    }

    #[test]
    fn what_was_added_to_a_total_can_be_taken_away_again(
        parts in prop::collection::vec((0u64..1 << 50, 0u64..20), 1..20),
    ) {
        let mut total = ExpiredValue::ZERO;
        for (base, exp) in &parts {
            total.add_exp(ExpiredValue::new(*base, *exp));
        }
        for (base, exp) in &parts {
            total.sub_exp(ExpiredValue::new(*base, *exp));
        }
        // Each part may leave one unit of the largest exponent over by being rounded.
        prop_assert!(total.base() <= parts.len() as u64);
    }
}
