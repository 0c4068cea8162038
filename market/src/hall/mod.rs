//! The hall of a provider: one owner of clients, capacities and the sale of tokens.
//!
//! A [`Hall`] takes over a [`ClientPool`](crate::pool::ClientPool) and, in token mode, a [`TokenSale`]. All that
//! happens goes through it: connections, payments, served requests, trades, limits. It has no clock, thread or lock:
//! times are arguments, and the host calls [`Hall::poll`] at [`Hall::next_event`].
//!
//! # Commits
//!
//! Between [`Hall::begin`] and [`Hall::commit`] the hall makes no write. It collects the records of all operations, and
//! the commit writes them as one batch, which the store commits together with other writers' batches. So thousands of
//! payments share a write, and no lock is held while the disk works. Answer only after the commit.
//!
//! If the write fails, the hall reads back whether it was made. If not, the balances of the touched accounts and the
//! sale are as they were. While that cannot be read, the hall refuses operations.
//!
//! Operations that change more than balances, such as connecting, cannot be undone. After [`Hall::stay`] the operations of
//! a batch count in any case: a batch that was not written is [owed](Hall::owed), and the hall refuses operations until
//! it is.
//!
//! # Tokens expire while capacity is free
//!
//! Every ten seconds the hall computes the free share of its capacity, moves the token limit and the base price, and
//! takes the currency of spent tokens as earned. Every ten minutes it announces the rate of expiration for the next ten
//! minutes: none while tokens compete for capacity, the full one while all tokens can be spent.
//!
//! Tokens are bought and sold in whole numbers, for money in `u128`. The rest of a payment is told as change, and money
//! never goes through the token engine.

mod commit;
pub(crate) mod error;
mod exchange;
pub(crate) mod limits;
pub(crate) mod owner;
pub(crate) mod sale;
#[cfg(test)]
mod tests;

pub use error::{CommitError, HallError};
pub use exchange::{Order, Trade};
pub use owner::Hall;
pub use sale::{Expiration, SaleTerms, TokenSale};
