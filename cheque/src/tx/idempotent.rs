//! Idempotent transactions of an application.

use crate::{
    store::{
        async_store::{AsyncStore, StoredError},
        interface::Store,
    },
    sys::unix_now,
    tx::{
        error::OutboxError,
        outbox::{self, Retention},
        wallet::{Call, MinedTx, Wallet},
    },
};
use std::{fmt, sync::Arc};

/// Sends transactions of an account, a single transaction for each purpose. A crash at any moment does not change that: the
/// signed transaction is stored before it is sent.
///
/// A purpose is a byte string that the application uses for nothing else. Payers and payees may share the store, since
/// their purposes have other keys.
#[derive(Clone)]
pub struct IdempotentSender {
    wallet: Wallet,
    store: AsyncStore,
}

impl IdempotentSender {
    /// Creates a sender that signs with `wallet` and keeps its transactions in `store`.
    pub fn new(wallet: Wallet, store: Arc<dyn Store>) -> Self {
        Self {
            wallet,
            store: AsyncStore::new(store),
        }
    }

    /// Returns the wallet.
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Sends `call` for a purpose and waits until the transaction is mined. While it stays pending, replaces it by a
    /// transaction with a higher fee.
    ///
    /// If a transaction is already stored for the purpose, resumes that transaction and ignores `call`. The record stays
    /// until [`remove`](Self::remove), so repeating this call returns the same transaction.
    ///
    /// # Errors
    ///
    /// - [`TxError::NotMined`](crate::tx::TxError::NotMined) after the wallet's timeout. The transaction may still be mined.
    /// - [`TxError::Failed`](crate::tx::TxError::Failed) if the mined transaction reverted. Its record is then removed.
    /// - [`OutboxError::Undecided`] if another transaction seems to have used the nonce, or if the stored transaction is
    ///   another account's. Nothing is sent until the stored transaction is found in a block, or its record
    ///   [removed](Self::remove).
    /// - [`OutboxError::Contended`] if another task sends for the same purpose.
    /// - Any other [`OutboxError`] if the node, the wallet or the store fails.
    pub async fn send(&self, purpose: &[u8], call: &Call) -> Result<MinedTx, OutboxError> {
        let key = key(purpose);
        let retention = (unix_now(), Retention::Always);
        outbox::send(&self.wallet, &self.store, &key, call, retention).await
    }

    /// Resumes the transaction stored for a purpose. `None` if there is no record.
    ///
    /// # Errors
    ///
    /// As for [`IdempotentSender::send`].
    pub async fn resume(&self, purpose: &[u8]) -> Result<Option<MinedTx>, OutboxError> {
        let key = key(purpose);
        let retention = (unix_now(), Retention::Always);
        outbox::resume(&self.wallet, &self.store, &key, retention).await
    }

    /// Removes the record of a purpose. The next [`send`](Self::send) for the purpose signs a new transaction.
    ///
    /// Warning: does not cancel a pending transaction, so both may be mined.
    ///
    /// # Errors
    ///
    /// [`StoredError`] if the store fails or the record is corrupt.
    pub async fn remove(&self, purpose: &[u8]) -> Result<(), StoredError> {
        outbox::remove(&self.store, &key(purpose)).await
    }
}

impl fmt::Debug for IdempotentSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotentSender")
            .field("account", &self.wallet.address())
            .finish_non_exhaustive()
    }
}

fn key(purpose: &[u8]) -> Vec<u8> {
    [b"app", purpose].concat()
}
