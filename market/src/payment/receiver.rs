//! The provider's end of a payment module as a plug-in.

use super::{BoxError, Incoming, Offer, Pending, ReceiveError, stored_key};
use crate::store::{Batch, Store};
use alloy_primitives::Address;
use std::fmt;

/// Why a module does not count a payment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The payment is not good, or not now.
    #[error(transparent)]
    Rejected(BoxError),
    /// The chain, or the way to it. The payment may be good.
    #[error(transparent)]
    Unavailable(BoxError),
}

impl ModuleError {
    /// Wraps a module's reason for which a payment is not good.
    pub fn rejected(source: impl Into<BoxError>) -> Self {
        Self::Rejected(source.into())
    }

    /// Wraps what has kept a module from judging.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable(source.into())
    }
}

/// A provider's end of a payment module with its way to the chain, made to be an object and [registered](super::Receivers).
///
/// Its part without a chain is usually a [`PaymentReceiver`](super::PaymentReceiver). A host does not call it, but
/// [`judge`].
pub trait ReceiverModule: Send + Sync {
    /// What this end is paid with. Always the same.
    fn offer(&self) -> Offer;

    /// Under which key the record of this proof is kept, or why it is no proof.
    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, ModuleError>;

    /// Looks up what it takes to judge a payment: this may take a while, and other payments may be judged meanwhile.
    /// `from` is whom the host has authenticated, `old_record` what is kept under [`record_key`](Self::record_key) at this
    /// moment.
    fn look<'a>(
        &'a self,
        from: Address,
        proof: &'a [u8],
        old_record: Option<&'a [u8]>,
    ) -> Pending<'a, Result<Box<dyn Judge>, ModuleError>>;
}

/// A payment and all that it takes to judge it.
pub trait Judge: Send {
    /// Judges the payment against the record that is kept now, which may be another than at the look. Does not block. The
    /// caller keeps the new record before it has the module judge another payment.
    fn judge(&self, old_record: Option<&[u8]>) -> Result<Incoming, ModuleError>;
}

/// A payment that was looked at, and is to be judged and kept; see [`judge`].
pub struct Arrived {
    key: Vec<u8>,
    judge: Box<dyn Judge>,
}

/// Has a module look at a payment that has arrived, before the host has exclusive use of its balances.
///
/// Reads one record of `store`, which blocks as long as that takes.
///
/// # Errors
///
/// [`ReceiveError`]. Nothing is kept.
pub async fn judge(
    module: &dyn ReceiverModule,
    store: &(impl Store + Sync),
    prefix: &[u8],
    from: Address,
    proof: &[u8],
) -> Result<Arrived, ReceiveError<ModuleError>> {
    let record_key = module.record_key(proof).map_err(ReceiveError::Rejected)?;
    let key = stored_key(prefix, &module.offer(), &record_key);
    let old_record = store.get(&key)?;
    let judge = module.look(from, proof, old_record.as_deref()).await;
    let judge = judge.map_err(ReceiveError::Rejected)?;
    Ok(Arrived { key, judge })
}

impl Arrived {
    /// Judges the payment against what `store` keeps now, and adds what is to be kept to `batch`.
    ///
    /// Call it in the [operation](crate::balance::BalanceTracker::operation) that credits the value, with the operation's
    /// batch; the tracker must have exclusive use of the store meanwhile, which it has in one thread.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]; `batch` is left as it was.
    pub fn store_received(
        &self,
        store: &impl Store,
        batch: &mut Batch,
    ) -> Result<Incoming, ReceiveError<ModuleError>> {
        let old_record = store.get(&self.key)?;
        let incoming = self.judge.judge(old_record.as_deref());
        let incoming = incoming.map_err(ReceiveError::Rejected)?;
        batch.put(self.key.clone(), incoming.new_record.clone());
        Ok(incoming)
    }
}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived").finish_non_exhaustive()
    }
}
