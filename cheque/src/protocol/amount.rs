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
}
