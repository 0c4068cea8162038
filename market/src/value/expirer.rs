//! The offset as time passes.

use super::{LoadOffsetError, LogOffset};
use ruint::aliases::U256;
use std::num::NonZeroU64;

/// Fractional bits of a position, in octaves. 64 more than an offset has, so that settling often loses nothing.
const POSITION_BITS: usize = 88;
/// What a position has more than an offset.
const EXTRA_BITS: usize = 64;

/// 1 / ln 2 with 126 fractional bits, rounded down.
const LOG2_E: u128 = 0x5c551d94_ae0bf85d_df43ff68_348e9f44;

/// How fast values expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpirationRate {
    /// Octaves per nanosecond, with 88 fractional bits.
    per_ns: u128,
}

impl ExpirationRate {
    /// Nothing expires.
    pub const NEVER: Self = Self { per_ns: 0 };

    /// Half of a value is left after `ns` nanoseconds. Rounded to nearest: over 2^64 ns, which are 584 years, offsets
    /// are off by at most half a step of 2^-24.
    pub fn from_half_life(ns: NonZeroU64) -> Self {
        Self::rounded(U256::ONE << POSITION_BITS, U256::from(ns.get()))
    }

    /// 1/e of a value, about 37 %, is left after `ns` nanoseconds: `1 / (ns · ln 2)` octaves per nanosecond. Rounded to
    /// nearest, with the bound of [`ExpirationRate::from_half_life`].
    pub fn from_time_constant(ns: NonZeroU64) -> Self {
        let numerator = U256::from(LOG2_E) << POSITION_BITS;
        Self::rounded(numerator, U256::from(ns.get()) << 126)
    }

    /// `parts / of` of this rate, rounded to nearest.
    pub fn scaled(self, parts: u64, of: NonZeroU64) -> Self {
        Self::rounded(
            U256::from(self.per_ns) * U256::from(parts),
            U256::from(of.get()),
        )
    }

    /// Octaves per nanosecond, with 88 fractional bits.
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

/// Knows the [`LogOffset`] of every moment. There is one for all values of a kind.
///
/// It can only be made from the offset that was stored last, so nothing is read against an offset that starts again at
/// zero. Store [`Expirer::to_bytes`] in the database that holds the values, before the program ends and in between.
///
/// Times are nanoseconds of a clock that the caller chooses. A time before the last change of the rate or the offset
/// counts as that of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expirer {
    /// Octaves with 88 fractional bits, at `settled_ns`.
    position: u128,
    rate: ExpirationRate,
    settled_ns: u64,
}

impl Expirer {
    /// Goes on from what [`Expirer::to_bytes`] gave. `None` is a new database: nothing in it has expired. Time that
    /// passed in between does not count.
    ///
    /// # Errors
    ///
    /// [`LoadOffsetError`] if these are not the bytes of an offset.
    pub fn load(
        stored: Option<&[u8]>,
        rate: ExpirationRate,
        now_ns: u64,
    ) -> Result<Self, LoadOffsetError> {
        let offset = stored.map_or(Ok(LogOffset::ZERO), LogOffset::from_bytes)?;
        Ok(Self {
            position: position_of(offset),
            rate,
            settled_ns: now_ns,
        })
    }

    /// The offset at `now_ns`: that of the last change plus the time since then at the present rate, rounded to the
    /// nearest step. It never falls as time passes and ends at [`LogOffset::MAX`].
    pub fn offset_at(&self, now_ns: u64) -> LogOffset {
        offset_of(self.position_at(now_ns))
    }

    /// The offset at `now_ns` as bytes to store.
    pub fn to_bytes(&self, now_ns: u64) -> [u8; 8] {
        self.offset_at(now_ns).to_bytes()
    }

    /// The present rate.
    pub const fn rate(&self) -> ExpirationRate {
        self.rate
    }

    /// Changes the rate. What has passed before `now_ns` counts at the old rate, exactly: however often the rate
    /// changes, no time is lost.
    pub fn set_rate(&mut self, rate: ExpirationRate, now_ns: u64) {
        self.position = self.position_at(now_ns);
        self.settled_ns = self.settled_ns.max(now_ns);
        self.rate = rate;
    }

    /// Jumps to `offset`. A jump back makes every value of this kind larger.
    pub fn set_offset(&mut self, offset: LogOffset, now_ns: u64) {
        self.position = position_of(offset);
        self.settled_ns = self.settled_ns.max(now_ns);
    }

    fn position_at(&self, now_ns: u64) -> u128 {
        let elapsed = now_ns.saturating_sub(self.settled_ns);
        self.position
            .saturating_add(self.rate.per_ns.saturating_mul(elapsed.into()))
    }
}

fn position_of(offset: LogOffset) -> u128 {
    u128::from(offset.steps().unsigned_abs()) << EXTRA_BITS
}

/// The nearest offset.
fn offset_of(position: u128) -> LogOffset {
    LogOffset::up_to_max(position.saturating_add(1 << (EXTRA_BITS - 1)) >> EXTRA_BITS)
}

#[cfg(test)]
mod tests;
