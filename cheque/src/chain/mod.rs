//! The client: follows a chain, sends transactions, opens and redeems deposits.

mod calls;
mod clock;
mod connect;
mod cost;
mod error;
mod outbox;
mod reader;
mod sender;
mod stored;
mod token;

pub use connect::connect;
pub use cost::{Prices, Rate, Rates};
pub use error::{ChainError, Refusal, reason};
pub use outbox::OnceError;
pub use reader::{Closed, DrawBlock, Head, PurseKey, Reader};
pub use sender::{Call, Estimate, Sender, Sent};
pub use stored::StoredError;
pub use token::Token;
