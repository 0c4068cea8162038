//! A value that loses the same share of itself in every unit of time.

use super::LogOffset;
use crate::math::FACTOR_BITS;
use ruint::aliases::U256;

/// An amount that expires, stored as `base · 2^exp` inflationary units. What it is worth depends on the [`LogOffset`] of
/// the moment, which every method takes: always that of the same [`Expirer`](super::Expirer).
///
/// Two values are equal if they are stored equally; compare what they are worth by [`ExpiredValue::value`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExpiredValue {
    base: u64,
    exp: u64,
}

impl ExpiredValue {
    /// Nothing.
    pub const ZERO: Self = Self { base: 0, exp: 0 };
    /// The most that a value shows and [`ExpiredValue::add`] leaves, in stable units: 2^63 - 1. It is also what 64 bits
    /// of inflationary units can hold at every offset.
    pub const LIMIT: u64 = i64::MAX.unsigned_abs();

    /// `base · 2^exp` inflationary units, as they were stored.
    pub const fn new(base: u64, exp: u64) -> Self {
        Self { base, exp }
    }

    /// The mantissa of the inflationary units.
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// The exponent of the inflationary units: the whole octaves of the offset of the last [`ExpiredValue::add`].
    pub const fn exp(&self) -> u64 {
        self.exp
    }

    /// What is left at `offset`, in stable units: `base · 2^(exp - offset)`, rounded down, against the holder.
    ///
    /// The result is never above the true value and below it by less than 1 + 2^-57. It is exact where the offset is a
    /// whole number of octaves. It never shows more than [`ExpiredValue::LIMIT`].
    pub fn value(&self, offset: LogOffset) -> u64 {
        let factor = U256::from(offset.factor());
        let whole = offset.whole();
        if self.exp <= whole {
            let unshifted = (U256::from(self.base) << FACTOR_BITS) / factor;
            return shifted_right(unshifted.to(), whole - self.exp).min(Self::LIMIT);
        }
        // Ahead of the offset only after the offset was set back.
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

    /// Adds `amount` stable units at `offset`, or takes them away if it is negative, and returns the net: what was
    /// really added. The net is nearer to zero than `amount` where the value would fall below 0 or rise above
    /// [`ExpiredValue::LIMIT`].
    ///
    /// [`ExpiredValue::value`] at the same offset changes by exactly the net. To keep that so, the fraction of a unit
    /// that `value` does not show is given up with every change that is not 0: the holder loses less than one unit by it.
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

    /// Adds `other`, whatever the offset. Of the two, the one with the smaller exponent is rounded down to units of the
    /// larger one. A sum too large for its exponent ends at 2^64 - 1 such units.
    pub fn add_exp(&mut self, other: Self) {
        let exp = self.exp.max(other.exp);
        let base = self.base_at(exp).saturating_add(other.base_at(exp));
        *self = Self { base, exp };
    }

    /// Takes `other` away, whatever the offset, but no more than there is. Of the two, the one with the smaller exponent
    /// is rounded down to units of the larger one.
    pub fn sub_exp(&mut self, other: Self) {
        let exp = self.exp.max(other.exp);
        let base = self.base_at(exp).saturating_sub(other.base_at(exp));
        *self = Self { base, exp };
    }

    /// The smallest value that reads as `amount`, which is at most `LIMIT`.
    fn holding(amount: u64, offset: LogOffset) -> Self {
        let units = U256::from(amount) * U256::from(offset.factor());
        let base = units.div_ceil(U256::ONE << FACTOR_BITS);
        Self {
            base: base.to(),
            exp: offset.whole(),
        }
    }

    /// The mantissa at a larger exponent, rounded down.
    fn base_at(&self, exp: u64) -> u64 {
        shifted_right(self.base, exp - self.exp)
    }
}

/// `value / 2^by`, rounded down, for any `by`.
fn shifted_right(value: u64, by: u64) -> u64 {
    if by < 64 { value >> by } else { 0 }
}

#[cfg(test)]
mod tests;
