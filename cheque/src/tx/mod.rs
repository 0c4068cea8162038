//! Transactions of an account: signed by a [`Wallet`], stored before they are sent, replaced with a higher fee while they
//! stay pending, and cancelled once they are obsolete.
//!
//! An [`IdempotentSender`] sends a single transaction for each purpose, across restarts.

pub(crate) mod error;
pub(crate) mod estimate;
mod fees;
pub(crate) mod gas;
pub(crate) mod idempotent;
pub(crate) mod market;
pub(crate) mod nonce_guard;
pub(crate) mod outbox;
pub(crate) mod record;
mod wait;
pub(crate) mod wallet;

pub use error::{ImplausibleFee, OutboxError, TxError};
pub use estimate::Estimate;
pub use idempotent::IdempotentSender;
pub use outbox::{TxStatus, cancel::Cancellation};
pub use record::TxRecord;
pub use wallet::{Call, MinedTx, Wallet};
