//! The client: follows a chain, sends transactions, opens and redeems deposits.

mod clock;
mod connect;
mod cost;
mod error;
mod reader;

pub use connect::connect;
pub use cost::{Prices, Rate, Rates};
pub use error::{ChainError, Refusal, reason};
pub use reader::{Closed, DrawBlock, Head, PurseKey, Reader};
