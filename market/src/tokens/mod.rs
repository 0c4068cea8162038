//! Issuing tokens.
//!
//! A provider sells and buys back service tokens at prices that rise with the number of existing tokens. There are
//! two generations, both with the relative unit price of the LES payment work in go-ethereum. With x, the existing
//! share of the token limit:
//!
//! ```text
//! price(x) = 2x             up to x = 1/2
//!            1 / (2 - 2x)   above
//! ```
//!
//! [`TokenIssuer`] raises the limit while capacity is free and lowers it otherwise; [`TokenPrices`] has the sums for
//! a limit. [`BondingCurve`] also tracks the cost of buying back all tokens, the locked currency, and never promises
//! more. [`BasePriceDrift`] moves the base price of a curve with demand.
//!
//! All sums are differences of one function of the state, the integral of the price. So the number of steps of a
//! purchase or sale makes no difference, to the last unit, and nobody gains by splitting trades or by going back and
//! forth.
//!
//! Orders arrive over a network: [`LastSerial`] refuses a repeated order.

pub(crate) mod bonding;
pub(crate) mod curve;
pub(crate) mod drift;
pub(crate) mod issuer;
pub(crate) mod prices;
pub(crate) mod search;
pub(crate) mod serial;

pub use bonding::{Adjusted, BondingCurve, Exchanged, RestoreCurveError};
pub use drift::BasePriceDrift;
pub use issuer::{FreeRatio, IssuerTerms, TokenIssuer, TokenIssuerError};
pub use prices::{BuyError, Rcu, TokenPrices};
pub use serial::{LastSerial, SerialError};
