//! Signing with an account's next nonce: calls, replacements and cancellations.

use crate::{
    bank::head::read_block,
    tx::{
        error::TxError,
        estimate::Estimate,
        fees::{Fees, bump_fees, min_replacement_fees},
        wallet::{Call, Wallet, call_of, decode},
    },
};
use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::{BlockNumberOrTag, Encodable2718},
    network::{NetworkTransactionBuilder, TransactionBuilder},
    providers::Provider,
    transports::RpcError,
};
use alloy_primitives::{Bytes, TxHash, U256};
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// A signed transaction, not yet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedTx {
    /// The hash.
    pub hash: TxHash,
    /// The account's nonce.
    pub nonce: u64,
    /// The encoding (EIP-2718).
    pub raw: Bytes,
}

/// Exclusive use of an account's next nonce, to sign and submit.
pub(crate) struct NonceGuard<'a> {
    wallet: &'a Wallet,
    _guard: MutexGuard<'a, ()>,
}

impl Wallet {
    /// Waits for exclusive use of the account's next nonce.
    pub(crate) async fn lock_nonce(&self) -> NonceGuard<'_> {
        NonceGuard {
            wallet: self,
            _guard: self.nonce_lock.lock().await,
        }
    }

    /// Returns the time of the newest block, in seconds since 1970.
    async fn head_time(&self) -> Result<u64, TxError> {
        Ok(read_block(&self.provider, BlockNumberOrTag::Latest)
            .await?
            .ok_or(RpcError::NullResp)?
            .time)
    }
}

impl NonceGuard<'_> {
    /// Returns the wallet.
    pub(super) const fn wallet(&self) -> &Wallet {
        self.wallet
    }

    /// Signs the call with the account's next nonce.
    pub(crate) async fn sign(&self, call: &Call) -> Result<SignedTx, TxError> {
        let estimate = self.wallet.estimate(call).await?;
        let provider = &self.wallet.provider;
        let nonce = provider.get_transaction_count(self.wallet.address());
        let nonce = nonce.pending().await?;
        self.sign_with(call, nonce, &estimate).await
    }

    /// Signs a replacement of the transaction `old`: the same call and nonce, with fees high enough for nodes to accept the
    /// replacement. `None` if the old fees reach the market's and no block was made since `sent_at`, so that more would not
    /// help, or if the fees would exceed four times the market's.
    pub(crate) async fn sign_replacement(
        &self,
        nonce: u64,
        old: &[u8],
        sent_at: u64,
    ) -> Result<Option<SignedTx>, TxError> {
        let call = call_of(old)?;
        let old = decode(old)?;
        let market = self.wallet.estimate(&call).await?;
        let passed_over = self.wallet.head_time().await? > sent_at;
        let Some(fees) = bump_fees(fees_of(&old), market.fees(), passed_over) else {
            return Ok(None);
        };
        let estimate = Estimate::new(&call, market.gas, fees, market.rollup_fee);
        Ok(Some(self.sign_checked(&call, nonce, &estimate).await?))
    }

    /// Signs a cancellation of the transaction `old`: a transfer of zero wei to the own account with the same nonce, with
    /// fees high enough for nodes to accept the replacement.
    pub(crate) async fn sign_cancellation(
        &self,
        nonce: u64,
        old: &[u8],
    ) -> Result<SignedTx, TxError> {
        let old = decode(old)?;
        let nothing = Call {
            to: self.wallet.address(),
            input: Bytes::new(),
            value: U256::ZERO,
        };
        let market = self.wallet.market_estimate(&nothing).await?;
        let fees = min_replacement_fees(fees_of(&old), market.fees(), self.wallet.max_fee);
        let estimate = Estimate::new(&nothing, market.gas, fees, market.rollup_fee);
        self.sign_checked(&nothing, nonce, &estimate).await
    }

    /// Sends a signed transaction to the node. Idempotent.
    pub(crate) async fn submit(&self, raw: &[u8], hash: TxHash) -> Result<(), TxError> {
        let provider = &self.wallet.provider;
        let Err(error) = provider.send_raw_transaction(raw).await else {
            return Ok(());
        };
        // Nodes refuse a transaction that they already have, each in other words. So ask for the transaction itself.
        if self.wallet.find_transaction(hash).await?.is_some() {
            return Ok(());
        }
        Err(error.into())
    }

    /// Signs, after a check of the wallet's fee limit and the account's balance.
    async fn sign_checked(
        &self,
        call: &Call,
        nonce: u64,
        estimate: &Estimate,
    ) -> Result<SignedTx, TxError> {
        self.wallet.check_fee(estimate.max_fee_per_gas)?;
        self.wallet.check_cost(estimate.max_cost)?;
        self.wallet.check_coin(estimate.max_cost).await?;
        self.sign_with(call, nonce, estimate).await
    }

    async fn sign_with(
        &self,
        call: &Call,
        nonce: u64,
        estimate: &Estimate,
    ) -> Result<SignedTx, TxError> {
        let request = self
            .wallet
            .request(call)
            .with_chain_id(self.wallet.chain_id)
            .with_nonce(nonce)
            .with_gas_limit(estimate.gas)
            .with_max_fee_per_gas(estimate.max_fee_per_gas)
            .with_max_priority_fee_per_gas(estimate.max_priority_fee_per_gas);
        let signed = request.build(&self.wallet.wallet).await;
        let signed = signed.map_err(|error| TxError::Wallet(Arc::new(error)))?;
        Ok(SignedTx {
            hash: *signed.tx_hash(),
            nonce,
            raw: signed.encoded_2718().into(),
        })
    }
}

fn fees_of(transaction: &TxEnvelope) -> Fees {
    Fees {
        max: transaction.max_fee_per_gas(),
        tip: transaction.max_priority_fee_per_gas().unwrap_or_default(),
    }
}
