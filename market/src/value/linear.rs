//! A value that loses one unit in every period.

use std::num::NonZeroU64;

/// An amount that loses one unit at every multiple of `period` nanoseconds.
///
/// The period is not stored: it belongs to the program that reads the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearExpiringValue {
    /// Number of the period of the last change.
    offset: u64,
    value: u64,
    period_ns: NonZeroU64,
}

impl LinearExpiringValue {
    /// Restores `value` units stored in period number `offset`. A new value is `new(0, 0, period_ns)`.
    pub const fn new(offset: u64, value: u64, period_ns: NonZeroU64) -> Self {
        Self {
            offset,
            value,
            period_ns,
        }
    }

    /// Returns the number of the period of the last change, to be stored with [`LinearExpiringValue::stored`].
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the units left in the period of the last change.
    pub const fn stored(&self) -> u64 {
        self.value
    }

    /// Returns the units left at `now_ns`: one less for every period that began since the last change. A time before
    /// the last change counts as the time of the change.
    pub const fn value(&self, now_ns: u64) -> u64 {
        let period = now_ns / self.period_ns.get();
        self.value
            .saturating_sub(period.saturating_sub(self.offset))
    }

    /// Adds `amount` units, or subtracts them if negative, and returns the net change. The net is nearer to zero than
    /// `amount` if the value would otherwise fall below 0 or exceed 2^64 - 1.
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
    fn loses_one_unit_in_every_period() {
        let value = LinearExpiringValue::new(1, 1, NS);
        assert_eq!([value.value(0), value.value(1), value.value(2)], [1, 1, 0]);
        assert_eq!(value.value(u64::MAX), 0);
    }

    #[test]
    fn loses_units_at_multiples_of_the_period() {
        let value = LinearExpiringValue::new(2, 5, NonZeroU64::new(1_000).unwrap());
        assert_eq!(
            [value.value(2_999), value.value(3_000), value.value(3_999)],
            [5, 4, 4]
        );
    }

    #[test]
    fn subtracts_from_present_value_down_to_zero() {
        let mut value = LinearExpiringValue::new(1, 1, NS);
        assert_eq!((value.add(-1, 0), value.value(0)), (-1, 0));

        let mut value = LinearExpiringValue::new(1, 2, NS);
        assert_eq!((value.add(-1, 2), value.value(2)), (-1, 0));

        let mut value = LinearExpiringValue::new(1, 5, NS);
        assert_eq!((value.add(i64::MIN, 3), value.value(3)), (-3, 0));
    }

    #[test]
    fn adds_to_present_value_up_to_the_largest_number() {
        let mut value = LinearExpiringValue::new(0, 10, NS);
        assert_eq!(
            (value.add(7, 4), value.offset(), value.stored()),
            (7, 4, 13)
        );
        assert_eq!(value.add(0, 6), 0);
        assert_eq!((value.offset(), value.stored()), (6, 11));

        let mut full = LinearExpiringValue::new(0, u64::MAX - 2, NS);
        assert_eq!((full.add(5, 0), full.value(0)), (2, u64::MAX));
    }
}
