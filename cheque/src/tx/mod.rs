//! Transactions of one account: signed by a [`Wallet`], stored before they are sent, replaced for a higher fee when they
//! take long, and cancelled when they are no longer wanted.
//!
//! An [`IdempotentSender`] sends a transaction once for its purpose, across restarts.

pub(crate) mod error;
mod fees;
pub(crate) mod idempotent;
pub(crate) mod outbox;
pub(crate) mod record;
mod wait;
pub(crate) mod wallet;

pub use error::{OutboxError, TxError};
pub use idempotent::IdempotentSender;
pub use outbox::{TxStatus, cancel::Cancellation};
pub use record::TxRecord;
pub use wallet::{Call, Estimate, MinedTx, Wallet};
