//! The stored transactions of all deposits.

use crate::{
    payer::{
        Payer,
        create::{OPEN, RECLAIM},
        error::PayerError,
    },
    protocol::terms::DepositId,
    tx::record::{TxRecord, stored_tx, stored_txs},
};
use alloy_primitives::B256;
use std::collections::HashMap;

/// Stored transactions of deposits, by purpose. Each may be pending, mined, or dropped by the node.
#[derive(Clone, Debug, Default)]
pub(super) struct DepositTxs {
    /// Transactions that open a deposit.
    pub(crate) openings: HashMap<DepositId, TxRecord>,
    /// Transactions that reclaim a deposit.
    pub(crate) reclaims: HashMap<DepositId, TxRecord>,
}

impl Payer {
    /// Reads this wallet's stored transactions of deposits.
    pub(super) async fn deposit_txs(&self) -> Result<DepositTxs, PayerError> {
        Ok(DepositTxs {
            openings: self.txs_for(OPEN).await?,
            reclaims: self.txs_for(RECLAIM).await?,
        })
    }

    /// Reads this wallet's transaction stored under a key of a deposit.
    pub(super) async fn deposit_tx(&self, key: &[u8]) -> Result<Option<TxRecord>, PayerError> {
        let stored = stored_tx(&self.store, key).await?;
        Ok(stored.filter(|record| Some(record.from) == self.wallet_address()))
    }

    async fn txs_for(&self, purpose: &[u8]) -> Result<HashMap<DepositId, TxRecord>, PayerError> {
        let wallet = self.wallet_address();
        let stored = stored_txs(&self.store, purpose.to_vec()).await?;
        let records = stored.into_iter().filter_map(|(key, record)| {
            let id = key.strip_prefix(purpose)?.try_into().ok()?;
            Some((DepositId(B256::new(id)), record))
        });
        Ok(records
            .filter(|(_, record)| Some(record.from) == wallet)
            .collect())
    }

    /// Returns the wallet's next nonce according to mined transactions.
    pub(super) async fn mined_nonce(&self) -> Result<u64, PayerError> {
        let wallet = self.wallet.as_ref().ok_or(PayerError::NoWallet)?;
        Ok(wallet.mined_nonce_of(wallet.address()).await?)
    }
}
