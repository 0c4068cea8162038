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

    /// Returns `steps` steps of 2^-24.
    pub const fn from_steps(steps: i64) -> Self {
        Self(steps)
    }

    /// Returns the logarithm of `2^octaves`.
    pub const fn from_octaves(octaves: i32) -> Self {
        Self((octaves as i64) << EXPONENT_BITS)
    }

    /// Returns the number of steps of 2^-24.
    pub const fn steps(self) -> i64 {
        self.0
    }

    /// Returns the largest integer not above this logarithm.
    pub const fn whole(self) -> i64 {
        self.0 >> EXPONENT_BITS
    }

    /// Returns the steps above [`Log2::whole`]: 0 to 2^24 - 1.
    pub const fn fraction(self) -> u32 {
        (self.0 & FRACTION_MASK) as u32
    }

    /// Returns `2^fraction` with 127 fractional bits, rounded up by less than 2^-121 of itself.
    pub(crate) fn factor(self) -> u128 {
        exp2_up(self.fraction())
    }

    /// Returns `amount · 2^self` as an integer, rounded up; `amount` has `amount_bits` fractional bits. `None` from
    /// 2^127 on.
    ///
    /// The factor is too high by less than 2^-121 of itself and the same as in [`Log2::times_down`]; all else is
    /// exact. So neither result falls as `amount` or `self` grows.
    pub(crate) fn times_up(self, amount: u128, amount_bits: u32) -> Option<u128> {
        self.times(amount, amount_bits, true)
    }

    /// Like [`Log2::times_up`], rounded down.
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

/// The progress of expiration: the base-2 logarithm of the stored units that one stable unit is worth. Never
/// negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOffset(Log2);

impl LogOffset {
    /// No expiration so far.
    pub const ZERO: Self = Self(Log2::ZERO);
    /// The largest offset: 2^39 octaves less one step. Offsets stop here.
    pub const MAX: Self = Self(Log2(i64::MAX));

    /// Returns `steps` steps of 2^-24.
    ///
    /// # Errors
    ///
    /// [`LoadOffsetError::Negative`] for a negative number.
    pub const fn from_steps(steps: i64) -> Result<Self, LoadOffsetError> {
        if steps < 0 {
            return Err(LoadOffsetError::Negative { steps });
        }
        Ok(Self(Log2(steps)))
    }

    /// Returns `steps` steps of 2^-24, at most [`LogOffset::MAX`].
    pub(super) fn up_to_max(steps: u128) -> Self {
        Self(Log2(i64::try_from(steps).unwrap_or(i64::MAX)))
    }

    /// Returns the offset that halves values `octaves` times.
    pub const fn from_octaves(octaves: u32) -> Self {
        Self(Log2((octaves as i64) << EXPONENT_BITS))
    }

    /// Returns the number of steps of 2^-24, never negative.
    pub const fn steps(self) -> i64 {
        self.0.steps()
    }

    /// Returns the whole octaves.
    pub const fn whole(self) -> u64 {
        self.0.whole().unsigned_abs()
    }

    /// Returns the steps above [`LogOffset::whole`]: 0 to 2^24 - 1.
    pub const fn fraction(self) -> u32 {
        self.0.fraction()
    }

    /// Returns the steps as 8 bytes to store, big-endian.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.steps().to_be_bytes()
    }

    /// Reads the bytes of [`LogOffset::to_bytes`].
    ///
    /// # Errors
    ///
    /// [`LoadOffsetError`] for a length other than 8 bytes or a negative number.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadOffsetError> {
        let length = bytes.len();
        let bytes = bytes
            .try_into()
            .map_err(|_| LoadOffsetError::Length { length })?;
        Self::from_steps(i64::from_be_bytes(bytes))
    }

    /// Returns `2^fraction` with 127 fractional bits, rounded up by less than 2^-121 of itself.
    pub(crate) fn factor(self) -> u128 {
        self.0.factor()
    }
}

/// An error of reading an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadOffsetError {
    /// The length is wrong.
    #[error(
        "the stored offset has {length} bytes instead of 8; check that the database is the right one"
    )]
    Length {
        /// Bytes found.
        length: usize,
    },
    /// The offset is negative.
    #[error(
        "the stored offset is {steps} steps and must not be negative; restore the database from a backup"
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
    fn splits_into_whole_part_and_nonnegative_fraction() {
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
    fn rounds_products_in_the_named_direction() {
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
    fn rejects_products_from_2_to_the_127_on() {
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
    fn restores_stored_offset() {
        for offset in [LogOffset::ZERO, LogOffset::from_octaves(3), LogOffset::MAX] {
            assert_eq!(LogOffset::from_bytes(&offset.to_bytes()), Ok(offset));
        }
        assert_eq!(
            LogOffset::from_octaves(1).to_bytes(),
            [0, 0, 0, 0, 1, 0, 0, 0]
        );
    }

    #[test]
    fn rejects_negative_offset() {
        assert_eq!(LogOffset::from_steps(0), Ok(LogOffset::ZERO));
        let negative = Err(LoadOffsetError::Negative { steps: -1 });
        assert_eq!(LogOffset::from_steps(-1), negative);
        assert_eq!(LogOffset::from_bytes(&[0xff; 8]), negative);
    }

    #[test]
    fn rejects_offset_of_wrong_length() {
        for length in [0, 7, 9, 16] {
            let bytes = vec![0; length];
            assert_eq!(
                LogOffset::from_bytes(&bytes),
                Err(LoadOffsetError::Length { length })
            );
        }
    }
}
