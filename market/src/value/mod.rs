//! Values that expire.
//!
//! An [`ExpiredValue`] loses the same share of itself in every unit of time. Its holder sees stable units; what is stored
//! are inflationary ones, `base · 2^exp`, so that time passing changes no record. One [`LogOffset`], the base-2 logarithm
//! of the exchange rate between the two, is shared by all values of a kind:
//!
//! ```text
//! value(offset) = floor( base · 2^(exp - offset) )
//! ```
//!
//! An [`Expirer`] tells the offset of a moment: `offset(now) = offset + elapsed · rate`, where a half-life h is the rate
//! 1/h octaves and a time constant c is 1/(c · ln 2) octaves. A [`LinearExpiredValue`] loses one unit in every period
//! instead.
//!
//! The formulas are those of the LES payment work in go-ethereum, which computed them in floating point. Here they are
//! integers. With F, the factor `2^fraction` rounded up by less than 2^-121 of it, in place of the true factor, all else
//! is exact; so a value is never read above the true one, and below it by less than one unit and 2^-57.

mod expired;
mod expirer;
mod linear;
mod log;

pub use expired::ExpiredValue;
pub use expirer::{ExpirationRate, Expirer};
pub use linear::LinearExpiredValue;
pub use log::{LoadOffsetError, Log2, LogOffset};
