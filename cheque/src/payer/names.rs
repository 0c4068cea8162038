//! The payer's own names of payees, which its allowance lists may give.

use std::{fmt, str::FromStr};

/// The largest number of characters of a name.
const MAX_CHARACTERS: usize = 100;

/// The payer's own name of a payee: up to 100 characters, and never the text of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayeeName(String);

/// The reason why a text is no name of a payee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayeeNameError {
    /// The text is empty, or too long.
    #[error("the name of a payee has 1 to {MAX_CHARACTERS} characters")]
    Length,
    /// The text has control characters, or begins or ends with a space.
    #[error("the name of a payee has no control characters, and no spaces at its ends")]
    Character,
    /// The text looks like an address.
    #[error("the name of a payee is no address, and does not begin with 0x; choose another name")]
    Address,
}

impl PayeeName {
    /// True for a text that can only be meant as an address: with the prefix 0x, or 40 hex digits.
    pub fn is_address(text: &str) -> bool {
        let is_digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        text.starts_with("0x") || text.starts_with("0X") || (text.len() == 40 && is_digits)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PayeeName {
    type Err = PayeeNameError;

    fn from_str(text: &str) -> Result<Self, PayeeNameError> {
        if !(1..=MAX_CHARACTERS).contains(&text.chars().count()) {
            return Err(PayeeNameError::Length);
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(PayeeNameError::Character);
        }
        if Self::is_address(text) {
            return Err(PayeeNameError::Address);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PayeeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_text_for_both_a_name_and_an_address() {
        let digits = "d8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
        let long = "x".repeat(MAX_CHARACTERS + 1);
        for (text, expected) in [
            ("alice", Ok(())),
            ("Alice B., caf\u{e9}", Ok(())),
            ("x0", Ok(())),
            (&long[1..], Ok(())),
            (&long, Err(PayeeNameError::Length)),
            ("", Err(PayeeNameError::Length)),
            (" alice", Err(PayeeNameError::Character)),
            ("al\u{7}ice", Err(PayeeNameError::Character)),
            ("0x", Err(PayeeNameError::Address)),
            ("0Xalice", Err(PayeeNameError::Address)),
            (digits, Err(PayeeNameError::Address)),
        ] {
            let name = text.parse::<PayeeName>();
            assert_eq!(name.map(drop), expected, "{text:?}");
        }
    }
}
