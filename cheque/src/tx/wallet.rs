//! The wallet: signs and sends the transactions of an account.

use crate::tx::{error::TxError, fees::Fees};
use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::{BlockId, Decodable2718, eip1559::Eip1559Estimation},
    network::{Ethereum, EthereumWallet, NetworkWallet},
    providers::{DynProvider, Provider},
    rpc::types::{TransactionInput, TransactionReceipt, TransactionRequest},
};
use alloy_primitives::{Address, Bytes, TxHash, U256};
use alloy_sol_types::SolCall;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// A call to send as a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// The calldata.
    pub input: Bytes,
    /// The native coin sent with the call, in wei.
    pub value: U256,
}

impl Call {
    /// Creates a call of a contract's function, without native coin.
    pub fn new(to: Address, call: &impl SolCall) -> Self {
        Self {
            to,
            input: call.abi_encode().into(),
            value: U256::ZERO,
        }
    }

    /// Sets the native coin sent with the call, in wei.
    #[must_use]
    pub fn with_value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }
}

/// The maximum cost of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// The gas limit: the simulated gas and a quarter more.
    pub gas: u64,
    /// The maximum fee, in wei per unit of gas.
    pub max_fee_per_gas: u128,
    /// The maximum part of the fee for the block's proposer, in wei per unit of gas.
    pub max_priority_fee_per_gas: u128,
    /// The maximum total, value included, in wei.
    pub max_cost: U256,
}

impl Estimate {
    pub(crate) fn new(call: &Call, gas: u64, fees: Fees) -> Self {
        let max_fee = U256::from(gas) * U256::from(fees.max);
        Self {
            gas,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            max_cost: max_fee.saturating_add(call.value),
        }
    }

    pub(super) const fn fees(&self) -> Fees {
        Fees {
            max: self.max_fee_per_gas,
            tip: self.max_priority_fee_per_gas,
        }
    }
}

/// A transaction that was mined and has succeeded. A reorganisation may still drop the transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MinedTx {
    /// The hash.
    pub hash: TxHash,
    /// The number of the block.
    pub block: u64,
    /// The gas used.
    pub gas_used: u64,
    /// The fee that the account paid for gas, in wei. Excludes the value, and a rollup's fee for data.
    pub fee: U256,
    /// The node's receipt.
    pub receipt: Box<TransactionReceipt>,
}

/// Signs and sends the transactions of an account.
///
/// Cheap to clone. Clones share a lock on the nonce, so no two of them use the same nonce. Warning: two wallets created
/// separately for the same account, in this process or another, do not know of each other and may use the same nonce.
///
/// # Example
///
/// ```no_run
/// use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
/// use alloy_primitives::{Address, U256};
/// use cheque::{Amount, bank::Reader, node::connect, tx::{Call, Wallet}};
///
/// # async fn fund(bank: Address) -> Result<(), Box<dyn std::error::Error>> {
/// let provider = connect("http://127.0.0.1:8545").await?;
/// let reader = Reader::open(provider.clone(), bank).await?;
/// let signer = PrivateKeySigner::random();
/// let chain_id = reader.bank().chain_id();
/// let wallet = Wallet::new(provider, EthereumWallet::from(signer), chain_id)
///     .with_max_fee(100_000_000_000);
///
/// let native = Address::ZERO;
/// let amount = Amount::new(1_000_000_000_000_000);
/// let call = Call::fund(reader.bank(), native, wallet.address(), amount);
/// let estimate = wallet.estimate(&call).await?;
/// assert!(estimate.max_cost > U256::from(amount.get()));
/// let mined = wallet.send(&call).await?;
/// println!("{} in block {} for {} wei", mined.hash, mined.block, mined.fee);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Wallet {
    pub(crate) provider: DynProvider,
    pub(super) wallet: EthereumWallet,
    address: Address,
    pub(super) chain_id: u64,
    pub(crate) timeout: Duration,
    pub(super) max_fee: Option<u128>,
    pub(super) nonce_lock: Arc<Mutex<()>>,
}

impl Wallet {
    /// The default timeout for a transaction to be mined.
    pub const TIMEOUT: Duration = Duration::from_secs(300);

    /// Creates the wallet of `wallet`'s default account on the chain `chain_id`.
    ///
    /// Does not check that the node follows the chain.
    pub fn new(provider: DynProvider, wallet: EthereumWallet, chain_id: u64) -> Self {
        let address = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
        Self {
            provider,
            wallet,
            address,
            chain_id,
            timeout: Self::TIMEOUT,
            max_fee: None,
            nonce_lock: Arc::default(),
        }
    }

    /// Sets the timeout for a transaction to be mined.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Limits the fee to `wei` per unit of gas. Refuses a transaction that must offer more as [`TxError::FeeTooHigh`], until
    /// the market has come down.
    #[must_use]
    pub const fn with_max_fee(mut self, wei: u128) -> Self {
        self.max_fee = Some(wei);
        self
    }

    /// Returns the account.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Simulates the call and estimates its cost. Sends nothing.
    ///
    /// # Errors
    ///
    /// A [revert](TxError::revert) if the contract refuses the call, [`TxError::FeeTooHigh`] above the wallet's limit,
    /// [`TxError::NotEnoughCoin`] if the account cannot pay, and [`TxError::Node`] if the node fails.
    pub async fn estimate(&self, call: &Call) -> Result<Estimate, TxError> {
        let market = self.market_estimate(call).await?;
        self.check_fee(market.max_fee_per_gas)?;
        self.check_coin(market.max_cost).await?;
        Ok(market)
    }

    /// Estimates the cost at the market's fees. Checks neither the wallet's limit nor the balance.
    pub(super) async fn market_estimate(&self, call: &Call) -> Result<Estimate, TxError> {
        let gas = self.estimate_gas(call).await?;
        // A margin, since the state may differ once the transaction is mined.
        let gas = gas.saturating_add(gas / 4);
        let Eip1559Estimation {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        } = self.provider.estimate_eip1559_fees().await?;
        let fees = Fees {
            max: max_fee_per_gas,
            tip: max_priority_fee_per_gas,
        };
        Ok(Estimate::new(call, gas, fees))
    }

    /// Estimates gas at the latest block, and falls back to the pending block if the node refuses the call there: the call
    /// may depend on the next block, or on pending transactions of this account.
    ///
    /// The pending block alone would not do: in it, a call that this account sends again has already happened.
    async fn estimate_gas(&self, call: &Call) -> Result<u64, TxError> {
        let at = |block| self.provider.estimate_gas(self.request(call)).block(block);
        let error = match at(BlockId::latest()).await {
            Ok(gas) => return Ok(gas),
            Err(error) => error,
        };
        if error.is_error_resp()
            && let Ok(gas) = at(BlockId::pending()).await
        {
            return Ok(gas);
        }
        // Nodes refuse to simulate a call that the account cannot pay, each in other words.
        self.check_coin(call.value).await?;
        Err(error.into())
    }

    /// Sends the call and waits until the transaction is mined.
    ///
    /// Warning: repeating the call sends a second transaction. Use [`IdempotentSender`](crate::tx::IdempotentSender) for
    /// calls that must not happen twice; payers and payees store their transactions likewise.
    ///
    /// # Errors
    ///
    /// As for [`estimate`](Self::estimate); [`TxError::NotMined`] after the timeout, and the transaction may still be mined;
    /// [`TxError::Failed`] if the mined transaction reverted; [`TxError::Replaced`] if another transaction used its nonce;
    /// [`TxError::Wallet`] if the wallet could not sign.
    pub async fn send(&self, call: &Call) -> Result<MinedTx, TxError> {
        let guard = self.lock_nonce().await;
        let signed = guard.sign(call).await?;
        guard.submit(&signed.raw, signed.hash).await?;
        drop(guard);
        self.wait(&[signed.hash], signed.nonce).await
    }

    /// Returns the account's next nonce at the latest block, without pending transactions.
    pub(crate) async fn mined_nonce(&self) -> Result<u64, TxError> {
        let count = self.provider.get_transaction_count(self.address);
        Ok(count.block_id(BlockId::latest()).await?)
    }

    pub(super) fn check_fee(&self, required: u128) -> Result<(), TxError> {
        match self.max_fee {
            Some(limit) if required > limit => Err(TxError::FeeTooHigh { required, limit }),
            _ => Ok(()),
        }
    }

    pub(super) async fn check_coin(&self, needed: U256) -> Result<(), TxError> {
        let available = self.provider.get_balance(self.address).await?;
        if available >= needed {
            return Ok(());
        }
        Err(TxError::NotEnoughCoin {
            account: self.address,
            available,
            needed,
        })
    }

    pub(super) fn request(&self, call: &Call) -> TransactionRequest {
        TransactionRequest {
            from: Some(self.address),
            to: Some(call.to.into()),
            value: Some(call.value),
            input: TransactionInput::new(call.input.clone()),
            ..TransactionRequest::default()
        }
    }
}

/// Decodes the call of a signed transaction. [`TxError::NotATransaction`] if the transaction creates a contract.
pub(crate) fn call_of(raw: &[u8]) -> Result<Call, TxError> {
    let transaction = decode(raw)?;
    Ok(Call {
        to: transaction.to().ok_or(TxError::NotATransaction)?,
        input: transaction.input().clone(),
        value: transaction.value(),
    })
}

pub(super) fn decode(raw: &[u8]) -> Result<TxEnvelope, TxError> {
    TxEnvelope::decode_2718_exact(raw).map_err(|_| TxError::NotATransaction)
}
