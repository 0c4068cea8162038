//! The reference's persistence vector, changes of rate, limits, and the documented bounds against a big-number
//! oracle.

use super::super::ExpiringValue;
use super::*;
use dashu_float::{FBig, round::mode::HalfEven};
use proptest::prelude::*;

type Real = FBig<HalfEven, 2>;

const HOUR: u64 = 3_600_000_000_000;

fn ns(ns: u64) -> NonZeroU64 {
    NonZeroU64::new(ns).unwrap()
}

fn half_life(of: u64) -> ExpirationRate {
    ExpirationRate::from_half_life(ns(of))
}

fn new(rate: ExpirationRate) -> Expirer {
    Expirer::load(None, rate, 0).unwrap()
}

fn octaves(octaves: u32) -> LogOffset {
    LogOffset::from_octaves(octaves)
}

/// Converts with 400 bits: the oracle's own error is far below every tested bound.
fn real(integer: u64) -> Real {
    Real::from(integer).with_precision(400).value()
}

fn distance(offset: LogOffset, steps: &Real) -> Real {
    let difference = real(offset.steps().unsigned_abs()) - steps;
    if difference < real(0) {
        -difference
    } else {
        difference
    }
}

#[test]
fn restores_values_and_offsets_after_a_restart() {
    let (mut positive, mut negative) = (ExpiringValue::ZERO, ExpiringValue::ZERO);
    let expirers = (new(half_life(2 * HOUR)), new(half_life(HOUR)));
    positive.add(16_000_000_000, expirers.0.offset_at(0));
    negative.add(16_000_000_000, expirers.1.offset_at(0));
    let now = 2 * HOUR;
    assert_eq!(positive.value(expirers.0.offset_at(now)), 8_000_000_000);
    assert_eq!(negative.value(expirers.1.offset_at(now)), 4_000_000_000);

    let stored = (expirers.0.to_bytes(now), expirers.1.to_bytes(now));
    // The clock of the next run starts elsewhere.
    let start = 77 * HOUR;
    let first = Expirer::load(Some(&stored.0), half_life(2 * HOUR), start).unwrap();
    let second = Expirer::load(Some(&stored.1), half_life(HOUR), start).unwrap();
    assert_eq!(positive.value(first.offset_at(start)), 8_000_000_000);
    assert_eq!(negative.value(second.offset_at(start)), 4_000_000_000);
    assert_eq!(
        positive.value(first.offset_at(start + 2 * HOUR)),
        4_000_000_000
    );
    assert_eq!(
        negative.value(second.offset_at(start + 2 * HOUR)),
        1_000_000_000
    );
}

#[test]
fn rejects_bytes_that_are_no_offset() {
    let load = |bytes: &[u8]| Expirer::load(Some(bytes), ExpirationRate::NEVER, 0);
    assert_eq!(
        load(&[0x80; 8]).unwrap_err(),
        LogOffset::from_bytes(&[0x80; 8]).unwrap_err()
    );
    assert_eq!(load(&[0; 16]), Err(LoadOffsetError::Length { length: 16 }));
}

#[test]
fn keeps_offset_at_rate_never() {
    assert_eq!(
        new(ExpirationRate::NEVER).offset_at(u64::MAX),
        LogOffset::ZERO
    );
}

#[test]
fn counts_earlier_time_at_the_old_rate() {
    let mut expirer = new(half_life(HOUR));
    expirer.set_rate(half_life(4 * HOUR), 3 * HOUR);
    assert_eq!(expirer.offset_at(3 * HOUR), octaves(3));
    assert_eq!(expirer.offset_at(11 * HOUR), octaves(5));
    expirer.set_rate(ExpirationRate::NEVER, 11 * HOUR);
    assert_eq!(expirer.offset_at(99 * HOUR), octaves(5));
}

#[test]
fn loses_no_time_by_changing_rate_every_microsecond() {
    let mut expirer = new(half_life(HOUR));
    for now in 1..=1_000_000 {
        expirer.set_rate(half_life(HOUR), now * 1_000);
    }
    assert_eq!(
        expirer.offset_at(1_000_000_000),
        new(half_life(HOUR)).offset_at(1_000_000_000)
    );
}

#[test]
fn jumps_to_the_given_offset() {
    let mut expirer = new(half_life(HOUR));
    expirer.set_offset(octaves(7), 5 * HOUR);
    assert_eq!(expirer.offset_at(5 * HOUR), octaves(7));
    assert_eq!(expirer.offset_at(6 * HOUR), octaves(8));
    expirer.set_offset(LogOffset::ZERO, 6 * HOUR);
    assert_eq!(expirer.offset_at(7 * HOUR), octaves(1));
}

#[test]
fn ignores_a_clock_that_goes_back() {
    let mut expirer = new(half_life(HOUR));
    expirer.set_rate(half_life(HOUR), 5 * HOUR);
    expirer.set_rate(half_life(HOUR), 2 * HOUR);
    assert_eq!(expirer.offset_at(0), octaves(5));
    assert_eq!(expirer.offset_at(5 * HOUR), octaves(5));
    assert_eq!(expirer.offset_at(6 * HOUR), octaves(6));
}

#[test]
fn stays_at_the_largest_offset() {
    let mut expirer = new(half_life(1));
    assert_eq!(expirer.offset_at((1 << 39) - 1).whole(), (1 << 39) - 1);
    assert_eq!(expirer.offset_at(1 << 39), LogOffset::MAX);
    assert_eq!(expirer.offset_at(u64::MAX), LogOffset::MAX);
    expirer.set_rate(half_life(1), u64::MAX);
    assert_eq!(expirer.offset_at(u64::MAX), LogOffset::MAX);
}

#[test]
fn scales_a_rate() {
    let offset = |rate: ExpirationRate| new(rate).offset_at(8 * HOUR);
    assert_eq!(offset(half_life(HOUR).scaled(1, ns(4))), octaves(2));
    assert_eq!(offset(half_life(HOUR).scaled(0, ns(4))), LogOffset::ZERO);
    assert_eq!(half_life(HOUR).scaled(7, ns(7)), half_life(HOUR));
}

proptest! {
    #[test]
    fn keeps_half_life_within_one_step_over_any_time(half in 1u64.., elapsed: u64, shift in 0u32..64) {
        let elapsed = elapsed >> shift;
        let exact = real(elapsed) * real(1 << 24) / real(half);
        prop_assume!(exact < real(i64::MAX as u64));
        // Half a step by the rate, half a step by rounding.
        prop_assert!(distance(new(half_life(half)).offset_at(elapsed), &exact) <= real(1));
    }

    #[test]
    fn keeps_time_constant_within_one_step_over_any_time(constant in 1u64.., elapsed: u64, shift in 0u32..64) {
        let elapsed = elapsed >> shift;
        let exact = real(elapsed) * real(1 << 24) / (real(constant) * real(2).ln());
        prop_assume!(exact < real(i64::MAX as u64));
        let rate = ExpirationRate::from_time_constant(ns(constant));
        prop_assert!(distance(new(rate).offset_at(elapsed), &exact) <= real(1));
    }

    #[test]
    fn never_lowers_offset_as_time_passes(
        changes in prop::collection::vec((1u64..1_000_000_000, 0u64..1 << 50), 1..30),
    ) {
        let mut expirer = new(ExpirationRate::NEVER);
        let (mut now, mut offset) = (0, LogOffset::ZERO);
        for (half, elapsed) in changes {
            now += elapsed;
            prop_assert!(expirer.offset_at(now) >= offset);
            offset = expirer.offset_at(now);
            expirer.set_rate(half_life(half << 20), now);
            prop_assert_eq!(expirer.offset_at(now), offset);
        }
    }
}
