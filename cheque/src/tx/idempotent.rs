//! Transactions of an application that must happen once.

use crate::{
    store::{
        Store,
        async_store::{AsyncStore, StoredError},
    },
    tx::{
        error::OutboxError,
        outbox::{self, Kept},
        wallet::{Call, MinedTx, Wallet},
    },
};
use std::{fmt, sync::Arc};

/// Sends transactions of one account, each once for its purpose, whatever is killed when: the signed transaction is on
/// disk before it is sent.
///
/// A purpose is any bytes that the application does not use twice; payers and payees, which send for purposes of their
/// own, may share the store.
#[derive(Clone)]
pub struct IdempotentSender {
    wallet: Wallet,
    store: AsyncStore,
}

impl IdempotentSender {
    /// Sends with `wallet`, and keeps what it sends in `store`.
    pub fn new(wallet: Wallet, store: Arc<dyn Store>) -> Self {
        Self {
            wallet,
            store: AsyncStore::new(store),
        }
    }

    /// The wallet.
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Sends `call` for a purpose, unless something was sent for it before; waits for it, and replaces it by one with a
    /// higher fee if it takes long. It stays known until it is [forgotten](Self::forget): repeating this gives the same
    /// transaction.
    ///
    /// # Errors
    ///
    /// After [`TxError::NotMined`](crate::tx::TxError::NotMined) it may still be mined. One that was mined and has failed
    /// is forgotten. Where another transaction of the account seems to have taken its place, or it was sent from another
    /// account, nothing is sent ([`OutboxError::Undecided`]) until it is found in a block, or [forgotten](Self::forget).
    pub async fn send(&self, purpose: &[u8], call: &Call) -> Result<MinedTx, OutboxError> {
        let head = outbox::head(&self.wallet).await?;
        let key = key(purpose);
        outbox::send(&self.wallet, &self.store, &key, call, (head, Kept::Always)).await
    }

    /// Goes on with what was sent for a purpose. `None`: nothing was, or it is forgotten.
    ///
    /// # Errors
    ///
    /// Like [`IdempotentSender::send`].
    pub async fn resume(&self, purpose: &[u8]) -> Result<Option<MinedTx>, OutboxError> {
        let head = outbox::head(&self.wallet).await?;
        let key = key(purpose);
        outbox::resume(&self.wallet, &self.store, &key, (head, Kept::Always)).await
    }

    /// Forgets what was sent for a purpose. Sending for it again is then another transaction.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn forget(&self, purpose: &[u8]) -> Result<(), StoredError> {
        outbox::done(&self.store, &key(purpose)).await
    }
}

impl fmt::Debug for IdempotentSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("account", &self.wallet.address())
            .finish_non_exhaustive()
    }
}

fn key(purpose: &[u8]) -> Vec<u8> {
    [b"app", purpose].concat()
}
