//! The wallet: signs and sends the transactions of an account.

use crate::{
    protocol::chain_profile::{ChainProfile, FeeModel, PROFILES},
    tx::{
        error::TxError,
        fees::Fees,
        gas::{GasError, GasOracle, NewSlotPrice, slots_that_may_be_new},
        market::market_fees,
    },
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

/// The maximum cost of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// The gas limit: the simulated gas, and what the call costs more in the worst case, if storage slots that it finds in
    /// use are empty by then.
    pub gas: u64,
    /// The maximum fee, in wei per unit of gas.
    pub max_fee_per_gas: u128,
    /// The maximum part of the fee for the block's proposer, in wei per unit of gas.
    pub max_priority_fee_per_gas: u128,
    /// A rollup's fee beside gas times price, for data and operator, in wei. An upper bound at present prices.
    pub rollup_fee: U256,
    /// The maximum total, value included, in wei.
    pub max_cost: U256,
}

impl Estimate {
    pub(crate) fn new(call: &Call, gas: u64, fees: Fees, rollup_fee: U256) -> Self {
        let max_fee = U256::from(gas) * U256::from(fees.max);
        let max_cost = max_fee.saturating_add(rollup_fee);
        Self {
            gas,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            rollup_fee,
            max_cost: max_cost.saturating_add(call.value),
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
    address: Address,
    pub(super) chain_id: u64,
    pub(crate) timeout: Duration,
    pub(super) max_fee: Option<u128>,
    /// The limit on the cost of each transaction, in wei.
    max_cost: Option<U256>,
    tip: Option<u128>,
    fee_model: FeeModel,
    bump_after: u64,
    new_slot: NewSlotPrice,
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

    /// Simulates the call and estimates its cost. Sends nothing.
    ///
    /// # Errors
    ///
    /// A [revert](TxError::revert) if the contract refuses the call, [`TxError::FeeTooHigh`] above the wallet's limit,
    /// [`TxError::NotEnoughCoin`] if the account cannot pay, and [`TxError::Node`] if the node fails.
    pub async fn estimate(&self, call: &Call) -> Result<Estimate, TxError> {
        let market = self.market_estimate(call).await?;
        let market = self.within_max_cost(call, market)?;
        self.check_fee(market.max_fee_per_gas)?;
        self.check_coin(market.max_cost).await?;
        Ok(market)
    }

    /// Estimates the cost at the market's fees. Checks neither the wallet's limit nor the balance.
    pub(super) async fn market_estimate(&self, call: &Call) -> Result<Estimate, TxError> {
        let gas = self.worst_case_gas(call).await?;
        let fees = market_fees(&self.provider, self.tip).await?;
        Ok(Estimate::new(
            call,
            gas,
            fees,
            self.rollup_fee(call, gas).await?,
        ))
    }

    /// Computes the gas limit of a call: what it costs now, and what it costs more if others change the state before it is
    /// mined. Each slot that it may find empty by then costs a new slot, by the node's own schedule.
    async fn worst_case_gas(&self, call: &Call) -> Result<u64, TxError> {
        let gas = self.estimate_gas(call).await?;
        let slots = slots_that_may_be_new(&call.input);
        let new_slot = match slots {
            0 => 0,
            _ => self.gas_result(self.new_slot.get(&self.provider).await)?,
        };
        // Where the estimate has the layer-1 part in it, the price of that part may rise, too: once more the same.
        let oracle = self.gas_oracle();
        let data = self.gas_result(oracle.data_gas(call.input.len() + ENVELOPE).await)?;
        let more = slots.saturating_mul(new_slot).saturating_add(data);
        Ok(gas.saturating_add(more))
    }

    /// Computes a rollup's fee for a call beside gas times price, in wei.
    pub(super) async fn rollup_fee(&self, call: &Call, gas: u64) -> Result<U256, TxError> {
        let oracle = self.gas_oracle();
        let fees = tokio::try_join!(
            oracle.data_fee(call.input.len() + ENVELOPE),
            oracle.operator_fee(gas)
        );
        let (data, operator) = self.gas_result(fees)?;
        Ok(data.saturating_add(operator))
    }

    /// Returns who knows the chain's fees beside gas times price.
    pub(super) fn gas_oracle(&self) -> GasOracle {
        GasOracle {
            provider: self.provider.clone(),
            model: self.fee_model,
        }
    }

    pub(super) fn gas_result<T>(&self, result: Result<T, GasError>) -> Result<T, TxError> {
        result.map_err(|error| match error {
            GasError::Node(error) => error.into(),
            GasError::NoOracle => TxError::NoFeeOracle(self.chain_id),
        })
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
        self.wait(self.address, &[signed.hash], signed.nonce).await
    }

    /// Returns an account's next nonce at the latest block, without pending transactions.
    pub(crate) async fn mined_nonce_of(&self, account: Address) -> Result<u64, TxError> {
        let count = self.provider.get_transaction_count(account);
        Ok(count.block_id(BlockId::latest()).await?)
    }

    pub(super) fn check_fee(&self, required: u128) -> Result<(), TxError> {
        match self.max_fee {
            Some(limit) if required > limit => Err(TxError::FeeTooHigh { required, limit }),
            _ => Ok(()),
        }
    }

    /// Offers no more than the limit on the cost allows: then the base fee may rise by less than usual before the transaction
    /// is mined.
    fn within_max_cost(&self, call: &Call, market: Estimate) -> Result<Estimate, TxError> {
        let Some(limit) = self.max_cost else {
            return Ok(market);
        };
        if market.max_cost <= limit {
            return Ok(market);
        }
        let (fees, gas) = (market.fees(), U256::from(market.gas));
        let beside_gas = market.rollup_fee.saturating_add(call.value);
        let at_present = U256::from(fees.at_present());
        let affordable = limit.saturating_sub(beside_gas).checked_div(gas);
        match affordable {
            Some(max) if max >= at_present => {
                let fees = Fees {
                    // At most the market's fee, which has 128 bits.
                    max: max.saturating_to(),
                    tip: fees.tip,
                };
                Ok(Estimate::new(call, market.gas, fees, market.rollup_fee))
            }
            _ => Err(TxError::CostTooHigh {
                required: at_present.saturating_mul(gas).saturating_add(beside_gas),
                limit,
            }),
        }
    }

    pub(super) fn check_cost(&self, required: U256) -> Result<(), TxError> {
        match self.max_cost {
            Some(limit) if required > limit => Err(TxError::CostTooHigh { required, limit }),
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

/// The bytes of a transaction beside its calldata, signature included, rounded up.
const ENVELOPE: usize = 200;

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
