//! How money comes in and goes out: payment modules as plug-ins.
//!
//! A module has an *identity*, a string that both ends know it by, a [`PaymentSender`] at the client and a
//! [`ReceiverModule`] at the provider. Before the first payment the two compare [`Offer`]s by [`handshake`]: a payment
//! through another bank, on another chain or in another token would be lost. [`Senders`] and [`Receivers`] are the modules
//! of one end.
//!
//! Two modules ship. `cheque/1` pays by probabilistic cheques from deposits that a [`Composer`](crate::compose::Composer)
//! divides; `transfer/1` pays in advance by a transfer on chain. [`ChequeReceiver`] and [`TransferReceiver`] are their
//! parts without a chain, in [`chain`] (feature `chain`) is what reaches a node.
//!
//! The inner part of a receiver, [`PaymentReceiver`], is a pure function of the proof, what was kept of earlier payments
//! (*record*), and its view of the chain. It says what to credit and what to keep; [`store_received`], or [`judge`] with
//! [`Arrived::store_received`] for a plug-in, puts the latter into the batch of the balance, so that a payment counts once,
//! whatever is killed when.

#[cfg(feature = "chain")]
pub mod chain;
#[cfg(feature = "cheque")]
mod cheque;
mod handshake;
mod receiver;
mod registry;
mod sender;
#[cfg(test)]
mod tests;
mod transfer;

#[cfg(feature = "chain")]
use cheque::IDENTITY as CHEQUES;
#[cfg(feature = "cheque")]
pub(crate) use cheque::METAS as CHEQUE_METAS;
#[cfg(feature = "cheque")]
pub use cheque::{ChequeReceiver, ChequeRejection};
pub use handshake::{HandshakeError, Offer, OfferError, handshake};
pub use receiver::{Arrived, Judge, ModuleError, ReceiverModule, judge};
pub use registry::{Modules, Receivers, Senders};
pub use sender::{Outgoing, PaymentSender, SendError};
#[cfg(feature = "chain")]
use transfer::IDENTITY as TRANSFERS;
pub use transfer::{Transfer, TransferReceiver, TransferRejection, TransferTerms, TransferView};

use crate::store::{Batch, Store, StoreError};
use alloy_primitives::Address;
use std::{error::Error, pin::Pin};

/// What a module will have done: a future that can be sent, from a trait that can be an object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An error of a module's own kind.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A payment that counts once what it says is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What to credit, in token units.
    pub value: u128,
    /// Whose balance to credit.
    pub credit_to: Address,
    /// What to keep, in place of the old record.
    pub new_record: Vec<u8>,
}

/// The part of a provider's end of a payment module that needs no chain, clock or store.
pub trait PaymentReceiver {
    /// What a receiver has to know about the chain.
    type View;
    /// Why a payment does not count.
    type Error: Error;

    /// What this end is paid with.
    fn offer(&self) -> Offer;

    /// Under which key the record of this proof is kept, or why it is no proof.
    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Judges a payment. `from` is whom the host has authenticated, `old_record` what is kept under
    /// [`record_key`](Self::record_key). Stores nothing: pass the outcome to [`store_received`].
    fn receive_payment(
        &self,
        from: Address,
        proof: &[u8],
        old_record: Option<&[u8]>,
        view: &Self::View,
    ) -> Result<Incoming, Self::Error>;
}

/// The key in a market's store under which a module's record is kept.
pub fn stored_key(prefix: &[u8], offer: &Offer, record_key: &[u8]) -> Vec<u8> {
    let identity = offer.identity.as_bytes();
    [prefix, b"pay:", identity, b":", record_key].concat()
}

/// Why a payment was not received. Nothing changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError<E: Error> {
    /// The module rejects it.
    #[error(transparent)]
    Rejected(E),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Judges a payment against what `store` keeps, and adds what is to be kept to `batch`.
///
/// Call it in the [operation](crate::balance::BalanceTracker::operation) that credits the value, with the operation's
/// batch; the tracker must have exclusive use of the store meanwhile, which it has in one thread.
///
/// # Errors
///
/// [`ReceiveError`]; `batch` is left as it was.
pub fn store_received<R: PaymentReceiver>(
    receiver: &R,
    store: &impl Store,
    prefix: &[u8],
    from: Address,
    proof: &[u8],
    view: &R::View,
    batch: &mut Batch,
) -> Result<Incoming, ReceiveError<R::Error>> {
    let record_key = receiver.record_key(proof).map_err(ReceiveError::Rejected)?;
    let key = stored_key(prefix, &receiver.offer(), &record_key);
    let old_record = store.get(&key)?;
    let incoming = receiver
        .receive_payment(from, proof, old_record.as_deref(), view)
        .map_err(ReceiveError::Rejected)?;
    batch.put(key, incoming.new_record.clone());
    Ok(incoming)
}
