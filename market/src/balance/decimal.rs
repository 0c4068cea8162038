//! Prices as decimal numbers.

use std::{fmt, str::FromStr};

/// Decimal places of a price.
const PLACES: i64 = 9;
const ONE: u128 = 1_000_000_000;

/// A price in tokens, in steps of a billionth of a token; at most 2^64 - 1 tokens.
///
/// Reads and writes decimal numbers, such as `0.5` or `1e9`, exactly: a number between two steps is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u128);

/// The text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a price is a decimal number from 0 to 2^64 - 1 with at most {PLACES} decimal places")]
pub struct PriceError;

impl Price {
    /// No price.
    pub const ZERO: Self = Self(0);

    /// Returns a price in billionths of a token; `None` from 2^64 tokens on.
    pub const fn from_billionths(billionths: u128) -> Option<Self> {
        match billionths <= u64::MAX as u128 * ONE {
            true => Some(Self(billionths)),
            false => None,
        }
    }

    /// Returns billionths of a token.
    pub const fn billionths(self) -> u128 {
        self.0
    }
}

/// Whole tokens.
impl From<u64> for Price {
    fn from(tokens: u64) -> Self {
        Self(u128::from(tokens) * ONE)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / ONE, self.0 % ONE);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let places = format!("{rest:09}");
        write!(f, "{whole}.{}", places.trim_end_matches('0'))
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        parse(text)
            .and_then(Self::from_billionths)
            .ok_or(PriceError)
    }
}

/// Returns billionths, if the number is a whole number of them.
fn parse(text: &str) -> Option<u128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let places = places.trim_end_matches('0');
    let digits = [whole, places].concat();
    if whole.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u128 = digits.parse().ok()?;
    if number == 0 {
        return Some(0);
    }
    let shift = i64::from(exponent) - i64::try_from(places.len()).ok()? + PLACES;
    let power = 10u128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?)?;
    match shift >= 0 {
        true => number.checked_mul(power),
        false => number.is_multiple_of(power).then_some(number / power),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_decimal_numbers_exactly() {
        for (text, billionths) in [
            ("0", 0),
            ("0.0", 0),
            ("0e300", 0),
            ("0.5", 500_000_000),
            ("1e9", 1_000_000_000_000_000_000),
            ("1000000000.0", 1_000_000_000_000_000_000),
            ("1e-9", 1),
            ("0.000000001", 1),
            ("12.50e-1", 1_250_000_000),
            ("18446744073709551615", u128::from(u64::MAX) * ONE),
        ] {
            assert_eq!(text.parse(), Ok(Price(billionths)), "{text}");
        }
    }

    #[test]
    fn rejects_numbers_between_steps_and_out_of_range() {
        for text in [
            "",
            ".5",
            "-1",
            "+1",
            "1e",
            "e9",
            "0x1",
            "NaN",
            "1.5.5",
            "1e-10",
            "0.0000000005",
            "18446744073709551616",
            "1e20",
            "1e300",
            "1e99999999999",
            "1e-300",
        ] {
            assert_eq!(text.parse::<Price>(), Err(PriceError), "{text}");
        }
        assert_eq!(Price::from_billionths(u128::MAX), None);
    }

    proptest! {
        #[test]
        fn reads_its_own_text(tokens: u64, shift in 0u32..64, part in 0u128..ONE) {
            let price = Price::from_billionths(u128::from(tokens >> shift) * ONE + part);
            if let Some(price) = price {
                prop_assert_eq!(price.to_string().parse(), Ok(price));
            }
        }
    }
}
