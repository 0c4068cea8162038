//! The client of the bank contract: [`Reader::open`] checks the contract; the reader then reads deposits, purses, seeds and
//! costs. A [`SeedBook`] has the verified rounds of the bank's beacon.
//!
//! A reader trusts its node. A node can hide blocks and invent purses; a node can neither sign cheques nor make a round of
//! the beacon. [`Reader::checked_head`] detects faults without malice. [`Heads`] waits for new blocks, and a [`Cursor`] keeps
//! the place in the chain across restarts. Needs a tokio runtime with time enabled.

pub(crate) mod blocks;
pub(crate) mod calls;
pub(crate) mod cost;
pub(crate) mod cursor;
pub(crate) mod due_rounds;
pub(crate) mod ends;
pub(crate) mod error;
#[cfg(test)]
pub(crate) mod fake_bank;
#[cfg(test)]
pub(crate) mod fake_chain;
mod finality;
mod followed;
pub(crate) mod head;
mod head_check;
pub(crate) mod heads;
pub(crate) mod history;
pub(crate) mod purses;
pub(crate) mod rates;
pub(crate) mod reader;
pub(crate) mod redeem;
pub(crate) mod seeds;
pub(crate) mod seen;
#[cfg(test)]
#[cfg(feature = "local-beacon")]
pub(crate) mod stopped_relay;
pub(crate) mod token;

pub use cost::{GasPrices, NativeRate, NativeRates};
pub use cursor::{Cursor, Since};
pub use ends::Closed;
pub use error::BankError;
pub use head::{FinalBlock, Head, HeadCheckError, read_block};
pub use heads::Heads;
pub use history::FoundDeposit;
pub use purses::PurseKey;
pub use rates::{RateBounds, RateFault, RateSource, RateSourceError, TokenRates};
pub use reader::Reader;
pub use redeem::{RedeemError, Redeemed, RedeemedBatch, redeem, redeem_batch};
pub use seeds::{SeedBook, SeedError};
pub use seen::{SeenBlock, SeenRecord, seen_key};
pub use token::Token;
