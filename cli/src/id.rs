//! Ids of deposits as typed: whole, or as many of the first digits as are unique in the store.

use std::{collections::BTreeSet, fmt, str::FromStr};

use cheque::{DepositId, payee::Payee, payer::Payer};
use eyre::{Report, Result, WrapErr, bail, ensure, eyre};

/// The fewest digits of an id. A typing error of fewer digits could name another deposit.
const MIN_DIGITS: usize = 4;
const DIGITS: usize = 64;

/// The id of a deposit, or its first digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdText {
    /// Lower case, with the prefix.
    text: String,
}

impl FromStr for IdText {
    type Err = Report;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0x").unwrap_or_default();
        let is_id = (MIN_DIGITS..=DIGITS).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        ensure!(
            is_id,
            "`{text}` is not a deposit; write 0x and its 64 hex digits, or at least the first {MIN_DIGITS}"
        );
        Ok(Self {
            text: text.to_ascii_lowercase(),
        })
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl IdText {
    /// The whole id, for verbs without a store.
    ///
    /// # Errors
    /// Fails if digits are missing.
    pub(crate) fn whole(&self) -> Result<DepositId> {
        let whole = (self.text.len() == "0x".len() + DIGITS).then(|| self.text.parse());
        let whole = whole.ok_or_else(|| {
            eyre!("{self} is not a whole id; without the store, write all {DIGITS} digits")
        })?;
        whole.wrap_err_with(|| self.to_string())
    }

    /// Finds the payer's deposit.
    pub(crate) async fn of_payer(&self, payer: &Payer) -> Result<DepositId> {
        if let Ok(id) = self.whole() {
            return Ok(id);
        }
        let deposits = payer.deposits().await?;
        self.only_one(deposits.into_iter().map(|(id, _)| id))
    }

    /// Finds a deposit of which the payee holds cheques.
    pub(crate) async fn of_payee(&self, payee: &Payee) -> Result<DepositId> {
        if let Ok(id) = self.whole() {
            return Ok(id);
        }
        let positions = payee.positions().await?;
        self.only_one(positions.iter().map(|position| position.deposit_id()))
    }

    fn only_one(&self, ids: impl Iterator<Item = DepositId>) -> Result<DepositId> {
        let found = ids.filter(|id| id.to_string().starts_with(&self.text));
        let found: BTreeSet<_> = found.collect();
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => {
                bail!("no deposit of the store begins with {self}; check the id and the store")
            }
            (Some(one), Some(other)) => bail!(
                "{self} is the beginning of several deposits, such as {one} and {other}; write more digits"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8, last: u8) -> DepositId {
        let text = format!("0x{first:02x}{}{last:02x}", "ab".repeat(30));
        text.parse().unwrap()
    }

    #[test]
    fn finds_the_only_deposit_with_these_digits() {
        let all = [id(0x5f, 1), id(0x5f, 2), id(0x60, 1)];
        let find = |text: &str| {
            let typed: IdText = text.parse().unwrap();
            let found = typed.only_one(all.into_iter());
            found.map_err(|error| error.to_string())
        };
        assert_eq!(find("0x60ab"), Ok(id(0x60, 1)));
        assert_eq!(find("0x60AB"), Ok(id(0x60, 1)));
        assert!(find("0x5fab").unwrap_err().contains("write more digits"));
        assert!(
            find("0x61ab")
                .unwrap_err()
                .contains("no deposit of the store")
        );
        let typed: IdText = id(1, 2).to_string().parse().unwrap();
        assert_eq!(typed.whole().unwrap(), id(1, 2));
        assert!("0x60ab".parse::<IdText>().unwrap().whole().is_err());
    }

    #[test]
    fn rejects_ids_that_are_empty_short_long_or_no_digits() {
        let long = format!("0x{}", "0".repeat(65));
        for text in ["", " ", "0x", "0x5f3", "5f3c", "0x5f3g", "0x 5f3c", &long] {
            assert!(text.parse::<IdText>().is_err(), "{text:?}");
        }
    }
}
