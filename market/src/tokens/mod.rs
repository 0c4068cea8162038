//! Issuing tokens.
//!
//! A provider sells service tokens, and buys them back, at prices that rise with the number that exists. There are two
//! generations, both with the relative unit price of the LES payment work in go-ethereum. With x, the share of the token
//! limit that exists:
//!
//! ```text
//! price(x) = 2x             up to x = 1/2
//!            1 / (2 - 2x)   above
//! ```
//!
//! [`TokenIssuer`] lets the limit grow while there is free capacity and shrink while there is not, and [`TokenPrices`] has
//! the sums for a limit. [`BondingCurve`] also knows how much money it would take to buy all tokens back, the locked
//! currency, and never promises more; [`BasePriceDrift`] moves its base price with demand.
//!
//! All sums are differences of one function of the state, the integral of the price. So it makes no difference in how
//! many steps tokens are bought or sold, to the last unit, and nobody gains by splitting or by going back and forth.
//!
//! Orders arrive over a network: [`LastSerial`] refuses one that comes twice.

mod bonding;
mod curve;
mod drift;
mod issuer;
mod prices;
mod serial;

pub use bonding::{AdjustError, Adjusted, BondingCurve, Exchanged, RestoreCurveError};
pub use drift::BasePriceDrift;
pub use issuer::{FreeRatio, IssuerTerms, TokenIssuer, TokenIssuerError};
pub use prices::{BuyError, Rcu, SellError, TokenPrices};
pub use serial::{LastSerial, SerialError};

/// The largest number up to `end` that is `fine`, where 0 is and no number after one that is not.
fn most(end: u64, fine: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        // Rounded up, without the overflow of a sum.
        let middle = high - (high - low) / 2;
        if fine(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
