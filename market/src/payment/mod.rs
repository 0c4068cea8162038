//! How money comes in and goes out: payment modules as plug-ins.
//!
//! A module has an *identity*, a string that client and provider know it by, and a [`PaymentReceiver`] at the provider. Before the first payment the two compare [`Offer`]s by [`handshake`]: a payment
//! through another bank, on another chain or in another token would be lost.
//!
//! A receiver is a pure function of the proof, what was kept of earlier payments (*meta*), and its view of the chain. It
//! says what to credit and what to keep; [`store_received`] puts the latter into the batch of the balance, so that a
//! payment counts once, whatever is killed when.

#[cfg(feature = "cheque")]
mod cheque;
mod handshake;
#[cfg(test)]
mod tests;
mod transfer;

#[cfg(feature = "cheque")]
pub use cheque::{ChequeReceiver, ChequeRejection};
pub use handshake::{HandshakeError, Offer, Receivers, handshake};
pub use transfer::{Transfer, TransferReceiver, TransferRejection, TransferTerms, TransferView};

use crate::store::{Batch, Store, StoreError};
use alloy_primitives::Address;
use std::error::Error;

/// A payment that counts once what it says is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What to credit, in token units.
    pub value: u128,
    /// Whose balance to credit.
    pub credit_to: Address,
    /// What to keep, in place of the old meta.
    pub new_meta: Vec<u8>,
}

/// A provider's end of a payment module.
pub trait PaymentReceiver {
    /// What a receiver has to know about the chain.
    type View;
    /// Why a payment does not count.
    type Error: Error;

    /// What this end is paid with.
    fn offer(&self) -> Offer;

    /// Under which key the meta of this proof is kept, or why it is no proof.
    fn meta_key(&self, proof: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Judges a payment. `from` is whom the host has authenticated, `old_meta` what is kept under
    /// [`meta_key`](Self::meta_key). Stores nothing: pass the outcome to [`store_received`].
    fn receive_payment(
        &self,
        from: Address,
        proof: &[u8],
        old_meta: Option<&[u8]>,
        view: &Self::View,
    ) -> Result<Incoming, Self::Error>;
}

/// The key in a market's store under which a module's meta is kept.
pub fn stored_key(prefix: &[u8], offer: &Offer, meta_key: &[u8]) -> Vec<u8> {
    let identity = offer.identity.as_bytes();
    [prefix, b"pay:", identity, b":", meta_key].concat()
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
    let meta_key = receiver.meta_key(proof).map_err(ReceiveError::Rejected)?;
    let key = stored_key(prefix, &receiver.offer(), &meta_key);
    let old_meta = store.get(&key)?;
    let incoming = receiver
        .receive_payment(from, proof, old_meta.as_deref(), view)
        .map_err(ReceiveError::Rejected)?;
    batch.put(key, incoming.new_meta.clone());
    Ok(incoming)
}
