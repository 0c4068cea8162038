//! The client of the bank contract: [`Reader::open`] checks the contract; the reader then reads deposits, purses, draws and
//! costs.
//!
//! A reader trusts its node. A node can hide blocks and invent purses; a node can neither sign nor make a header with the
//! hash of another block. [`Reader::checked_head`] detects faults without malice. [`Heads`] waits for new blocks, and a
//! [`Cursor`] keeps the place in the chain across restarts. Needs a tokio runtime with time enabled.

pub(crate) mod calls;
pub(crate) mod cost;
pub(crate) mod cursor;
pub(crate) mod error;
pub(crate) mod head;
mod head_check;
pub(crate) mod heads;
pub(crate) mod history;
pub(crate) mod reader;
pub(crate) mod redeem;
pub(crate) mod seen;
pub(crate) mod snapshot;
pub(crate) mod token;

pub use cost::{GasPrices, NativeRate, NativeRates};
pub use cursor::{Cursor, Since};
pub use error::BankError;
pub use head::{Head, HeadCheckError};
pub use heads::Heads;
pub use history::{Closed, FoundDeposit};
pub use reader::{DrawBlock, PurseKey, Reader};
pub use redeem::{RedeemError, Redeemed, RedeemedBatch, redeem, redeem_batch};
pub use seen::{SeenBlock, SeenRecord, seen_key};
pub use token::Token;
