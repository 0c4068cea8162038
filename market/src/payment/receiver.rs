//! Payment receivers without a chain.

use super::handshake::Offer;
use crate::store::interface::{Batch, Store, StoreError};
use alloy_primitives::Address;
use std::error::Error;

/// A received payment, which counts once its new record is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Value to credit, in token units.
    pub value: u128,
    /// Account to credit.
    pub credit_to: Address,
    /// New record, which replaces the old record.
    pub new_record: Vec<u8>,
}

/// The part of a provider's module that needs no chain, clock or store.
pub trait PaymentReceiver {
    /// View of the chain that a receiver needs.
    type View;
    /// Reasons for rejecting a payment.
    type Error: Error;

    /// Returns the terms of this end.
    fn offer(&self) -> Offer;

    /// Returns the key of the proof's record.
    ///
    /// # Errors
    ///
    /// [`Self::Error`] for bytes that are no proof.
    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Judges a payment. `from` is the sender that the host has authenticated; `old_record` is the stored record
    /// under [`record_key`](Self::record_key). Stores nothing: use [`store_received`].
    ///
    /// # Errors
    ///
    /// [`Self::Error`] if the payment does not count.
    fn receive_payment(
        &self,
        from: Address,
        proof: &[u8],
        old_record: Option<&[u8]>,
        view: &Self::View,
    ) -> Result<Incoming, Self::Error>;
}

/// Returns the key of a module's record in the market's store.
pub fn stored_key(prefix: &[u8], offer: &Offer, record_key: &[u8]) -> Vec<u8> {
    let identity = offer.identity.as_bytes();
    [prefix, b"pay:", identity, b":", record_key].concat()
}

/// An error of receiving a payment. Nothing changes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError<E: Error> {
    /// The module rejects the payment.
    #[error(transparent)]
    Rejected(E),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Judges a payment by its stored record, and adds the new record to `batch`.
///
/// Call this in the [operation](crate::balance::BalanceTracker::operation) that credits the value, with the
/// operation's batch. The tracker must have exclusive use of the store meanwhile, which is the case in one thread.
///
/// # Errors
///
/// [`ReceiveError`]; `batch` does not change.
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
