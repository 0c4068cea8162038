//! The wallet: signs and sends the transactions of an account.

use crate::{
    protocol::chain_profile::{ChainProfile, FeeModel, PROFILES},
    tx::{error::TxError, gas::NewSlotPrice},
};
use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::{BlockId, Decodable2718},
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
    /// The fee that the account paid, in wei, with a rollup's fees for data and operator. Excludes the value.
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
    pub(super) address: Address,
    pub(super) chain_id: u64,
    pub(crate) timeout: Duration,
    pub(super) max_fee: Option<u128>,
    /// The limit on the cost of each transaction, in wei.
    pub(super) max_cost: Option<U256>,
    pub(super) tip: Option<u128>,
    pub(super) fee_model: FeeModel,
    bump_after: u64,
    pub(super) new_slot: NewSlotPrice,
    pub(super) nonce_lock: Arc<Mutex<()>>,
}

impl Wallet {
    /// The default timeout for a transaction to be mined.
    pub const TIMEOUT: Duration = Duration::from_secs(300);

    /// Creates the wallet of `wallet`'s default account on the chain `chain_id`.
    ///
    /// Does not check that the node follows the chain. Fees and pauses are those of the chain's profile, of mainnet if it is
    /// not listed: see [`with_profile`](Self::with_profile).
    pub fn new(provider: DynProvider, wallet: EthereumWallet, chain_id: u64) -> Self {
        let address = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
        let profile = ChainProfile::of(chain_id).unwrap_or(&PROFILES[0]);
        Self {
            provider,
            wallet,
            address,
            chain_id,
            timeout: Self::TIMEOUT,
            max_fee: None,
            max_cost: None,
            tip: None,
            fee_model: profile.fees,
            bump_after: bump_after(profile),
            new_slot: NewSlotPrice::default(),
            nonce_lock: Arc::default(),
        }
    }

    /// Sets the parts of a fee and the pause before a fee bump to those of a chain's profile.
    #[must_use]
    pub const fn with_profile(mut self, profile: &ChainProfile) -> Self {
        self.fee_model = profile.fees;
        self.bump_after = bump_after(profile);
        self
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

    /// Offers `wei` per unit of gas to block producers, in place of what the last blocks took and the node suggests.
    /// Replacements offer more.
    #[must_use]
    pub const fn with_tip(mut self, wei: u128) -> Self {
        self.tip = Some(wei);
        self
    }

    /// Returns a clone whose transactions, replacements included, cost `wei` at most, or are refused as
    /// [`TxError::CostTooHigh`].
    pub(crate) fn with_max_cost(&self, wei: Option<U256>) -> Self {
        Self {
            max_cost: wei,
            ..self.clone()
        }
    }

    /// Returns the tip named by [`with_tip`](Self::with_tip).
    pub(crate) const fn tip(&self) -> Option<u128> {
        self.tip
    }

    /// Returns the seconds that a transaction may stay pending before a fee bump: the chain's time to confirm, and at least
    /// 24 s.
    pub const fn bump_after(&self) -> u64 {
        self.bump_after
    }

    /// Returns the seconds after which a pending transaction, its replacements included, counts as stuck.
    pub const fn stuck_after(&self) -> u64 {
        self.bump_after.saturating_mul(3)
    }

    /// Returns the account.
    pub const fn address(&self) -> Address {
        self.address
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
        self.wait(self.address, &[signed.hash], signed.nonce).await
    }

    /// Returns an account's next nonce at the latest block, without pending transactions.
    pub(crate) async fn mined_nonce_of(&self, account: Address) -> Result<u64, TxError> {
        let count = self.provider.get_transaction_count(account);
        Ok(count.block_id(BlockId::latest()).await?)
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

/// Computes the pause before a fee bump: two blocks of the slowest chains, and at least the time to confirm.
const fn bump_after(profile: &ChainProfile) -> u64 {
    const LEAST: u64 = 24;
    if profile.confirm > LEAST {
        profile.confirm
    } else {
        LEAST
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
