//! What was sent and is not wanted any more.

use crate::{
    node::failover::pin_node,
    payer::{
        Payer,
        create::{open_key, reclaim_key},
        error::PayerError,
    },
    protocol::terms::DepositId,
    tx::{
        outbox::{self, cancel::Cancellation},
        record::{stored_tx, stored_txs},
    },
};
use alloy::providers::Provider;
#[cfg(feature = "service")]
use {
    crate::payer::create::{OPEN, RECLAIM},
    crate::tx::record::TxRecord,
    alloy_primitives::B256,
    std::collections::HashMap,
};

/// What was sent for deposits and is not known to be over.
#[cfg(feature = "service")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Outstanding {
    /// What opens them.
    pub(crate) openings: HashMap<DepositId, TxRecord>,
    /// What takes them back.
    pub(crate) reclaims: HashMap<DepositId, TxRecord>,
}

impl Payer {
    /// Cancels what was sent to open a deposit that shall not be opened any more: because it is too late to pay from it,
    /// say. Without that, and as long as it waits for its fee, everything that the wallet sends later waits, too.
    ///
    /// Does not wait: call it at every block until there is [nothing](Cancellation::Nothing) left to cancel. What cancels is
    /// a transaction of the same nonce that pays more and moves nothing; it is stored before it is sent, and which of the
    /// two is mined is up to the chain. A deposit that is opened all the same is followed like any other. Whether it is
    /// still of use is not checked.
    ///
    /// # Errors
    ///
    /// As for [`Payer::open`]. Above the wallet's largest fee it is not cancelled.
    pub async fn cancel_opening(&self, id: DepositId) -> Result<Cancellation, PayerError> {
        self.cancel(&open_key(id)).await
    }

    /// The same for what was sent to take a deposit back.
    ///
    /// # Errors
    ///
    /// As for [`Payer::cancel_opening`].
    pub async fn cancel_reclaim(&self, id: DepositId) -> Result<Cancellation, PayerError> {
        self.cancel(&reclaim_key(id)).await
    }

    async fn cancel(&self, key: &[u8]) -> Result<Cancellation, PayerError> {
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        let head = pin_node(self.believed_head()).await?.number;
        let stands = outbox::cancel::cancel(wallet, &self.store, key, head).await?;
        if let Cancellation::Cancelled(sent) | Cancellation::TooLate(sent) = &stands
            && sent.block <= self.reader.confirmed(head)
        {
            outbox::done(&self.store, key).await?;
        }
        Ok(stands)
    }

    /// Forgets what was sent for a purpose that is fulfilled, unless it still waits because somebody else has fulfilled it.
    pub(super) async fn forget_used(&self, key: &[u8]) -> Result<(), PayerError> {
        let Some(sent) = stored_tx(&self.store, key).await? else {
            return Ok(());
        };
        let mined = self.reader.provider().get_transaction_count(sent.from);
        let mined = mined.await.map_err(crate::bank::error::BankError::from)?;
        if mined > sent.nonce {
            outbox::done(&self.store, key).await?;
        }
        Ok(())
    }

    /// What this wallet has sent for deposits.
    #[cfg(feature = "service")]
    pub(crate) async fn outstanding(&self) -> Result<Outstanding, PayerError> {
        Ok(Outstanding {
            openings: self.sent_for(OPEN).await?,
            reclaims: self.sent_for(RECLAIM).await?,
        })
    }

    #[cfg(feature = "service")]
    async fn sent_for(&self, purpose: &[u8]) -> Result<HashMap<DepositId, TxRecord>, PayerError> {
        let wallet = self.wallet_address();
        let sent = stored_txs(&self.store, purpose.to_vec()).await?;
        let of_deposits = sent.into_iter().filter_map(|(key, sent)| {
            let id = key.strip_prefix(purpose)?.try_into().ok()?;
            Some((DepositId(B256::new(id)), sent))
        });
        Ok(of_deposits
            .filter(|(_, sent)| Some(sent.from) == wallet)
            .collect())
    }

    /// The wallet's next nonce, by what is in blocks.
    #[cfg(feature = "service")]
    pub(crate) async fn mined_nonce(&self) -> Result<u64, PayerError> {
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        Ok(wallet.mined_nonce().await?)
    }
}
