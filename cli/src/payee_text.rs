//! Payees as typed: addresses, or names of a deposit's list.

use std::str::FromStr;

use alloy::primitives::Address;
use cheque::{
    DepositId,
    payer::{PayeeName, Payer},
};
use eyre::{Report, Result, WrapErr};

use crate::allowances::parse_address;

/// A payee of a deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PayeeText {
    Address(Address),
    /// The name that the deposit's list of payees gives it.
    Name(PayeeName),
}

impl FromStr for PayeeText {
    type Err = Report;

    fn from_str(text: &str) -> Result<Self> {
        if PayeeName::is_address(text) {
            return parse_address(text).map(Self::Address);
        }
        let name = text.parse();
        let name = name.wrap_err_with(|| format!("`{text}` is neither an address nor a name"))?;
        Ok(Self::Name(name))
    }
}

impl PayeeText {
    /// Finds the payee's address.
    ///
    /// # Errors
    /// Fails if the deposit's list gives the name to no payee, or to several.
    pub(crate) async fn of_deposit(&self, payer: &Payer, id: DepositId) -> Result<Address> {
        match self {
            Self::Address(address) => Ok(*address),
            Self::Name(name) => Ok(payer.payee_named(id, name).await?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_text_like_an_address_for_an_address() {
        let address = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
        let whole = PayeeText::Address(address.parse().unwrap());
        for text in [address, &address[2..], &address.to_lowercase()] {
            assert_eq!(text.parse::<PayeeText>().unwrap(), whole, "{text}");
        }
        let name: PayeeText = "alice".parse().unwrap();
        assert_eq!(name, PayeeText::Name("alice".parse().unwrap()));
        // A typing error makes no name of an address.
        for text in ["0xd8dA", "0Xalice", &address.replace('F', "f"), "", " "] {
            assert!(text.parse::<PayeeText>().is_err(), "{text:?}");
        }
    }
}
