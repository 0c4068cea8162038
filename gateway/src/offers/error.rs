//! Faults of a file of offers, each with its line.

use crate::ledger::Currency;
use cheque::bank::RateSourceError;
use cheque_market::admission::SettingsError;
use std::ops::Range;

/// A fault of a file of offers. Nothing of a faulty file counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct OffersError {
    /// The line of the fault, from 1.
    pub line: usize,
    /// The fault.
    pub fault: OffersFault,
}

/// What is wrong with a file of offers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffersFault {
    /// The text is not TOML, or has a key or a type that offers do not have.
    #[error("{0}")]
    Toml(String),
    /// The file lists no token, or no route.
    #[error("the file has no {0}; add one")]
    Empty(&'static str),
    /// A token of a contract has no decimals.
    #[error("token {0} has no decimals; set decimals as its contract says")]
    NoDecimals(String),
    /// The native coin has other decimals than those of every chain.
    #[error("{0} has no address, so it is the chain's coin, and that has 18 decimals")]
    CoinDecimals(String),
    /// A price is in a token that the file does not list.
    #[error("token {0} is not listed under [tokens]; add it there")]
    UnknownToken(String),
    /// Two names stand for one token.
    #[error("tokens {0} and {1} are the same one; remove one")]
    SameToken(String, String),
    /// Tokens that count as equal have different decimals, so their units differ.
    #[error("{0} has {1} decimals, and {2} has {3}; only tokens with equal decimals can be equal")]
    Decimals(String, u8, String, u8),
    /// A token counts as equal to one that itself counts as equal to another.
    #[error("{0} counts as another token itself; name that one")]
    EqualChain(String),
    /// The rate of a token is wrong.
    #[error("tokens_per_coin: {0}")]
    Rate(#[from] RateSourceError),
    /// The native coin has a rate.
    #[error("the native coin needs no rate; remove it, or name the token's address")]
    RateOfCoin,
    /// A token is to be sold by the scheme `exact`, and nobody makes the transfers.
    #[error("eip712 is for sales by exact; set facilitator and pay_to under [exact], or remove it")]
    NoFacilitator,
    /// The native coin is to be sold by the scheme `exact`.
    #[error("the native coin has no authorizations by EIP-3009; remove eip712")]
    ExactCoin,
    /// A facilitator is set, and no token is sold by it.
    #[error("no token has eip712; set its name and version, or remove [exact]")]
    NoExactToken,
    /// A fixed rate has bounds.
    #[error("rate_max_age and rate_max_jump bound a file or a feed; remove them")]
    RateBounds,
    /// A text is no duration.
    #[error("{0:?} is no duration; write one such as 90m or 25h")]
    Duration(String),
    /// A path is not a pattern.
    #[error("{0}")]
    Path(&'static str),
    /// A method is not one of HTTP.
    #[error("{0} is not a method of HTTP; write it in upper case")]
    Method(String),
    /// A route has both a price and `free = true`, or neither.
    #[error("a route has either prices or free = true")]
    FreeOrPriced,
    /// A route has variable prices in a token, and no maximum.
    #[error("the variable prices in {0} have no maximum; set max.{0}")]
    NoMax(String),
    /// A route has a maximum in a token without variable prices.
    #[error(
        "max.{0} has no variable price to bound; remove it, or set per_kib, per_second or per_unit"
    )]
    NoVariable(String),
    /// A price is in a token in which the route has no price of its own.
    #[error("the route has no price in {0}; set price.{0}, which may be 0")]
    NoPrice(String),
    /// A method of JSON-RPC lacks the price in one of the route's tokens.
    #[error("method {0} has no price in {1}; a call is sold in all tokens of its route")]
    NoCallPrice(String, String),
    /// A route has a price per unit and no name of the unit, or the reverse.
    #[error("per_unit and unit belong together; set both")]
    Unit,
    /// A route says how units are counted, and prices none.
    #[error("{0} is about units; set per_unit and unit, too")]
    NoUnits(&'static str),
    /// Two free allowances of a route.
    #[error("first_free and free_per_day exclude each other; remove one")]
    TwoFree,
    /// No request reaches a route.
    #[error("the route in line {0} takes the same requests before this one; remove one")]
    Unreachable(usize),
    /// A price is above 2^128 - 1 with the markup of `net = true`.
    #[error("the price with its markup is above 2^128 - 1 units")]
    TooHigh,
    /// The cost of a route depends on the answer, and has no maximum, or the reverse.
    #[error("cost.max belongs to cost.per_kib and cost.per_ms; set it with one of them, or none")]
    CostMax,
    /// The capacity is out of bounds.
    #[error(transparent)]
    Capacity(SettingsError),
    /// A rate is zero.
    #[error("a rate of 0 serves nothing; set 1 or more units per second")]
    TierRate,
    /// A tier depends on payments in several tokens, or none.
    #[error("a tier begins at an amount of one token; set paid = {{ <token> = <units> }}")]
    TierToken,
    /// A tier begins at no more than the one before.
    #[error("tiers are in ascending order of what is paid, from above 0; sort them")]
    TierOrder,
    /// A request of a route could never be served.
    #[error(
        "a request of this route costs up to {cost} units, and at most {max} are served at once; raise the \
         bursts of the capacity, or lower the cost"
    )]
    TooCostly {
        /// The most that one call costs.
        cost: u64,
        /// The smallest burst of those that may call it.
        max: u64,
    },
    /// Payments in a token cannot be compared with those in another.
    #[error(
        "no route tells what {0} is worth beside the other tokens; sell one route in {0} and another token"
    )]
    NoRelation(String),
    /// Two currencies count as equal, and a route has prices in both.
    #[error("the route has prices in {0:?} and in a token that counts as equal; keep one")]
    EqualPrices(Currency),
}

impl OffersError {
    pub(super) fn at(text: &str, span: Range<usize>, fault: OffersFault) -> Self {
        let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { line, fault }
    }
}
