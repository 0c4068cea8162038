//! Amounts of a token.

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An amount of money in the smallest unit of its token, wei for the native coin.
///
/// Does not know its token, so nothing stops a sum of two tokens. Has no arithmetic operators: the name of each
/// function says its behaviour at the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest amount a deposit can hold, 2^128 - 1.
    pub const MAX: Self = Self(u128::MAX);

    /// Wraps a number of smallest units.
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// Returns the number of smallest units.
    pub const fn get(self) -> u128 {
        self.0
    }

    /// Returns the number of smallest units in the width of the EVM's words.
    pub fn to_u256(self) -> U256 {
        U256::from(self.0)
    }

    /// True for an amount of zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Adds; `None` if the sum exceeds [`Amount::MAX`].
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Subtracts; `None` if the difference is negative.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Subtracts; zero if the difference is negative.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Multiplies; `None` if the product exceeds [`Amount::MAX`].
    pub const fn checked_mul(self, times: u128) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// Computes `floor(self * numerator / denominator)` with an exact product. `None` if the denominator is zero or the
    /// result exceeds [`Amount::MAX`].
    pub fn mul_div_floor(self, numerator: Self, denominator: Self) -> Option<Self> {
        // The short way for products below 2^128.
        if let Some(product) = self.0.checked_mul(numerator.0) {
            return product.checked_div(denominator.0).map(Self);
        }
        let product = U256::from(self.0) * U256::from(numerator.0);
        let quotient = product.checked_div(U256::from(denominator.0))?;
        quotient.try_into().ok().map(Self)
    }

    /// Reads an amount in whole tokens, such as `2.5` of a token with 6 decimals, exactly.
    ///
    /// # Errors
    ///
    /// [`ParseAmountError`] if the text has other characters than digits and one decimal point between digits, more
    /// decimals than the token, or exceeds [`Amount::MAX`].
    pub fn from_tokens(text: &str, decimals: u8) -> Result<Self, ParseAmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(ParseAmountError::NotANumber),
            Some(parts) => parts,
            None => (text, ""),
        };
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
            return Err(ParseAmountError::NotANumber);
        }
        let zeros = usize::from(decimals).checked_sub(fraction.len());
        let zeros = zeros.ok_or(ParseAmountError::TooFine { decimals })?;
        let digits = whole.bytes().chain(fraction.bytes());
        let mut digits = digits.chain(std::iter::repeat_n(b'0', zeros));
        let units = digits.try_fold(0_u128, |units, digit| {
            let units = units.checked_mul(10)?;
            units.checked_add(u128::from(digit - b'0'))
        });
        units.map(Self).ok_or(ParseAmountError::TooLarge)
    }

    /// Writes the amount in whole tokens, such as `2.5`, exactly and without trailing zeros.
    pub fn to_tokens(self, decimals: u8) -> String {
        format_tokens(self.to_u256(), decimals)
    }
}

/// Writes a number of smallest units in whole tokens like [`Amount::to_tokens`]: for balances, which may exceed
/// [`Amount::MAX`].
pub fn format_tokens(units: U256, decimals: u8) -> String {
    let (decimals, units) = (usize::from(decimals), units.to_string());
    let digits = format!("{units:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// The reason why a text is not an amount in whole tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAmountError {
    /// Other characters than digits and a decimal point between digits.
    #[error("not an amount; write digits with at most one decimal point, such as 2.5")]
    NotANumber,
    /// More decimals than the token has.
    #[error("finer than the smallest unit; write at most {decimals} decimals")]
    TooFine {
        /// The token's decimals.
        decimals: u8,
    },
    /// More than any deposit can hold.
    #[error("too large; write at most 2^128 - 1 units")]
    TooLarge,
}

/// Reads a number of smallest units.
impl std::str::FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, ParseAmountError> {
        Self::from_tokens(text, 0)
    }
}

impl From<u128> for Amount {
    fn from(units: u128) -> Self {
        Self(units)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes a decimal string, because JSON numbers lose precision beyond 2^53.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_exact_quotients_beyond_128_bits_down() {
        let max = Amount::MAX;
        assert_eq!(max.mul_div_floor(max, max), Some(max));
        assert_eq!(
            Amount(7).mul_div_floor(Amount(3), Amount(2)),
            Some(Amount(10))
        );
        assert_eq!(max.mul_div_floor(max, Amount(2)), None);
        assert_eq!(max.mul_div_floor(Amount(1), Amount(0)), None);
        assert_eq!(max.mul_div_floor(max, Amount(0)), None);
    }

    #[test]
    fn reads_and_writes_json_as_a_decimal_string() {
        let text = serde_json::to_string(&Amount::MAX).unwrap();
        assert_eq!(text, "\"340282366920938463463374607431768211455\"");
        assert_eq!(serde_json::from_str::<Amount>(&text).unwrap(), Amount::MAX);
        assert!(serde_json::from_str::<Amount>("\"-1\"").is_err());
    }

    #[test]
    fn reads_and_writes_whole_tokens_exactly() {
        for (text, decimals, units) in [
            ("2.5", 6, 2_500_000),
            ("0.000001", 6, 1),
            ("0", 18, 0),
            ("1.000000000000000001", 18, 1_000_000_000_000_000_001),
            ("340282366920938463463374607431768211455", 0, u128::MAX),
        ] {
            assert_eq!(Amount::from_tokens(text, decimals), Ok(Amount(units)));
            assert_eq!(Amount(units).to_tokens(decimals), text);
        }
        assert_eq!("1500".parse(), Ok(Amount(1_500)));
        assert_eq!(Amount::from_tokens("02.50", 6), Ok(Amount(2_500_000)));
        assert!(Amount(1).to_tokens(255).starts_with("0.000"));
    }

    #[test]
    fn refuses_texts_that_are_no_exact_amount() {
        use ParseAmountError::{NotANumber, TooFine, TooLarge};
        for text in [
            "", ".", "1.", ".5", "1.2.3", "-1", "+1", "1e18", "1,5", "0x10", " 1", "1_000",
            "\u{661}",
        ] {
            assert_eq!(Amount::from_tokens(text, 6), Err(NotANumber), "{text:?}");
        }
        assert_eq!("0.5".parse::<Amount>(), Err(TooFine { decimals: 0 }));
        let fine = Amount::from_tokens("0.1234567", 6);
        assert_eq!(fine, Err(TooFine { decimals: 6 }));
        for (text, decimals) in [
            ("340282366920938463463374607431768211456", 0),
            ("1", 39),
            ("1", 255),
        ] {
            assert_eq!(Amount::from_tokens(text, decimals), Err(TooLarge), "{text}");
        }
    }
}
