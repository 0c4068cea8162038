//! A value that loses one unit in every period.

use std::num::NonZeroU64;

/// An amount that loses one unit in every `period` nanoseconds, at the multiples of the period.
///
/// The period is not part of what is stored: it belongs to the program that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearExpiredValue {
    /// The number of the period in which `value` was right.
    offset: u64,
    value: u64,
    period_ns: NonZeroU64,
}

impl LinearExpiredValue {
    /// `value` units in period number `offset`, as they were stored. A new one is `new(0, 0, period_ns)`.
    pub const fn new(offset: u64, value: u64, period_ns: NonZeroU64) -> Self {
        Self {
            offset,
            value,
            period_ns,
        }
    }

    /// The number of the period of the last change: what to store, together with [`LinearExpiredValue::stored`].
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The units that were left in that period.
    pub const fn stored(&self) -> u64 {
        self.value
    }

    /// What is left at `now_ns`: one unit less for every period that began since the last change. A time before the
    /// last change counts as that of the change.
    pub const fn value(&self, now_ns: u64) -> u64 {
        let period = now_ns / self.period_ns.get();
        self.value
            .saturating_sub(period.saturating_sub(self.offset))
    }

    /// Adds `amount` units, or takes them away if it is negative, and returns the net: what was really added. The net
    /// is nearer to zero than `amount` where the value would fall below 0 or rise above 2^64 - 1.
    pub fn add(&mut self, amount: i64, now_ns: u64) -> i64 {
        let before = self.value(now_ns);
        let by = amount.unsigned_abs();
        self.offset = self.offset.max(now_ns / self.period_ns.get());
        if amount >= 0 {
            self.value = before.saturating_add(by);
            return 0i64.saturating_add_unsigned(self.value - before);
        }
        self.value = before.saturating_sub(by);
        0i64.saturating_sub_unsigned(before - self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: NonZeroU64 = NonZeroU64::MIN;

    #[test]
    fn one_unit_is_lost_in_every_period() {
        let value = LinearExpiredValue::new(1, 1, NS);
        assert_eq!([value.value(0), value.value(1), value.value(2)], [1, 1, 0]);
        assert_eq!(value.value(u64::MAX), 0);
    }

    #[test]
    fn units_are_lost_at_multiples_of_the_period() {
        let value = LinearExpiredValue::new(2, 5, NonZeroU64::new(1_000).unwrap());
        assert_eq!(
            [value.value(2_999), value.value(3_000), value.value(3_999)],
            [5, 4, 4]
        );
    }

    #[test]
    fn taking_away_settles_first_and_stops_at_zero() {
        let mut value = LinearExpiredValue::new(1, 1, NS);
        assert_eq!((value.add(-1, 0), value.value(0)), (-1, 0));

        let mut value = LinearExpiredValue::new(1, 2, NS);
        assert_eq!((value.add(-1, 2), value.value(2)), (-1, 0));

        let mut value = LinearExpiredValue::new(1, 5, NS);
        assert_eq!((value.add(i64::MIN, 3), value.value(3)), (-3, 0));
    }

    #[test]
    fn adding_settles_first_and_stops_at_the_largest_number() {
        let mut value = LinearExpiredValue::new(0, 10, NS);
        assert_eq!(
            (value.add(7, 4), value.offset(), value.stored()),
            (7, 4, 13)
        );
        assert_eq!(value.add(0, 6), 0);
        assert_eq!((value.offset(), value.stored()), (6, 11));

        let mut full = LinearExpiredValue::new(0, u64::MAX - 2, NS);
        assert_eq!((full.add(5, 0), full.value(0)), (2, u64::MAX));
    }
}
