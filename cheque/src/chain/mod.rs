//! The client: follows a chain, sends transactions, opens and redeems deposits.
//!
//! [`connect`] to a node, then [`Reader::open`] a bank. A [`Payer`] opens deposits and writes cheques, a [`Payee`] takes
//! and redeems them; each keeps its state in a [`Store`](crate::store::Store), and can be killed at any moment. A
//! [`Wallet`] signs and sends transactions; a [`Call`] is one to be sent or estimated.
//!
//! [`connect_all`] takes several nodes: one answers until it fails. [`Heads`] waits for new blocks, and a [`Cursor`] keeps
//! the place in the chain across restarts.
//!
//! It believes its node: whoever runs that can hide blocks and invent purses, but not sign, and not make a header that
//! does not hash to its block's hash. What breaks by itself it finds: see [`Reader::checked_head`]. It needs a tokio
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
mod sight;
mod stored;
mod token;
mod wait;
mod wallet;

pub use connect::{connect, connect_all, connect_within};
pub use cost::{GasPrices, NativeRate, NativeRates};
pub use cursor::{Cursor, Since};
pub use error::{ChainError, Refusal, reason};
#[cfg(feature = "service")]
pub(crate) use heads::Follower;
pub use heads::Heads;
pub use history::FoundDeposit;
pub use host::{AppRecords, AppRecordsError};
pub use nodes::pin_node;
pub use once::IdempotentSender;
pub use outbox::{Cancellation, OutboxError, TxStatus};
#[cfg(feature = "service")]
pub(crate) use outbox::{STUCK_AFTER, newest};
pub use payee::{
    Accepted, Judged, Payee, PendingTx, PlannedRedemption, Purpose, ReceiveError, RedeemOptions,
    Submitted,
};
pub use payer::{
    DepositEvent, DepositRequest, Draw, Funding, Opened, Payer, PayerError, Payment, Planned,
    PollReport, SignedOpening,
};
pub use reader::{Closed, DrawBlock, Head, PurseKey, Reader};
pub use redeem::{RedeemError, Redeemed, RedeemedBatch, redeem, redeem_batch};
pub use sight::HeadCheckError;
pub use stored::{AppChange, StoredError};
pub use token::Token;
pub use wallet::{Call, Estimate, MinedTx, Wallet};

pub use crate::store::{DepositRecord, DepositState};
