//! Values that expire.
//!
//! An [`ExpiringValue`] loses the same share of itself in every unit of time. Its holder sees stable units. The
//! record has inflationary units, `base · 2^exp`, so passing time changes no record. All values of a kind share one
//! [`LogOffset`], the base-2 logarithm of the exchange rate between the two units:
//!
//! ```text
//! value(offset) = floor( base · 2^(exp - offset) )
//! ```
//!
//! An [`Expirer`] computes the offset of a moment: `offset(now) = offset + elapsed · rate`, with a rate of 1/h
//! octaves for a half-life h and 1/(c · ln 2) octaves for a time constant c. A [`LinearExpiringValue`] loses one unit
//! in every period instead.
//!
//! The formulas are those of the LES payment work in go-ethereum, which computed them in floating point. This module
//! uses integers. The only inexact step is the factor `2^fraction`, rounded up by less than 2^-121 of itself. So the
//! value read is never above the true value, and below it by less than one unit and 2^-57.

pub(crate) mod expirer;
pub(crate) mod expiring;
pub(crate) mod linear;
pub(crate) mod log;

pub use expirer::{ExpirationRate, Expirer};
pub use expiring::ExpiringValue;
pub use linear::LinearExpiringValue;
pub use log::{LoadOffsetError, Log2, LogOffset};
