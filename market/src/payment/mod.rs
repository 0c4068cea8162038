//! Payment modules as plug-ins.
//!
//! A module has an *identity*, a string known to both ends, a [`PaymentSender`] at the client and a
//! [`ReceiverModule`] at the provider. Before the first payment both ends compare [`Offer`]s by [`handshake`]: a
//! payment through another bank, on another chain or in another token would be lost. [`Senders`] and [`Receivers`]
//! hold the modules of one end.
//!
//! The crate has two modules. `cheque/1` pays by probabilistic cheques from deposits that a
//! [`Composer`](crate::compose::Composer) divides; `transfer/1` pays in advance by a transfer on chain.
//! [`ChequeReceiver`] and [`TransferReceiver`] are their parts without a chain; [`chain`] (feature `chain`) has the
//! parts that query a node.
//!
//! The inner part of a receiver, [`PaymentReceiver`], is a pure function of the proof, the *record* of earlier
//! payments, and a view of the chain. It returns the credit and the new record. [`store_received`], or [`prepare`]
//! with [`PreparedPayment::store_received`] for a plug-in, adds the new record to the batch of the balance, so that a
//! payment counts exactly once, even after a kill at any moment.

pub(crate) mod boxed;
#[cfg(feature = "chain")]
pub mod chain;
#[cfg(feature = "cheque")]
pub(crate) mod cheque;
pub(crate) mod handshake;
pub(crate) mod receiver;
pub(crate) mod receiver_module;
pub(crate) mod registry;
pub(crate) mod sender;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;

#[cfg(feature = "cheque")]
pub use self::cheque::{ChequeReceiver, ChequeRejection};
pub use boxed::{BoxError, BoxFuture};
pub use handshake::{HandshakeError, Offer, OfferError, handshake};
pub use receiver::{Incoming, PaymentReceiver, ReceiveError, store_received, stored_key};
pub use receiver_module::{Judge, ModuleError, PreparedPayment, ReceiverModule, prepare};
pub use registry::{Modules, Receivers, Senders};
pub use sender::{Outgoing, PaymentSender, SendError};
pub use transfer::{Transfer, TransferReceiver, TransferRejection, TransferTerms, TransferView};
