//! Offsets over time.

use super::log::{LoadOffsetError, LogOffset};
use ruint::aliases::U256;
use std::num::NonZeroU64;

/// Fractional bits of a position, in octaves. The 64 bits more than in an offset make frequent updates lossless.
const POSITION_BITS: usize = 88;
/// Fractional bits that a position has more than an offset.
const EXTRA_BITS: usize = 64;

/// 1 / ln 2 with 126 fractional bits, rounded down.
const LOG2_E: u128 = 0x5c551d94_ae0bf85d_df43ff68_348e9f44;

/// The speed of expiration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpirationRate {
    /// Octaves per nanosecond, with 88 fractional bits.
    per_ns: u128,
}

impl ExpirationRate {
    /// No expiration.
    pub const NEVER: Self = Self { per_ns: 0 };

    /// Returns the rate that leaves half of a value after `ns` nanoseconds. Rounded to nearest: over 2^64 ns, about
    /// 584 years, the error of an offset is at most half a step of 2^-24.
    pub fn from_half_life(ns: NonZeroU64) -> Self {
        Self::rounded(U256::ONE << POSITION_BITS, U256::from(ns.get()))
    }

    /// Returns the rate that leaves 1/e of a value, about 37 %, after `ns` nanoseconds: `1 / (ns · ln 2)` octaves per
    /// nanosecond. Rounded to nearest, with the bound of [`ExpirationRate::from_half_life`].
    pub fn from_time_constant(ns: NonZeroU64) -> Self {
        let numerator = U256::from(LOG2_E) << POSITION_BITS;
        Self::rounded(numerator, U256::from(ns.get()) << 126)
    }

    /// Returns `parts / of` of this rate, rounded to nearest.
    pub fn scaled(self, parts: u64, of: NonZeroU64) -> Self {
        Self::rounded(
            U256::from(self.per_ns) * U256::from(parts),
            U256::from(of.get()),
        )
    }

    /// Restores a rate from [`per_ns`](Self::per_ns).
    pub(crate) const fn from_per_ns(per_ns: u128) -> Self {
        Self { per_ns }
    }

    /// Returns octaves per nanosecond, with 88 fractional bits.
    pub(crate) const fn per_ns(self) -> u128 {
        self.per_ns
    }

    fn rounded(numerator: U256, denominator: U256) -> Self {
        let per_ns: U256 = (numerator + (denominator >> 1)) / denominator;
        Self {
            per_ns: per_ns.saturating_to(),
        }
    }
}

/// Computes the [`LogOffset`] of every moment. All values of a kind share one expirer.
///
/// An expirer is made only from the offset that was stored last, so no value is ever read at an offset that restarts
/// at zero. Store [`Expirer::to_bytes`] in the database of the values, regularly and before the program ends.
///
/// Times are nanoseconds of a clock that the caller chooses. A time before the last change of the rate or the offset
/// counts as the time of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expirer {
    /// Octaves with 88 fractional bits, at `updated_ns`.
    position: u128,
    rate: ExpirationRate,
    updated_ns: u64,
}

impl Expirer {
    /// Restores an expirer from the bytes of [`Expirer::to_bytes`]. `None` stands for a new database, in which
    /// nothing has expired. The time between the two calls does not count.
    ///
    /// # Errors
    ///
    /// [`LoadOffsetError`] if the bytes are no offset.
    pub fn load(
        stored: Option<&[u8]>,
        rate: ExpirationRate,
        now_ns: u64,
    ) -> Result<Self, LoadOffsetError> {
        let offset = stored.map_or(Ok(LogOffset::ZERO), LogOffset::from_bytes)?;
        Ok(Self {
            position: position_of(offset),
            rate,
            updated_ns: now_ns,
        })
    }

    /// Returns the offset at `now_ns`: the offset of the last change plus the time since then at the present rate,
    /// rounded to the nearest step. The offset never falls as time passes, and stays at [`LogOffset::MAX`] once
    /// reached.
    pub fn offset_at(&self, now_ns: u64) -> LogOffset {
        offset_of(self.position_at(now_ns))
    }

    /// Returns the offset at `now_ns` as bytes to store.
    pub fn to_bytes(&self, now_ns: u64) -> [u8; 8] {
        self.offset_at(now_ns).to_bytes()
    }

    /// Returns the present rate.
    pub const fn rate(&self) -> ExpirationRate {
        self.rate
    }

    /// Changes the rate. The time before `now_ns` counts at the old rate, exactly: frequent changes lose no time.
    pub fn set_rate(&mut self, rate: ExpirationRate, now_ns: u64) {
        self.position = self.position_at(now_ns);
        self.updated_ns = self.updated_ns.max(now_ns);
        self.rate = rate;
    }

    /// Jumps to `offset`. A jump back makes every value of this kind larger.
    pub fn set_offset(&mut self, offset: LogOffset, now_ns: u64) {
        self.position = position_of(offset);
        self.updated_ns = self.updated_ns.max(now_ns);
    }

    fn position_at(&self, now_ns: u64) -> u128 {
        let elapsed = now_ns.saturating_sub(self.updated_ns);
        self.position
            .saturating_add(self.rate.per_ns.saturating_mul(elapsed.into()))
    }
}

fn position_of(offset: LogOffset) -> u128 {
    u128::from(offset.steps().unsigned_abs()) << EXTRA_BITS
}

/// Rounds to the nearest offset.
fn offset_of(position: u128) -> LogOffset {
    LogOffset::up_to_max(position.saturating_add(1 << (EXTRA_BITS - 1)) >> EXTRA_BITS)
}

#[cfg(test)]
mod tests;
