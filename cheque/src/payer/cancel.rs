//! Cancels obsolete transactions of deposits.

use crate::{
    bank::error::BankError,
    node::failover::pin_node,
    payer::{
        Payer,
        create::{open_key, reclaim_key},
        error::PayerError,
    },
    protocol::terms::DepositId,
    tx::{
        outbox::{self, cancel::Cancellation},
        record::stored_tx,
    },
};
use alloy::providers::Provider;

impl Payer {
    /// Cancels the transaction that opens a deposit, once the deposit is obsolete: too late to pay from, say. A
    /// pending transaction with too low a fee would otherwise delay all later transactions of the wallet.
    ///
    /// Does not wait: call again at every block until the result is [`Nothing`](Cancellation::Nothing). The
    /// cancellation is a transaction with the same nonce and a higher fee that moves nothing. The store records
    /// the cancellation before the node gets it, and the chain decides which of the two is mined. If the deposit
    /// is opened nevertheless, it is followed like any other. Does not check that the deposit is obsolete.
    ///
    /// # Errors
    ///
    /// As for [`Payer::open`]. A cancellation above the wallet's largest fee is not sent.
    pub async fn cancel_opening(&self, id: DepositId) -> Result<Cancellation, PayerError> {
        self.cancel(&open_key(id)).await
    }

    /// Cancels the transaction that reclaims a deposit. Otherwise like [`Payer::cancel_opening`].
    ///
    /// # Errors
    ///
    /// As for [`Payer::cancel_opening`].
    pub async fn cancel_reclaim(&self, id: DepositId) -> Result<Cancellation, PayerError> {
        self.cancel(&reclaim_key(id)).await
    }

    async fn cancel(&self, key: &[u8]) -> Result<Cancellation, PayerError> {
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        let now = pin_node(self.checked_now()).await?;
        let cancellation = outbox::cancel::cancel(wallet, &self.store, key, now).await?;
        if let Cancellation::Cancelled(mined) | Cancellation::TooLate(mined) = &cancellation
            && mined.block <= pin_node(self.confirmed()).await?
        {
            outbox::remove(&self.store, key).await?;
        }
        Ok(cancellation)
    }

    /// Returns the number of the confirmed block.
    async fn confirmed(&self) -> Result<u64, PayerError> {
        let head = self.reader.checked_head().await?;
        Ok(self.reader.confirmed(&head).await?)
    }

    /// Removes the stored transaction of a fulfilled purpose once its nonce is used. While its nonce is free the
    /// transaction is still pending, because another account has fulfilled the purpose: the record is then
    /// needed to cancel it.
    pub(super) async fn remove_if_mined(&self, key: &[u8]) -> Result<(), PayerError> {
        let Some(record) = stored_tx(&self.store, key).await? else {
            return Ok(());
        };
        let next_nonce = self.reader.provider().get_transaction_count(record.from);
        let next_nonce = next_nonce.await.map_err(BankError::from)?;
        if next_nonce > record.nonce {
            outbox::remove(&self.store, key).await?;
        }
        Ok(())
    }
}
