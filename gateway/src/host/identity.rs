//! What all workers of a payee share beside its records: the key of challenges.

use crate::ledger::identity_key;
use alloy_primitives::B128;
use cheque::{
    Address,
    store::{AppChange, AppRecords, AppRecordsError, Store, StoredError},
};
use std::{fmt, sync::Arc};

/// The identity of a gateway, kept in its store. A store has one for each payee.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The key of challenges.
    pub challenge_key: [u8; 32],
}

/// Hides the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// The reason why a gateway has no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] AppRecordsError),
    /// The record in the store has another form.
    #[error("the gateway's key in the store has {0} bytes, not 32; restore a backup of the store")]
    Damaged(usize),
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl From<StoredError> for IdentityError {
    fn from(error: StoredError) -> Self {
        Self::Store(error.into())
    }
}

impl Identity {
    /// Reads the identity of `payee`; `None` if no gateway has sold for it by this store.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if the store cannot be read.
    pub async fn find(
        store: &Arc<dyn Store>,
        payee: Address,
    ) -> Result<Option<Self>, IdentityError> {
        let records = AppRecords::new(Arc::clone(store));
        let found = records.get(&identity_key(payee)).await?;
        found.map(Self::read).transpose()
    }

    /// Reads the identity of `payee`, or makes a new one.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if the store or the system's random numbers fail.
    pub async fn find_or_make(
        store: &Arc<dyn Store>,
        payee: Address,
    ) -> Result<Self, IdentityError> {
        loop {
            if let Some(identity) = Self::find(store, payee).await? {
                return Ok(identity);
            }
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(IdentityError::Random)?;
            let change = AppChange {
                key: identity_key(payee),
                old: None,
                new: Some(key.to_vec()),
            };
            match AppRecords::new(Arc::clone(store)).change(&change).await {
                // Another worker was first; its key counts.
                Ok(()) | Err(AppRecordsError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(bytes: Vec<u8>) -> Result<Self, IdentityError> {
        let challenge_key = bytes
            .try_into()
            .map_err(|bytes: Vec<u8>| IdentityError::Damaged(bytes.len()))?;
        Ok(Self { challenge_key })
    }
}

/// Makes the name of a worker for [`Settings`](crate::ledger::Settings). Each start has a new one.
///
/// # Errors
///
/// [`IdentityError::Random`] if the system's random numbers fail.
pub fn new_worker() -> Result<B128, IdentityError> {
    let mut name = B128::ZERO;
    getrandom::fill(name.as_mut_slice()).map_err(IdentityError::Random)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cheque::store::Memory;

    #[tokio::test]
    async fn workers_of_a_store_share_one_key() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let payee = Address::repeat_byte(1);
        assert_eq!(Identity::find(&store, payee).await.unwrap(), None);
        let workers = (0..8).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { Identity::find_or_make(&store, payee).await.unwrap() })
        });
        let workers: Vec<_> = workers.collect();
        let first = Identity::find_or_make(&store, payee).await.unwrap();
        for worker in workers {
            assert_eq!(worker.await.unwrap(), first);
        }
        let other = Address::repeat_byte(2);
        assert_ne!(Identity::find_or_make(&store, other).await.unwrap(), first);
    }
}
