//! The cumulative curve of a bonding curve: 2^14 straight segments in 2^60 fixed point.

use crate::math::{FACTOR_BITS, ln_ratio};
use std::{num::NonZeroU64, sync::LazyLock};

/// Fractional bits of the curve.
pub(super) const CURVE_BITS: u32 = 60;

const SEGMENT_BITS: u32 = 14;
const SEGMENTS: u64 = 1 << SEGMENT_BITS;

/// The integral of the price up to x = i / 2^14, for i from 0 to 2^14 - 1, rounded down; at 2^14 it is infinite.
static CUMULATIVE: LazyLock<Vec<u64>> = LazyLock::new(|| (0..SEGMENTS).map(integral).collect());

/// Returns x^2 up to x = 1/2, and 1/4 + ln(1 / (2 - 2x)) / 2 above.
fn integral(point: u64) -> u64 {
    if 2 * point <= SEGMENTS {
        return (point * point) << (CURVE_BITS - 2 * SEGMENT_BITS);
    }
    let logarithm = ln_ratio((SEGMENTS / 2).into(), (SEGMENTS - point).into());
    let half: u64 = (logarithm >> (FACTOR_BITS + 1 - CURVE_BITS as usize)).to();
    (1 << (CURVE_BITS - 2)) + half
}

/// Returns the largest number of tokens within the segments, below x = 1 - 2^-14, rounded down.
pub(super) fn max_tokens(limit: NonZeroU64) -> u64 {
    ((u128::from(limit.get()) * u128::from(SEGMENTS - 1)) >> SEGMENT_BITS) as u64
}

/// Returns `curve(amount / limit) · limit` with 60 fractional bits, exact for the segments. `None` above
/// [`max_tokens`].
///
/// The segments start at 0 and become steeper, so the curve is superlinear: the result never falls as `amount` grows,
/// and never grows with `limit`.
pub(super) fn curve_times_limit(amount: u64, limit: NonZeroU64) -> Option<u128> {
    if amount > max_tokens(limit) {
        return None;
    }
    let limit = u128::from(limit.get());
    let position = u128::from(amount) << SEGMENT_BITS;
    let (point, beyond) = ((position / limit) as usize, position % limit);
    let start = u128::from(CUMULATIVE[point]) * limit;
    if beyond == 0 {
        return Some(start);
    }
    let slope = u128::from(CUMULATIVE[point + 1] - CUMULATIVE[point]);
    Some(start + slope * beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dashu_float::{FBig, round::mode::HalfEven};

    type Real = FBig<HalfEven, 2>;

    fn real(integer: u64) -> Real {
        Real::from(integer).with_precision(300).value()
    }

    #[test]
    fn never_lowers_slope_from_segment_to_segment() {
        let slopes: Vec<u64> = CUMULATIVE
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        assert_eq!(slopes.len(), 16_383);
        assert!(slopes.is_sorted());
        assert_eq!(CUMULATIVE[0], 0);
        // The last segment starts at x = 1 - 2^-13, at a price of 2^12: at least 2^-14 · 2^12.
        assert!(slopes[16_382] > 1 << (CURVE_BITS - 2));
    }

    #[test]
    fn rounds_points_down_by_less_than_2_to_the_minus_60() {
        for point in (0..SEGMENTS)
            .step_by(37)
            .chain([8_191, 8_192, 8_193, SEGMENTS - 1])
        {
            let x = real(point) / real(SEGMENTS);
            let exact = if 2 * point <= SEGMENTS {
                &x * &x
            } else {
                real(1) / real(4) - (real(2) * (real(1) - &x)).ln() / real(2)
            };
            let missing = exact * real(1 << CURVE_BITS) - real(CUMULATIVE[point as usize]);
            assert!(
                missing >= real(0) && missing < real(1),
                "{point}: {missing}"
            );
        }
    }

    #[test]
    fn ends_one_segment_before_the_limit() {
        let limit = NonZeroU64::new(1 << 20).unwrap();
        let max = (1 << 20) - (1 << 6);
        assert_eq!(max_tokens(limit), max);
        assert_eq!(
            curve_times_limit(max, limit),
            Some(u128::from(CUMULATIVE[16_383]) << 20)
        );
        assert_eq!(curve_times_limit(max + 1, limit), None);
        assert_eq!(curve_times_limit(0, NonZeroU64::MIN), Some(0));
        assert_eq!(curve_times_limit(1, NonZeroU64::MIN), None);
        let all = NonZeroU64::MAX;
        assert!(curve_times_limit(max_tokens(all), all).is_some_and(|sum| sum < 1 << 127));
    }
}
