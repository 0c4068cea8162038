//! Base-2 logarithms in fixed point.

use crate::math::{EXPONENT_BITS, FACTOR_BITS, exp2_up};
use ruint::aliases::U256;

const FRACTION_MASK: i64 = (1 << EXPONENT_BITS) - 1;

/// A base-2 logarithm of either sign in steps of 2^-24, each a factor of about 1.000000041.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Log2(i64);

impl Log2 {
    /// The logarithm of 1.
    pub const ZERO: Self = Self(0);

    /// `steps` steps of 2^-24.
    pub const fn from_steps(steps: i64) -> Self {
        Self(steps)
    }

    /// The logarithm of `2^octaves`.
    pub const fn from_octaves(octaves: i32) -> Self {
        Self((octaves as i64) << EXPONENT_BITS)
    }

    /// The number of steps of 2^-24.
    pub const fn steps(self) -> i64 {
        self.0
    }

    /// The largest whole number that is not above this logarithm.
    pub const fn whole(self) -> i64 {
        self.0 >> EXPONENT_BITS
    }

    /// What is above [`Log2::whole`], in steps: 0 to 2^24 - 1.
    pub const fn fraction(self) -> u32 {
        (self.0 & FRACTION_MASK) as u32
    }

    /// `2^fraction` with 127 fractional bits, rounded up by less than 2^-121 of it.
    pub(crate) fn factor(self) -> u128 {
        exp2_up(self.fraction())
    }

    /// `amount · 2^self` of an amount with `amount_bits` fractional bits, as a whole number rounded up. `None` from 2^127 on.
    ///
    /// This and [`Log2::times_down`] multiply by the same factor, which is too high by less than 2^-121 of it, and are
    /// otherwise exact. So neither falls where `amount` or `self` grows.
    pub(crate) fn times_up(self, amount: u128, amount_bits: u32) -> Option<u128> {
        self.times(amount, amount_bits, true)
    }

    /// As [`Log2::times_up`], rounded down.
    pub(crate) fn times_down(self, amount: u128, amount_bits: u32) -> Option<u128> {
        self.times(amount, amount_bits, false)
    }

    fn times(self, amount: u128, amount_bits: u32, up: bool) -> Option<u128> {
        let product = U256::from(amount) * U256::from(self.factor());
        let right = FACTOR_BITS as i64 + i64::from(amount_bits) - self.whole();
        let by = usize::try_from(right.unsigned_abs()).ok()?;
        let result = if right >= 0 {
            let floor = product.wrapping_shr(by);
            let exact = floor.wrapping_shl(by) == product;
            floor + U256::from(u8::from(up && !exact))
        } else {
            product.checked_shl(by)?
        };
        result
            .try_into()
            .ok()
            .filter(|result| *result <= i128::MAX.unsigned_abs())
    }
}

/// How far values have expired: the base-2 logarithm of what one stable unit is worth in stored ones. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOffset(Log2);

impl LogOffset {
    /// Nothing has expired yet.
    pub const ZERO: Self = Self(Log2::ZERO);
    /// The largest offset: 2^39 octaves less one step. Offsets stop here.
    pub const MAX: Self = Self(Log2(i64::MAX));

    /// `steps` steps of 2^-24.
    ///
    /// # Errors
    ///
    /// [`LoadOffsetError::Negative`].
    pub const fn from_steps(steps: i64) -> Result<Self, LoadOffsetError> {
        if steps < 0 {
            return Err(LoadOffsetError::Negative { steps });
        }
        Ok(Self(Log2(steps)))
    }

    /// `steps` steps of 2^-24, or [`LogOffset::MAX`] where there are more.
    pub(super) fn up_to_max(steps: u128) -> Self {
        Self(Log2(i64::try_from(steps).unwrap_or(i64::MAX)))
    }

    /// The offset after which values have halved `octaves` times.
    pub const fn from_octaves(octaves: u32) -> Self {
        Self(Log2((octaves as i64) << EXPONENT_BITS))
    }

    /// The number of steps of 2^-24, never negative.
    pub const fn steps(self) -> i64 {
        self.0.steps()
    }

    /// The whole octaves.
    pub const fn whole(self) -> u64 {
        self.0.whole().unsigned_abs()
    }

    /// What is above [`LogOffset::whole`], in steps: 0 to 2^24 - 1.
    pub const fn fraction(self) -> u32 {
        self.0.fraction()
    }

    /// The steps as 8 bytes, big-endian: what to store.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.steps().to_be_bytes()
    }

    /// Reads what [`LogOffset::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`LoadOffsetError`] if these are not 8 bytes or the number is negative.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadOffsetError> {
        let length = bytes.len();
        let bytes = bytes
            .try_into()
            .map_err(|_| LoadOffsetError::Length { length })?;
        Self::from_steps(i64::from_be_bytes(bytes))
    }

    /// `2^fraction` with 127 fractional bits, rounded up by less than 2^-121 of it.
    pub(crate) fn factor(self) -> u128 {
        self.0.factor()
    }
}

/// Why something is not the offset of an expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadOffsetError {
    /// Stored offsets have a fixed length.
    #[error("a stored offset has 8 bytes, this one {length}: is it from another database?")]
    Length {
        /// Bytes found.
        length: usize,
    },
    /// Values only ever lose.
    #[error(
        "an offset is at least 0, this one is {steps} steps: restore the database from a good copy"
    )]
    Negative {
        /// Steps of 2^-24 found.
        steps: i64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithm_is_its_whole_part_and_a_fraction_that_is_never_negative() {
        let parts = |steps| {
            (
                Log2::from_steps(steps).whole(),
                Log2::from_steps(steps).fraction(),
            )
        };
        assert_eq!(parts(0), (0, 0));
        assert_eq!(parts((3 << 24) + 5), (3, 5));
        assert_eq!(parts(-1), (-1, (1 << 24) - 1));
        assert_eq!(parts(-(1 << 24)), (-1, 0));
        assert_eq!(Log2::from_octaves(-7).whole(), -7);
    }

    #[test]
    fn an_amount_times_a_power_is_rounded_as_named() {
        let both = |steps, amount, bits| {
            let log = Log2::from_steps(steps);
            (log.times_down(amount, bits), log.times_up(amount, bits))
        };
        let octaves = |octaves: i64| octaves << 24;
        assert_eq!(both(0, 7, 0), (Some(7), Some(7)));
        assert_eq!(both(octaves(3), 7, 0), (Some(56), Some(56)));
        assert_eq!(both(octaves(-1), 7, 0), (Some(3), Some(4)));
        assert_eq!(both(0, 7, 2), (Some(1), Some(2)));
        assert_eq!(both(octaves(2), 7, 2), (Some(7), Some(7)));
        // 100 times the square root of 2 is 141.42…
        assert_eq!(both(1 << 23, 100, 0), (Some(141), Some(142)));
        assert_eq!(both(i64::MIN, 1, 0), (Some(0), Some(1)));
        assert_eq!(both(i64::MIN, 0, 0), (Some(0), Some(0)));
    }

    #[test]
    fn an_amount_times_a_power_ends_below_2_to_the_127() {
        let log = Log2::from_octaves;
        assert_eq!(log(126).times_up(1, 0), Some(1 << 126));
        assert_eq!(log(127).times_up(1, 0), None);
        assert_eq!(log(186).times_up(1, 60), Some(1 << 126));
        assert_eq!(log(187).times_up(1, 60), None);
        assert_eq!(log(500).times_down(1, 60), None);
        assert_eq!(log(0).times_down(u128::MAX, 0), None);
        assert_eq!(Log2::from_steps(i64::MAX).times_up(1, 0), None);
        assert_eq!(Log2::from_steps(i64::MAX).times_up(0, 0), Some(0));
    }

    #[test]
    fn an_offset_survives_storage() {
        for offset in [LogOffset::ZERO, LogOffset::from_octaves(3), LogOffset::MAX] {
            assert_eq!(LogOffset::from_bytes(&offset.to_bytes()), Ok(offset));
        }
        assert_eq!(
            LogOffset::from_octaves(1).to_bytes(),
            [0, 0, 0, 0, 1, 0, 0, 0]
        );
    }

    #[test]
    fn refuses_a_negative_offset() {
        assert_eq!(LogOffset::from_steps(0), Ok(LogOffset::ZERO));
        let negative = Err(LoadOffsetError::Negative { steps: -1 });
        assert_eq!(LogOffset::from_steps(-1), negative);
        assert_eq!(LogOffset::from_bytes(&[0xff; 8]), negative);
    }

    #[test]
    fn refuses_an_offset_of_another_length() {
        for length in [0, 7, 9, 16] {
            let bytes = vec![0; length];
            assert_eq!(
                LogOffset::from_bytes(&bytes),
                Err(LoadOffsetError::Length { length })
            );
        }
    }
}
