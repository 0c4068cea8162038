//! Offers after all checks.

use crate::{
    ledger::{Currencies, Currency},
    offers::{capacity::CapacityTerms, free::FreeTier, glob::Glob, work::CostTable},
};
use cheque::{
    Address, Amount, Bank,
    bank::{RateBounds, RateSource, RateSourceError, TokenRates},
};
use http::Method;
use serde::Deserialize;
use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

/// A checked file of offers: tokens and routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    pub(super) tokens: Vec<Arc<Token>>,
    pub(super) currencies: Currencies,
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) free_without_route: bool,
    pub(super) facilitator: Option<String>,
    pub(super) capacity: Option<CapacityTerms>,
}

/// What a file of offers takes from its gateway. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The bank of tokens that name none.
    pub bank: Bank,
    /// The least payout of the payee's policy as a multiple of the cost of redeeming, by which prices with `net = true` are
    /// raised.
    pub min_payout_costs: u32,
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
    /// The source of its rate against the native coin, in which redemptions are paid. `None` for the native coin, and where the
    /// payee has the rate by its flags.
    pub rate: Option<TokenRate>,
    /// The terms of its transfers by the scheme `exact`. `None`: it is not sold so.
    pub exact: Option<ExactTerms>,
}

/// The terms of transfers by the scheme `exact`. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactTerms {
    /// The receiver of the money.
    pub pay_to: Address,
    /// The name in the token's domain of EIP-712.
    pub name: String,
    /// The version in the token's domain of EIP-712.
    pub version: String,
}

/// The source of a token's rate, and the bounds within which it counts. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRate {
    /// The source.
    pub source: RateSource,
    /// The bounds.
    pub bounds: RateBounds,
}

/// The way in which the units of an answer are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// The upstream reports their number in a header.
    #[default]
    Reported,
    /// The gateway counts the events of a `text/event-stream`, and the messages of a WebSocket.
    Events,
    /// The upstream's object `usage` at the end of its answer has the number of tokens, as in the API of OpenAI.
    OpenaiUsage,
}

/// A route of the upstream, with its prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) method: Option<Method>,
    pub(super) path: Glob,
    /// In the order of the file's tokens; empty for a free route.
    pub(super) prices: Vec<Price>,
    pub(super) unit: Option<String>,
    pub(super) meter: Meter,
    /// The prices of calls by their method of JSON-RPC, in the order of `prices`. `None`: bodies are not priced.
    pub(super) calls: Option<BTreeMap<String, Vec<Amount>>>,
    pub(super) free: Option<FreeTier>,
    pub(super) charge_4xx: bool,
    pub(super) websocket: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) per_kib: Amount,
    pub(super) per_second: Amount,
    pub(super) per_unit: Amount,
    /// The number of units that `per_unit` buys.
    pub(super) unit_size: NonZeroU64,
    /// The most that the variable part costs.
    pub(super) max: Amount,
}

/// No variable part.
impl Default for Rates {
    fn default() -> Self {
        Self {
            per_kib: Amount::ZERO,
            per_second: Amount::ZERO,
            per_unit: Amount::ZERO,
            unit_size: NonZeroU64::MIN,
            max: Amount::ZERO,
        }
    }
}

impl Offers {
    /// Sells every request at the same price.
    ///
    /// `first_free` requests of each client cost nothing.
    pub fn uniform(token: Token, price: Amount, first_free: Option<u32>) -> Self {
        let token = Arc::new(token);
        let price = Price {
            token: Arc::clone(&token),
            fixed: price,
            rates: Rates::default(),
        };
        let route = Route {
            method: None,
            path: Glob::all(),
            prices: vec![price],
            unit: None,
            meter: Meter::Reported,
            calls: None,
            free: first_free.map(|requests| FreeTier {
                requests,
                window: None,
            }),
            charge_4xx: false,
            websocket: false,
            description: None,
            cost: CostTable::default(),
        };
        Self {
            tokens: vec![token],
            currencies: Currencies::distinct(),
            routes: vec![Arc::new(route)],
            free_without_route: false,
            facilitator: None,
            capacity: None,
        }
    }

    /// Has the rates of a bank's tokens followed, where the file names a source. `rates` are those of the bank's payee.
    ///
    /// # Errors
    ///
    /// Never for offers that were parsed: their rates were checked.
    pub fn follow_rates(&self, bank: &Bank, rates: &TokenRates) -> Result<(), RateSourceError> {
        let here = |token: &&Token| Bank::new(token.currency.chain_id, token.bank) == *bank;
        for token in self.tokens().filter(here) {
            if let Some(rate) = &token.rate {
                let address = token.currency.token;
                rates.follow(address, token.decimals, rate.source.clone(), rate.bounds)?;
            }
        }
        Ok(())
    }

    /// Returns the tokens, in the order of their names.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().map(|token| &**token)
    }

    /// Returns the URL of the facilitator for the scheme `exact`, for [`Facilitator::new`](crate::exact::Facilitator::new).
    pub fn facilitator(&self) -> Option<&str> {
        self.facilitator.as_deref()
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
