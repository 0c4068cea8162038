//! Division of the next deposit among providers, and the share of its fee in payments.
//!
//! A deposit grants every provider an allowance before the first purchase, so the payer must guess future payments.
//! The [`Composer`] learns them from past payments:
//!
//! - A payment adds four times its amount to the provider's *future credit*. Up to 7/8 of the next deposit follows
//!   future credit. The rest, at least 1/8, follows prior weights and so reaches untried providers. A good provider
//!   can grow fourfold with every deposit, and an unused provider falls back to its prior share.
//! - Payments are charged the fee of the deposit's transactions in small parts. Each allowance is divided into 64
//!   parts of equal size. A payment adds its use of a part to the bucket of that part, common to all providers, and a
//!   bucket counts up to 1/16 of the deposit: `charged = fee · Σ buckets / (64 · 1/16 · 0.95)`, at most the fee. So
//!   even spending from several allowances pays off the fee, and emptying a single allowance is charged for little
//!   more than that one.
//! - The next deposit is due once the whole fee is charged, or 20 minutes before the newest stops taking payments.
//!
//! The rules are those of the LES payment work in go-ethereum, with additions: a quarter of the future credit that a
//! deposit could not serve is carried over; so is a quarter of the credit of providers that were no candidates;
//! allowances of older deposits are used first, in the order in which the deposits end; the payer bears the rest of a
//! fee when the next deposit opens.
//!
//! Rounding: a provider's share by use is rounded down. The sums of shares by prior weight, up to each provider, are
//! rounded down, so that all allowances together are exactly the deposit. The charged fee is rounded down, and
//! reaches the whole fee at the end.
//!
//! A composer has no clock and no chain: times in seconds since 1970 are arguments. It sends nothing. Store
//! [`Composer::to_bytes`] in one transaction with the other changes of a payment or deposit.

pub(crate) mod composer;
pub(crate) mod error;
pub(crate) mod meter;
pub(crate) mod pay;
pub(crate) mod record;
pub(crate) mod share;
#[cfg(test)]
mod tests;
pub(crate) mod types;

pub use composer::Composer;
pub use error::{ComposeError, OpenedError};
pub use pay::{Piece, Quote, QuoteError, StaleQuote};
pub use record::LoadComposerError;
pub use types::{Changes, Composition, Credit, Due};
