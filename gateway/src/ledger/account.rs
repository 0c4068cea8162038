//! Accounts: whose money, and in which currency.

use cheque::Address;
use std::collections::BTreeMap;

/// A token on a chain. The native coin is the zero address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    /// The chain's id.
    pub chain_id: u64,
    /// The token.
    pub token: Address,
}

/// The owner of a balance: a signer of deposits, in one currency.
///
/// Balances of two currencies are never merged: one coin of a cheap chain must not buy the worth of a dear one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// The signer of the deposits that pay.
    pub signer: Address,
    /// The currency, after [`Currencies::canonical`].
    pub currency: Currency,
}

/// The currencies that the operator has listed as equal. Amounts pass between them unit by unit, so their decimals must be
/// equal, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Currencies(BTreeMap<Currency, Currency>);

impl Currencies {
    /// Makes no two currencies equal.
    pub const fn distinct() -> Self {
        Self(BTreeMap::new())
    }

    /// Counts `currency` as `canonical` from now on. Balances from before stay where they are.
    pub fn merge(&mut self, currency: Currency, canonical: Currency) {
        let canonical = self.canonical(canonical);
        self.0.insert(currency, canonical);
    }

    /// Returns the currency under which the ledger keeps the balance.
    pub fn canonical(&self, currency: Currency) -> Currency {
        self.0.get(&currency).copied().unwrap_or(currency)
    }
}
