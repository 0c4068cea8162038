//! One reading of a rate, and the bounds within which it counts.

use crate::bank::cost::NativeRate;
use alloy_primitives::{U256, U512};

/// The number of seconds by which a reading may be ahead of the clock.
const MAX_AHEAD: u64 = 600;

/// The bounds of a rate from a file or a feed. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateBounds {
    /// The largest age of a reading, in seconds: since the file was written, or since the feed was updated.
    pub max_age: u64,
    /// The largest change from one reading to the next, in percent of the smaller one.
    pub max_jump: u32,
}

/// 25 hours, which covers the daily heartbeat of slow feeds, and 50 percent.
impl Default for RateBounds {
    fn default() -> Self {
        Self {
            max_age: 90_000,
            max_jump: 50,
        }
    }
}

/// The reason why a token has no rate now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateFault {
    /// No source was set.
    #[error("it has no rate; set its tokens per coin")]
    Unset,
    /// The source cannot be read.
    #[error("its rate cannot be read: {0}")]
    Unread(String),
    /// The newest reading is too old.
    #[error("its rate is {age} s old, and may be {max_age} s; check the source")]
    Old {
        /// The age, in seconds.
        age: u64,
        /// The largest age, in seconds.
        max_age: u64,
    },
    /// The newest reading is of the future.
    #[error("its rate is {ahead} s ahead of the clock; check both")]
    Ahead {
        /// The difference, in seconds.
        ahead: u64,
    },
    /// The newest reading differs too much from the one before.
    #[error(
        "its rate has changed by {percent} %, and may by {max} %; check the source, then restart to take it over"
    )]
    Jump {
        /// The change, in percent of the smaller one.
        percent: u64,
        /// The largest change.
        max: u32,
    },
}

impl RateFault {
    /// True if the newest reading contradicts the one before, so that neither counts.
    pub(super) const fn is_doubt(&self) -> bool {
        matches!(self, Self::Jump { .. } | Self::Ahead { .. })
    }
}

/// A rate, and the second of its making. `None`: it does not age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) rate: NativeRate,
    pub(super) at: Option<u64>,
}

impl Reading {
    pub(super) fn age(&self, now: u64) -> Option<u64> {
        self.at.map(|at| now.saturating_sub(at))
    }
}

/// Accepts a reading that is not of the future, and not too far from the last one. A last one that is too old says nothing.
pub(super) fn accept(
    last: Option<Reading>,
    new: Reading,
    bounds: RateBounds,
    now: u64,
) -> Result<Reading, RateFault> {
    let ahead = new.at.map_or(0, |at| at.saturating_sub(now));
    if ahead > MAX_AHEAD {
        return Err(RateFault::Ahead { ahead });
    }
    let last = last.filter(|last| last.age(now).is_none_or(|age| age <= bounds.max_age));
    let percent = last.map_or(0, |last| change(last.rate, new.rate));
    if percent > u64::from(bounds.max_jump) {
        let max = bounds.max_jump;
        return Err(RateFault::Jump { percent, max });
    }
    Ok(new)
}

/// Returns the difference of two rates in percent of the smaller one, rounded up.
fn change(a: NativeRate, b: NativeRate) -> u64 {
    let product = |one: u128, other: u128| U512::from(U256::from(one) * U256::from(other));
    let a_over_b = product(a.units(), b.wei());
    let b_over_a = product(b.units(), a.wei());
    let (small, large) = (a_over_b.min(b_over_a), a_over_b.max(b_over_a));
    // Not zero: rates are not.
    let percent = ((large - small) * U512::from(100)).div_ceil(small);
    u64::try_from(percent).unwrap_or(u64::MAX)
}
