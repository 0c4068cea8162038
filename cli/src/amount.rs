//! Amounts as typed and as printed, exactly.

use std::{fmt, str::FromStr};

use alloy::primitives::{Address, U256};
use cheque::{Amount, ParseAmountError, format_tokens};

/// Decimals of the native coin of every supported chain.
const COIN_DECIMALS: u8 = 18;
const GWEI_DECIMALS: u8 = 9;

/// The token of an amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The ERC-20 contract, zero for the native coin.
    pub(crate) address: Address,
    /// A whole token has 10^decimals units.
    pub(crate) decimals: u8,
    /// The token's own name, which anybody can choose.
    pub(crate) symbol: String,
}

impl Token {
    /// The chain's native coin.
    pub(crate) fn coin() -> Self {
        Self {
            address: Address::ZERO,
            decimals: COIN_DECIMALS,
            symbol: "ether".to_owned(),
        }
    }

    pub(crate) fn is_coin(&self) -> bool {
        self.address.is_zero()
    }

    /// Formats units as whole tokens with the symbol, exactly; small amounts of the native coin as gwei or wei.
    pub(crate) fn show(&self, amount: impl Into<U256>) -> String {
        let units = amount.into();
        let (decimals, name) = self.unit_for(units);
        format!("{} {name}", format_tokens(units, decimals))
    }

    /// The best unit for an amount: its decimals and its name.
    pub(crate) fn unit_for(&self, amount: impl Into<U256>) -> (u8, &str) {
        let units = amount.into();
        if self.is_coin() && !units.is_zero() {
            if units < U256::from(1_000_000) {
                return (0, "wei");
            }
            if units < U256::from(100_000_000_000_000_u64) {
                return (GWEI_DECIMALS, "gwei");
            }
        }
        (self.decimals, &self.symbol)
    }

    /// Formats an amount of the library; see [`Self::show`].
    pub(crate) fn show_amount(&self, amount: Amount) -> String {
        self.show(U256::from(amount.get()))
    }
}

/// An amount as typed, before its token is known: `1500`, `0.5ether`, `20gwei`, `2.5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AmountText {
    text: String,
    /// Digits, with or without a decimal point.
    number: String,
    unit: Option<Unit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Wei,
    Gwei,
    Ether,
}

impl AmountText {
    /// True if the amount has a decimal point and no unit, so its value depends on the token's decimals.
    pub(crate) fn needs_decimals(&self) -> bool {
        self.has_point() && self.unit.is_none()
    }

    /// Converts to units of `token`, without rounding.
    ///
    /// # Errors
    /// Fails if the amount is no whole number of units, exceeds 2^128 - 1, or lacks or misuses a unit.
    pub(crate) fn in_units_of(&self, token: &Token) -> Result<Amount, AmountError> {
        let decimals = match self.unit {
            Some(_) if !token.is_coin() => return Err(self.error(Why::UnitOfCoin)),
            Some(Unit::Wei) => 0,
            Some(Unit::Gwei) => GWEI_DECIMALS,
            Some(Unit::Ether) => COIN_DECIMALS,
            None if !self.has_point() => 0,
            None if token.is_coin() => return Err(self.error(Why::NoUnit)),
            None => token.decimals,
        };
        let amount = Amount::from_tokens(&self.number, decimals);
        amount.map_err(|error| self.error(Why::Number(error)))
    }

    fn has_point(&self) -> bool {
        self.number.contains('.')
    }

    fn error(&self, why: Why) -> AmountError {
        AmountError {
            text: self.text.clone(),
            why,
        }
    }
}

impl FromStr for AmountText {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let mut typed = Self {
            text: text.to_owned(),
            number: number.to_owned(),
            unit: None,
        };
        typed.unit = match unit.trim_start() {
            "" if unit.is_empty() => None,
            "wei" => Some(Unit::Wei),
            "gwei" => Some(Unit::Gwei),
            "ether" | "eth" => Some(Unit::Ether),
            _ => return Err(typed.error(Why::Number(ParseAmountError::NotANumber))),
        };
        // Whether a number is too large depends on the token's decimals.
        match Amount::from_tokens(number, u8::MAX) {
            Ok(_) | Err(ParseAmountError::TooLarge) => Ok(typed),
            Err(error) => Err(typed.error(Why::Number(error))),
        }
    }
}

impl fmt::Display for AmountText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The reason why a text is not an amount of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AmountError {
    text: String,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NoUnit,
    UnitOfCoin,
    Number(ParseAmountError),
}

impl std::error::Error for AmountError {}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.text)?;
        match self.why {
            Why::NoUnit => {
                f.write_str("needs a unit for the native coin; write 0.5ether or 20gwei")
            }
            Why::UnitOfCoin => {
                f.write_str("has a unit of the native coin for an amount of a token; write 2.5 (tokens) or 1500 (units)")
            }
            Why::Number(ParseAmountError::NotANumber) => {
                f.write_str("is not an amount; write 1500 (units), 20gwei, 0.5ether, or 2.5 for a token")
            }
            Why::Number(error) => write!(f, "is {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, token: &Token) -> Result<u128, AmountError> {
        Ok(text.parse::<AmountText>()?.in_units_of(token)?.get())
    }

    fn usdc() -> Token {
        Token {
            address: Address::repeat_byte(1),
            decimals: 6,
            symbol: "USDC".to_owned(),
        }
    }

    #[test]
    fn parses_every_documented_form_exactly() {
        let coin = Token::coin();
        assert_eq!(units("1500", &coin), Ok(1500));
        assert_eq!(units("0.5ether", &coin), Ok(500_000_000_000_000_000));
        assert_eq!(units("0.5 eth", &coin), Ok(500_000_000_000_000_000));
        assert_eq!(units("20gwei", &coin), Ok(20_000_000_000));
        assert_eq!(units("7wei", &coin), Ok(7));
        assert_eq!(units("0", &coin), Ok(0));
        assert_eq!(units("2.5", &usdc()), Ok(2_500_000));
        assert_eq!(units("2", &usdc()), Ok(2));
        assert_eq!(units("2.0", &usdc()), Ok(2_000_000));
        assert_eq!(units(&u128::MAX.to_string(), &coin), Ok(u128::MAX));
    }

    #[test]
    fn rejects_ambiguous_inexact_and_too_large_amounts() {
        use ParseAmountError::{NotANumber, TooFine, TooLarge};
        let coin = Token::coin();
        let why = |text: &str, token: &Token| units(text, token).map_err(|error| error.why);
        for text in [
            "", ".", "1.", ".5", "1.2.3", "-1", "+1", "1e18", "1,5", "0x10", "1 ", "ether",
            "1kwei", "1_000", "١",
        ] {
            assert_eq!(why(text, &coin), Err(Why::Number(NotANumber)), "{text:?}");
        }
        assert_eq!(why("2.5", &coin), Err(Why::NoUnit));
        assert_eq!(why("2gwei", &usdc()), Err(Why::UnitOfCoin));
        assert_eq!(
            why("0.1wei", &coin),
            Err(Why::Number(TooFine { decimals: 0 }))
        );
        assert_eq!(
            why("0.1234567", &usdc()),
            Err(Why::Number(TooFine { decimals: 6 }))
        );
        assert_eq!(
            why("340282366920938463463374607431768211456", &coin),
            Err(Why::Number(TooLarge))
        );
        assert_eq!(why(&"9".repeat(100), &coin), Err(Why::Number(TooLarge)));
        assert_eq!(
            why("1000000000000000000000ether", &coin),
            Err(Why::Number(TooLarge))
        );
    }

    #[test]
    fn shows_amounts_exactly_in_the_best_unit() {
        let coin = Token::coin();
        let show = |units: u128| coin.show(U256::from(units));
        assert_eq!(show(0), "0 ether");
        assert_eq!(show(999_999), "999999 wei");
        assert_eq!(show(1_000_000), "0.001 gwei");
        assert_eq!(show(100_000_000_000_000), "0.0001 ether");
        assert_eq!(show(1_500_000_000_000_000_000), "1.5 ether");
        assert_eq!(
            show(1_000_000_000_000_000_001),
            "1.000000000000000001 ether"
        );
        assert_eq!(usdc().show(U256::from(2_500_000)), "2.5 USDC");
        assert_eq!(usdc().show(U256::from(1)), "0.000001 USDC");
    }

    #[test]
    fn rejects_token_with_255_decimals_without_a_panic() {
        let odd = Token {
            decimals: 255,
            ..usdc()
        };
        assert_eq!(
            units("1.5", &odd).map_err(|error| error.why),
            Err(Why::Number(ParseAmountError::TooLarge))
        );
        assert!(odd.show(U256::from(1)).starts_with("0.000"));
    }
}
