//! A value that loses the same share of itself in every unit of time.

use super::log::LogOffset;
use crate::math::FACTOR_BITS;
use ruint::aliases::U256;

/// An amount that expires, stored as `base · 2^exp` inflationary units. Its worth depends on the [`LogOffset`] of the
/// moment, which every method takes from one and the same [`Expirer`](super::Expirer).
///
/// Two values are equal if their records are equal; compare their worth by [`ExpiringValue::value`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExpiringValue {
    base: u64,
    exp: u64,
}

impl ExpiringValue {
    /// The value 0.
    pub const ZERO: Self = Self { base: 0, exp: 0 };
    /// Maximum of a value in stable units, after [`ExpiringValue::add`] and when read: 2^63 - 1. So many units fit
    /// into 64 bits of inflationary units at every offset.
    pub const LIMIT: u64 = i64::MAX.unsigned_abs();

    /// Restores `base · 2^exp` inflationary units from a record.
    pub const fn new(base: u64, exp: u64) -> Self {
        Self { base, exp }
    }

    /// Returns the mantissa of the inflationary units.
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Returns the exponent of the inflationary units: the whole octaves of the offset of the last
    /// [`ExpiringValue::add`].
    pub const fn exp(&self) -> u64 {
        self.exp
    }

    /// Returns the rest at `offset` in stable units: `base · 2^(exp - offset)`, rounded down, against the holder.
    ///
    /// The result is never above the true value, and below it by less than 1 + 2^-57. A whole number of octaves gives
    /// an exact result. The result never exceeds [`ExpiringValue::LIMIT`].
    pub fn value(&self, offset: LogOffset) -> u64 {
        let factor = U256::from(offset.factor());
        let whole = offset.whole();
        if self.exp <= whole {
            let unshifted = (U256::from(self.base) << FACTOR_BITS) / factor;
            return shifted_right(unshifted.to(), whole - self.exp).min(Self::LIMIT);
        }
        // The exponent exceeds the offset only after `set_offset` went back.
        let ahead = self.exp - whole;
        if self.base == 0 {
            return 0;
        }
        if ahead >= 64 {
            return Self::LIMIT;
        }
        let value = ((U256::from(self.base) << FACTOR_BITS) << (ahead as usize)) / factor;
        value.saturating_to::<u64>().min(Self::LIMIT)
    }

    /// Adds `amount` stable units at `offset`, or subtracts them if negative, and returns the net change. The net is
    /// nearer to zero than `amount` if the value would otherwise fall below 0 or exceed [`ExpiringValue::LIMIT`].
    ///
    /// [`ExpiringValue::value`] at the same offset changes by exactly the net. For this, every change other than 0
    /// drops the fraction of a unit that `value` does not show, so the holder loses less than one unit per change.
    pub fn add(&mut self, amount: i64, offset: LogOffset) -> i64 {
        if amount == 0 {
            return 0;
        }
        let before = self.value(offset);
        let by = amount.unsigned_abs();
        let (after, net) = if amount > 0 {
            let added = by.min(Self::LIMIT - before);
            (before + added, 0i64.saturating_add_unsigned(added))
        } else {
            let taken = by.min(before);
            (before - taken, 0i64.saturating_sub_unsigned(taken))
        };
        *self = Self::holding(after, offset);
        net
    }

    /// Adds `other`, independent of the offset. The summand with the smaller exponent is rounded down to units of the
    /// larger exponent. A sum too large for its exponent becomes 2^64 - 1 such units.
    pub fn add_exp(&mut self, other: Self) {
        let exp = self.exp.max(other.exp);
        let base = self.base_at(exp).saturating_add(other.base_at(exp));
        *self = Self { base, exp };
    }

    /// Subtracts `other`, independent of the offset, down to 0. The operand with the smaller exponent is rounded down
    /// to units of the larger exponent.
    pub fn sub_exp(&mut self, other: Self) {
        let exp = self.exp.max(other.exp);
        let base = self.base_at(exp).saturating_sub(other.base_at(exp));
        *self = Self { base, exp };
    }

    /// Returns the smallest value that reads as `amount`, which is at most `LIMIT`.
    fn holding(amount: u64, offset: LogOffset) -> Self {
        let units = U256::from(amount) * U256::from(offset.factor());
        let base = units.div_ceil(U256::ONE << FACTOR_BITS);
        Self {
            base: base.to(),
            exp: offset.whole(),
        }
    }

    /// Returns the mantissa at a larger exponent, rounded down.
    fn base_at(&self, exp: u64) -> u64 {
        shifted_right(self.base, exp - self.exp)
    }
}

/// Returns `value / 2^by`, rounded down, for any `by`.
fn shifted_right(value: u64, by: u64) -> u64 {
    if by < 64 { value >> by } else { 0 }
}

#[cfg(test)]
mod tests;
