//! Who gets how much of the next deposit, and what its fee adds to the payments made from it.
//!
//! A deposit grants every node an allowance before anything is bought, so it has to be guessed who will be paid. The
//! [`Composer`] learns it from payments:
//!
//! - Every amount paid adds four times itself to the node's *future credit*. Up to 7/8 of the next deposit follows future
//!   credit. The rest, at least 1/8, follows prior weights, by which nodes that nobody has tried yet are found. A node
//!   that proves itself can so grow fourfold with every deposit, and one that is not used any more falls back to its
//!   prior share.
//! - The fee of the deposit's transactions is charged to payments little by little. Each allowance is cut into 64 parts of
//!   equal size. A payment adds what it uses of a part to that part's bucket, which all nodes share, and a bucket counts up
//!   to 1/16 of the deposit: `charged = fee · Σ buckets / (64 · 1/16 · 0.95)`, at most the fee. So the fee is paid off by
//!   spending from several allowances evenly, and whoever empties a single one pays for little more than that.
//! - The next deposit is due when the fee is all charged, or 100 blocks before the newest stops taking payments.
//!
//! The rules are those of the LES payment work in go-ethereum. Where they are silent: future credit that a deposit could
//! not serve is carried over at a quarter; so is that of nodes that were no candidates; allowances of older deposits are
//! used up first, in the order in which they stop; and what is left of a fee when the next deposit is there is the payer's.
//!
//! Rounding: a node's share by use is rounded down, and the sum of shares by prior weight is, up to each node, so that all
//! allowances together are exactly the deposit. The charged fee is rounded down, and is all of the fee at the end.
//!
//! A composer has no clock and no chain: times in seconds and block numbers are arguments. It sends nothing. Store
//! [`Composer::to_bytes`] in one transaction with whatever a payment or a deposit changes elsewhere.

mod composer;
mod meter;
mod pay;
mod record;
mod share;
#[cfg(test)]
mod tests;

pub use composer::{Changes, ComposeError, Composer, Composition, Credit, Due, OpenedError};
pub use pay::{Piece, Quote, QuoteError, StaleQuote};
pub use record::LoadComposerError;
