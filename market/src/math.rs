//! Powers of two and logarithms in integers. Results are the same on every machine; tests check the bounds against a
//! big-number oracle.

use ruint::aliases::U256;

/// Fractional bits of the factors below: 1.0 is `1 << 127`.
pub(crate) const FACTOR_BITS: usize = 127;

/// Fractional bits of an exponent.
pub(crate) const EXPONENT_BITS: u32 = 24;

/// `2^(2^-k)` for k = 1, 2, … 24 with 127 fractional bits, rounded up.
const ROOTS: [u128; EXPONENT_BITS as usize] = [
    0xb504f333_f9de6484_597d89b3_754abea0,
    0x9837f051_8db8a96f_46ad2318_2e42f6f7,
    0x8b95c1e3_ea8bd6e6_fbe46287_58a53c91,
    0x85aac367_cc487b14_c5c95b8c_2154c1b3,
    0x82cd8698_ac2ba1d7_3e2a475b_46520c00,
    0x8164d1f3_bc030773_7be56527_bd14def5,
    0x80b1ed4f_d999ab6c_25335719_b6e6fd21,
    0x8058d7d2_d5e5f6b0_94d589f6_08ee4aa3,
    0x802c6436_d0e04f50_ff8ce94a_6797b3cf,
    0x8016302f_17467628_3690dfe4_4d11d009,
    0x800b179c_82028fd0_945e54e2_ae18f2f1,
    0x80058baf_7fee3b5d_1c718b38_e549cb94,
    0x8002c5d0_0fdcfcb6_b6566a58_c048be20,
    0x800162e6_1bed4a48_e84c2e1a_463473da,
    0x8000b172_92f702a3_aa22beac_ca949014,
    0x800058b9_2abbae02_030c5fa5_256f41ff,
    0x80002c5c_8dade4d7_1776c0f4_dbea67d7,
    0x8000162e_44eaf636_526be456_600bdbe5,
    0x80000b17_21fa7c18_8307016c_1cd4e8b7,
    0x8000058b_90de7e4c_ecfc4875_03488bb2,
    0x800002c5_c8678f36_cbfce50a_6de60b15,
    0x80000162_e431db9f_80b2347b_5d62e517,
    0x800000b1_721872d0_c7b08cf1_e0114153,
    0x80000058_b90c1aa8_a5c3736c_b77e8e00,
];

/// Returns `2^(fraction / 2^24)` with 127 fractional bits, rounded up. The result is never below the true value,
/// exceeds it by less than 2^-121 of itself, is exact for `fraction` 0, and grows strictly with `fraction`, which
/// must be below 2^24.
pub(crate) fn exp2_up(fraction: u32) -> u128 {
    debug_assert!(fraction < 1 << EXPONENT_BITS);
    // At most 24 roots and 23 products, each at most one unit of 2^-127 too high.
    ROOTS
        .iter()
        .enumerate()
        .filter(|(k, _)| fraction >> (EXPONENT_BITS as usize - 1 - k) & 1 == 1)
        .fold(1 << FACTOR_BITS, |product, (_, root)| {
            multiply_up(product, *root)
        })
}

/// ln 2 with 127 fractional bits, rounded down.
const LN_2: u128 = 0x58b90bfb_e8e7bcd5_e4f1d9cc_01f97b57;

/// Returns `ln(numerator / denominator)` with 127 fractional bits, for `numerator >= denominator > 0`. The error is
/// below 2^-118 in either direction; equal arguments give exactly 0.
pub(crate) fn ln_ratio(numerator: u128, denominator: u128) -> U256 {
    debug_assert!(numerator >= denominator && denominator > 0);
    let ratio = (U256::from(numerator) << FACTOR_BITS) / U256::from(denominator);
    let octaves = ratio.bit_len() - 1 - FACTOR_BITS;
    let mantissa: u128 = (ratio >> octaves).to();

    // The largest power of two, with 24 fractional bits, not above the mantissa.
    let (mut power, mut fraction) = (1u128 << FACTOR_BITS, 0u64);
    for root in ROOTS {
        let larger = multiply_up(power, root);
        fraction <<= 1;
        if larger <= mantissa {
            (power, fraction) = (larger, fraction | 1);
        }
    }
    let rest = (U256::from(mantissa - power) << FACTOR_BITS) / U256::from(power);
    let log2 = (U256::from(octaves) << EXPONENT_BITS as usize) + U256::from(fraction);
    ((U256::from(LN_2) * log2) >> EXPONENT_BITS as usize) + ln_1_plus(rest)
}

/// Returns `ln(1 + z)` for z below 2^-24: z - z^2/2 + z^3/3 - z^4/4; the next term is below 2^-122.
fn ln_1_plus(z: U256) -> U256 {
    let mut power = z;
    let mut sum = z;
    for term in 2u64..=4 {
        power = (power * z) >> FACTOR_BITS;
        let share = power / U256::from(term);
        sum = if term % 2 == 0 {
            sum - share
        } else {
            sum + share
        };
    }
    sum
}

/// Returns the product of two factors in `[1, 2)` whose product is below 2, rounded up.
fn multiply_up(a: u128, b: u128) -> u128 {
    let product = U256::from(a) * U256::from(b);
    let rounded = product + (U256::ONE << FACTOR_BITS) - U256::ONE;
    (rounded >> FACTOR_BITS).to()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dashu_float::{FBig, round::mode::HalfEven};
    use proptest::prelude::*;

    type Real = FBig<HalfEven, 2>;

    /// Converts with 400 bits: the oracle's own error is far below every tested bound.
    fn real(integer: u128) -> Real {
        Real::from(integer).with_precision(400).value()
    }

    fn power_of_two(steps: u32) -> Real {
        (real(steps.into()) * real(2).ln() / real(1 << EXPONENT_BITS)).exp()
    }

    /// Returns the excess of `factor` over the true power, in units of 2^-127.
    fn excess(factor: u128, fraction: u32) -> Real {
        real(factor) - power_of_two(fraction) * real(1 << FACTOR_BITS)
    }

    #[test]
    fn rounds_roots_up_by_less_than_one_unit() {
        for (k, root) in ROOTS.iter().enumerate() {
            let excess = excess(*root, 1 << (EXPONENT_BITS as usize - 1 - k));
            assert!(excess > real(0) && excess < real(1), "root {k}: {excess}");
        }
    }

    #[test]
    fn computes_whole_powers_exactly() {
        assert_eq!(exp2_up(0), 1 << FACTOR_BITS);
    }

    #[test]
    fn keeps_last_power_below_two_and_within_its_bound() {
        let last = (1 << EXPONENT_BITS) - 1;
        let excess = excess(exp2_up(last), last);
        assert!(excess >= real(0) && excess < real(1 << 6), "{excess}");
    }

    /// Returns the error of `ln_ratio` in units of 2^-127.
    fn ln_error(numerator: u128, denominator: u128) -> Real {
        let computed = ln_ratio(numerator, denominator);
        let high: u128 = computed.wrapping_shr(64).to();
        let low: u128 = (computed & U256::from(u64::MAX)).to();
        let exact = (real(numerator) / real(denominator)).ln() * real(1 << FACTOR_BITS);
        let error = real(high) * real(1 << 64) + real(low) - exact;
        if error < real(0) { -error } else { error }
    }

    #[test]
    fn computes_logarithm_of_one_exactly() {
        for number in [1, 3, u64::MAX.into(), u128::MAX] {
            assert_eq!(ln_ratio(number, number), U256::ZERO);
        }
    }

    #[test]
    fn keeps_logarithms_within_their_bound_at_the_ends() {
        let all = u128::MAX;
        for (numerator, denominator) in [(all, 1), (all, all - 1), (2, 1), (1 << 127, 1), (3, 2)] {
            let error = ln_error(numerator, denominator);
            assert!(error < real(1 << 9), "{numerator}/{denominator}: {error}");
        }
    }

    proptest! {
        #[test]
        fn keeps_error_of_logarithm_below_2_to_the_minus_118(
            a: u128, b: u128, shift in 0u32..128,
        ) {
            let (a, b) = ((a >> shift).max(1), b.max(1));
            let error = ln_error(a.max(b), a.min(b));
            prop_assert!(error < real(1 << 9), "{}", error);
        }

        #[test]
        fn exceeds_true_power_by_less_than_2_to_the_minus_121(
            fraction in 0u32..1 << EXPONENT_BITS,
        ) {
            let excess = excess(exp2_up(fraction), fraction);
            prop_assert!(excess >= real(0) && excess < real(1 << 6), "{}", excess);
        }

        #[test]
        fn grows_strictly_with_the_exponent(fraction in 1u32..1 << EXPONENT_BITS) {
            prop_assert!(exp2_up(fraction - 1) < exp2_up(fraction));
        }
    }
}
