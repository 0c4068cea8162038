//! The client: follows a chain, sends transactions, opens and redeems deposits.
//!
//! [`connect`] to a node, then [`Reader::open`] a bank. A [`Payer`] opens deposits and writes cheques, a [`Payee`] takes
//! and redeems them; each keeps its state in a [`Store`](crate::store::Store), and can be killed at any moment. A
//! [`Sender`] signs and sends transactions; a [`Call`] is one to be sent or estimated.
//!
//! [`connect_all`] takes several nodes: one answers until it fails. [`Heads`] waits for new blocks, and a [`Cursor`] keeps
//! the place in the chain across restarts.
//!
//! It believes its node: whoever runs that can hide blocks and invent purses, but not sign, and not make a header that
//! does not hash to its block's hash. What breaks by itself it finds: see [`Reader::plausible_head`]. It needs a tokio
//! runtime with time enabled.

mod calls;
mod connect;
mod cost;
mod cursor;
mod endpoint;
mod error;
mod fees;
mod heads;
mod history;
mod host;
pub(crate) mod machine;
mod nodes;
mod once;
mod outbox;
mod payee;
mod payer;
mod reader;
mod redeem;
mod secrets;
mod sender;
mod sight;
mod stored;
mod token;
mod wait;

pub use connect::{connect, connect_all, connect_within};
pub use cost::{Prices, Rate, Rates};
pub use cursor::{Cursor, Since};
pub use error::{ChainError, Refusal, reason};
#[cfg(feature = "service")]
pub(crate) use heads::Follower;
pub use heads::Heads;
pub use history::FoundDeposit;
pub use host::{HostError, HostRecords};
pub use nodes::on_one_node;
pub use once::Once;
pub use outbox::{Cancellation, OnceError, Progress};
#[cfg(feature = "service")]
pub(crate) use outbox::{STUCK_AFTER, newest};
pub use payee::{
    Accepted, Looked, Payee, PlannedRedemption, Purpose, ReceiveError, RedeemOptions, Submitted,
    UnderWay,
};
pub use payer::{
    DepositEvent, DepositRequest, Draw, Funding, Opened, Payer, PayerError, Payment, Planned,
    Polled, SignedOpening,
};
pub use reader::{Closed, DrawBlock, Head, PurseKey, Reader};
pub use redeem::{RedeemError, Redeemed, RedeemedBatch, redeem, redeem_batch};
pub use sender::{Call, Estimate, Sender, Sent};
pub use sight::HeadError;
pub use stored::{HostChange, StoredError};
pub use token::Token;

pub use crate::store::{DepositRecord, DepositState};
