//! The client of the bank contract: [`Reader::open`] checks the contract and then answers questions about deposits,
//! purses, draws and costs.
//!
//! A reader believes its node. A node can hide blocks and invent purses; it cannot sign, and cannot make a header that
//! does not hash to its block's hash. [`Reader::checked_head`] finds the faults that happen without malice. [`Heads`]
//! waits for new blocks, and a [`Cursor`] keeps the place in the chain across restarts. All of this needs a tokio runtime
//! with time enabled.

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
