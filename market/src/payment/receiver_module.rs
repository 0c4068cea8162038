//! Payment receivers as plug-ins.

use super::{
    boxed::{BoxError, BoxFuture},
    handshake::Offer,
    receiver::{Incoming, ReceiveError, stored_key},
};
use crate::store::interface::{Batch, Store};
use alloy_primitives::Address;
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// An error of a module while receiving a payment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The payment is invalid, or not valid yet.
    #[error(transparent)]
    Rejected(BoxError),
    /// The chain cannot be queried. The payment may be valid.
    #[error(transparent)]
    Unavailable(BoxError),
}

impl ModuleError {
    /// Wraps a module's reason for rejecting a payment.
    pub fn rejected(source: impl Into<BoxError>) -> Self {
        Self::Rejected(source.into())
    }

    /// Wraps an error that prevented judging a payment.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable(source.into())
    }
}

/// A provider's end of a payment module with access to the chain, for use as a [registered](super::Receivers) trait
/// object.
///
/// The part without a chain is usually a [`PaymentReceiver`](super::PaymentReceiver). A host calls
/// [`prepare`](fn@prepare) instead of the methods of this trait.
pub trait ReceiverModule: Send + Sync {
    /// Returns the terms of this end, which must not change.
    fn offer(&self) -> Offer;

    /// Returns the key of the proof's record.
    ///
    /// # Errors
    ///
    /// [`ModuleError::Rejected`] for bytes that are no proof.
    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, ModuleError>;

    /// Queries everything needed to judge a payment. May take a while, in which other payments may be judged. `from`
    /// is the sender that the host has authenticated; `old_record` is the present record under
    /// [`record_key`](Self::record_key).
    fn prepare<'a>(
        &'a self,
        from: Address,
        proof: &'a [u8],
        old_record: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Box<dyn Judge>, ModuleError>>;
}

/// A payment with everything needed to judge it.
pub trait Judge: Send {
    /// Judges the payment by the present record, which may differ from the record at its preparation. Does not block.
    /// The caller stores the new record before any other payment of the module is judged.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] if the payment does not count.
    fn judge(&self, old_record: Option<&[u8]>) -> Result<Incoming, ModuleError>;

    /// Counts the judged payment no longer: its record was not stored. For modules that bound how much they accept before it
    /// is settled.
    fn give_back(&self) {}
}

/// A prepared payment, ready to be judged and stored; see [`prepare`](fn@prepare).
pub struct PreparedPayment {
    key: Vec<u8>,
    judge: Box<dyn Judge>,
    /// The record of the last good judgement, which the host stores.
    judged: Mutex<Option<Vec<u8>>>,
}

/// Prepares a received payment, before the host has exclusive use of its balances: the module queries its chain.
///
/// Reads one record of `store`, which blocks meanwhile.
///
/// # Errors
///
/// [`ReceiveError`]. Nothing is stored.
pub async fn prepare(
    module: &dyn ReceiverModule,
    store: &(impl Store + Sync),
    prefix: &[u8],
    from: Address,
    proof: &[u8],
) -> Result<PreparedPayment, ReceiveError<ModuleError>> {
    let record_key = module.record_key(proof).map_err(ReceiveError::Rejected)?;
    let key = stored_key(prefix, &module.offer(), &record_key);
    let old_record = store.get(&key)?;
    let judge = module.prepare(from, proof, old_record.as_deref()).await;
    let judge = judge.map_err(ReceiveError::Rejected)?;
    Ok(PreparedPayment {
        key,
        judge,
        judged: Mutex::default(),
    })
}

impl PreparedPayment {
    /// Judges the payment by its stored record, and adds the new record to `batch`.
    ///
    /// Call this in the [operation](crate::balance::BalanceTracker::operation) that credits the value, with the
    /// operation's batch. The tracker must have exclusive use of the store meanwhile, which is the case in one
    /// thread. If the operation fails, call [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]; `batch` does not change.
    pub fn store_received(
        &self,
        store: &impl Store,
        batch: &mut Batch,
    ) -> Result<Incoming, ReceiveError<ModuleError>> {
        let old_record = store.get(&self.key)?;
        let incoming = self.judge_record(old_record.as_deref(), batch);
        incoming.map_err(ReceiveError::Rejected)
    }

    /// Returns the key of the payment's record.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Judges the payment by its present record, and adds the new record to `batch`. In a [hall](crate::hall::Hall),
    /// read the record by [`Hall::stored`](crate::hall::Hall::stored). If the batch is not written, or its write fails, call
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    ///
    /// [`ModuleError`]; `batch` does not change.
    pub fn judge_record(
        &self,
        old_record: Option<&[u8]>,
        batch: &mut Batch,
    ) -> Result<Incoming, ModuleError> {
        let incoming = self.judge.judge(old_record)?;
        batch.put(self.key.clone(), incoming.new_record.clone());
        *self.judged() = Some(incoming.new_record.clone());
        Ok(incoming)
    }

    /// Finds out by the record that is stored now what became of a good judgement whose batch failed. Without the new record
    /// in its place, the module counts the payment no longer: the client can show it again, and pay by others meanwhile.
    ///
    /// Do not call it while the record cannot be read: the payment may be stored, and then has to count.
    pub fn settle(&self, stored_record: Option<&[u8]>) {
        let Some(judged) = self.judged().take() else {
            return;
        };
        if stored_record != Some(&*judged) {
            self.judge.give_back();
        }
    }

    fn judged(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PreparedPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedPayment").finish_non_exhaustive()
    }
}
