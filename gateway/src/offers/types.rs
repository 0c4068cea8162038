//! Offers after all checks.

use crate::{
    ledger::{Currencies, Currency},
    offers::{capacity::CapacityTerms, free::FreeTier, glob::Glob, work::CostTable},
};
use cheque::{Address, Amount};
use http::Method;
use std::{collections::BTreeMap, sync::Arc};

/// A checked file of offers: tokens and routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    pub(super) tokens: Vec<Arc<Token>>,
    pub(super) currencies: Currencies,
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) free_without_route: bool,
    pub(super) capacity: Option<CapacityTerms>,
}

/// A token in which requests are sold. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The name in the file.
    pub name: String,
    /// The token and its chain.
    pub currency: Currency,
    /// The bank whose deposits pay.
    pub bank: Address,
    /// The decimals of the token.
    pub decimals: u8,
}

/// A route of the upstream, with its prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) method: Option<Method>,
    pub(super) path: Glob,
    /// In the order of the file's tokens; empty for a free route.
    pub(super) prices: Vec<Price>,
    pub(super) unit: Option<String>,
    /// The prices of calls by their method of JSON-RPC, in the order of `prices`. `None`: bodies are not priced.
    pub(super) calls: Option<BTreeMap<String, Vec<Amount>>>,
    pub(super) free: Option<FreeTier>,
    pub(super) charge_4xx: bool,
    pub(super) description: Option<String>,
    pub(super) cost: CostTable,
}

/// The price of a route in one token, in its units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) token: Arc<Token>,
    /// Of a request, or of a call without a price of its own.
    pub(super) fixed: Amount,
    pub(super) rates: Rates,
}

/// The variable part of a price: what an answer costs by its size, time and units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) per_kib: Amount,
    pub(super) per_second: Amount,
    pub(super) per_unit: Amount,
    /// The most that the variable part costs.
    pub(super) max: Amount,
}

impl Offers {
    /// Returns the tokens, in the order of their names.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().map(|token| &**token)
    }

    /// Returns the capacity; `None` without a limit.
    pub const fn capacity(&self) -> Option<&CapacityTerms> {
        self.capacity.as_ref()
    }

    /// Returns the currencies that the file lists as equal, for the ledger.
    pub const fn currencies(&self) -> &Currencies {
        &self.currencies
    }
}

impl Route {
    /// True if a client may have an answer without paying.
    pub(super) const fn is_ever_free(&self) -> bool {
        self.prices.is_empty() || self.free.is_some()
    }
}

impl Rates {
    pub(super) const fn is_variable(&self) -> bool {
        !self.per_kib.is_zero() || !self.per_second.is_zero() || !self.per_unit.is_zero()
    }
}
