//! Sending transactions.

use crate::{
    tx::error::TxError,
    tx::fees::{Fees, bump_fees, min_replacement_fees},
};
use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::{BlockId, Decodable2718, Encodable2718, eip1559::Eip1559Estimation},
    network::{
        Ethereum, EthereumWallet, NetworkTransactionBuilder, NetworkWallet, TransactionBuilder,
    },
    providers::{DynProvider, Provider},
    rpc::types::{TransactionInput, TransactionReceipt, TransactionRequest},
};
use alloy_primitives::{Address, Bytes, TxHash, U256};
use alloy_sol_types::SolCall;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard};

/// A call to be sent as a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// The calldata.
    pub input: Bytes,
    /// Wei that go with it.
    pub value: U256,
}

impl Call {
    /// A call of a contract's function, without native coin.
    pub fn new(to: Address, call: &impl SolCall) -> Self {
        Self {
            to,
            input: call.abi_encode().into(),
            value: U256::ZERO,
        }
    }

    /// The same call with `value` wei.
    pub fn with_value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }
}

/// What a transaction would cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Gas, with a margin.
    pub gas: u64,
    /// Wei per unit of gas, at most.
    pub max_fee_per_gas: u128,
    /// Of it, wei per unit for the block's proposer, at most.
    pub max_priority_fee_per_gas: u128,
    /// Wei in all, the value included.
    pub max_cost: U256,
}

impl Estimate {
    pub(crate) fn new(call: &Call, gas: u64, fees: Fees) -> Self {
        let most = U256::from(gas) * U256::from(fees.max);
        Self {
            gas,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            max_cost: most.saturating_add(call.value),
        }
    }
}

impl Estimate {
    const fn fees(&self) -> Fees {
        Fees {
            max: self.max_fee_per_gas,
            tip: self.max_priority_fee_per_gas,
        }
    }
}

/// A transaction that is signed and not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Its hash.
    pub hash: TxHash,
    /// Its number among the account's transactions.
    pub nonce: u64,
    /// Its encoding (EIP-2718).
    pub raw: Bytes,
}

/// A transaction that is in a block and has succeeded.
#[derive(Clone, Debug)]
pub struct MinedTx {
    /// Its hash.
    pub hash: TxHash,
    /// The block.
    pub block: u64,
    /// The gas it used.
    pub gas_used: u64,
    /// What it cost its sender in wei, the value excluded.
    pub fee: U256,
    /// The node's receipt.
    pub receipt: Box<TransactionReceipt>,
}

/// Sends the transactions of one account. Cheap to clone; clones take turns, so that they do not use a nonce twice. Two
/// senders of one account, in one process or two, do not know of each other.
#[derive(Clone, Debug)]
pub struct Wallet {
    pub(crate) provider: DynProvider,
    wallet: EthereumWallet,
    address: Address,
    chain_id: u64,
    pub(crate) timeout: Duration,
    max_fee: Option<u128>,
    turn: Arc<Mutex<()>>,
}

/// One account's turn to sign and submit.
pub(crate) struct NonceGuard<'a> {
    wallet: &'a Wallet,
    _guard: MutexGuard<'a, ()>,
}

impl Wallet {
    /// How long to wait for a transaction to be mined, unless told otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(300);

    /// Sends from the wallet's default account.
    pub fn new(provider: DynProvider, wallet: EthereumWallet, chain_id: u64) -> Self {
        let address = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
        Self {
            provider,
            wallet,
            address,
            chain_id,
            timeout: Self::TIMEOUT,
            max_fee: None,
            turn: Arc::default(),
        }
    }

    /// The same sender with another patience.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same sender, which offers at most `wei` per unit of gas. What would have to offer more is refused as
    /// [`TxError::FeeTooHigh`], until the market has come down.
    pub const fn with_max_fee(mut self, wei: u128) -> Self {
        self.max_fee = Some(wei);
        self
    }

    /// The account.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// What sending the call would cost now, or why it would fail. Sends nothing.
    pub async fn estimate(&self, call: &Call) -> Result<Estimate, TxError> {
        let market = self.market(call).await?;
        self.check_fee(market.max_fee_per_gas)?;
        self.check_coin(market.max_cost).await?;
        Ok(market)
    }

    /// What the market asks for the call, whether or not this account would or could pay it.
    async fn market(&self, call: &Call) -> Result<Estimate, TxError> {
        let gas = self.gas(call).await?;
        // The state may be different when the transaction is mined.
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

    /// What the call would use as of the newest block. Where that is refused, as of the pending one: blocks may be what
    /// it waits for, or transactions of this account. The pending one alone would not do: there, what this account sends
    /// again is done already.
    async fn gas(&self, call: &Call) -> Result<u64, TxError> {
        let at = |block| self.provider.estimate_gas(self.request(call)).block(block);
        let refused = match at(BlockId::latest()).await {
            Ok(gas) => return Ok(gas),
            Err(refused) => refused,
        };
        if refused.is_error_resp()
            && let Ok(gas) = at(BlockId::pending()).await
        {
            return Ok(gas);
        }
        // Nodes refuse to simulate what the account cannot pay, each in its own words.
        self.check_coin(call.value).await?;
        Err(refused.into())
    }

    /// Sends the call and waits until it is mined.
    ///
    /// After [`TxError::NotMined`] the transaction may still be mined. Calls that must not happen twice go through
    /// the payer and the payee, which keep what they have sent.
    pub async fn send(&self, call: &Call) -> Result<MinedTx, TxError> {
        let turn = self.turn().await;
        let signed = turn.sign(call).await?;
        turn.submit(&signed.raw, signed.hash).await?;
        drop(turn);
        self.wait(&[signed.hash], signed.nonce).await
    }

    pub(crate) async fn turn(&self) -> NonceGuard<'_> {
        NonceGuard {
            wallet: self,
            _guard: self.turn.lock().await,
        }
    }

    /// The account's next nonce, by what is in blocks.
    pub(crate) async fn mined_nonce(&self) -> Result<u64, TxError> {
        let count = self.provider.get_transaction_count(self.address);
        Ok(count.block_id(BlockId::latest()).await?)
    }

    fn check_fee(&self, asked: u128) -> Result<(), TxError> {
        match self.max_fee {
            Some(most) if asked > most => Err(TxError::FeeTooHigh { asked, most }),
            _ => Ok(()),
        }
    }

    async fn check_coin(&self, needed: U256) -> Result<(), TxError> {
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

    fn request(&self, call: &Call) -> TransactionRequest {
        TransactionRequest {
            from: Some(self.address),
            to: Some(call.to.into()),
            value: Some(call.value),
            input: TransactionInput::new(call.input.clone()),
            ..TransactionRequest::default()
        }
    }
}

impl NonceGuard<'_> {
    /// Signs the call with the account's next nonce.
    pub(crate) async fn sign(&self, call: &Call) -> Result<Signed, TxError> {
        let estimate = self.wallet.estimate(call).await?;
        let provider = &self.wallet.provider;
        let nonce = provider.get_transaction_count(self.wallet.address);
        let nonce = nonce.pending().await?;
        self.seal(call, nonce, &estimate).await
    }

    /// Signs the transaction `old` again with its nonce, for fees that make nodes prefer it. `None`: it pays what the
    /// market asks, and waits for something else than money.
    pub(crate) async fn sign_replacement(
        &self,
        nonce: u64,
        old: &[u8],
    ) -> Result<Option<Signed>, TxError> {
        let call = call_of(old)?;
        let old = decoded(old)?;
        let market = self.wallet.estimate(&call).await?;
        let Some(fees) = bump_fees(fees_of(&old), market.fees()) else {
            return Ok(None);
        };
        let estimate = Estimate::new(&call, market.gas, fees);
        Ok(Some(self.seal_checked(&call, nonce, &estimate).await?))
    }

    /// Signs what takes the nonce of the transaction `old` and does nothing: a transfer of nothing to oneself, for fees
    /// that make nodes prefer it.
    pub(crate) async fn sign_cancellation(
        &self,
        nonce: u64,
        old: &[u8],
    ) -> Result<Signed, TxError> {
        let old = decoded(old)?;
        let nothing = Call {
            to: self.wallet.address,
            input: Bytes::new(),
            value: U256::ZERO,
        };
        let market = self.wallet.market(&nothing).await?;
        let fees = min_replacement_fees(fees_of(&old), market.fees(), self.wallet.max_fee);
        let estimate = Estimate::new(&nothing, market.gas, fees);
        self.seal_checked(&nothing, nonce, &estimate).await
    }

    /// Hands a signed transaction to the node. Doing so again is harmless.
    pub(crate) async fn submit(&self, raw: &[u8], hash: TxHash) -> Result<(), TxError> {
        let provider = &self.wallet.provider;
        let Err(error) = provider.send_raw_transaction(raw).await else {
            return Ok(());
        };
        // Nodes complain about what they have already; whether this is why, they say in many ways.
        if provider.get_transaction_by_hash(hash).await?.is_some() {
            return Ok(());
        }
        Err(error.into())
    }

    async fn seal_checked(
        &self,
        call: &Call,
        nonce: u64,
        estimate: &Estimate,
    ) -> Result<Signed, TxError> {
        self.wallet.check_fee(estimate.max_fee_per_gas)?;
        self.wallet.check_coin(estimate.max_cost).await?;
        self.seal(call, nonce, estimate).await
    }

    async fn seal(&self, call: &Call, nonce: u64, estimate: &Estimate) -> Result<Signed, TxError> {
        let request = self
            .wallet
            .request(call)
            .with_chain_id(self.wallet.chain_id)
            .with_nonce(nonce)
            .with_gas_limit(estimate.gas)
            .with_max_fee_per_gas(estimate.max_fee_per_gas)
            .with_max_priority_fee_per_gas(estimate.max_priority_fee_per_gas);
        let signed = request.build(&self.wallet.wallet).await;
        let signed = signed.map_err(|error| TxError::Wallet(error.into()))?;
        Ok(Signed {
            hash: *signed.tx_hash(),
            nonce,
            raw: signed.encoded_2718().into(),
        })
    }
}

/// The call of a signed transaction.
pub(crate) fn call_of(raw: &[u8]) -> Result<Call, TxError> {
    let transaction = decoded(raw)?;
    Ok(Call {
        to: transaction.to().ok_or(TxError::NotATransaction)?,
        input: transaction.input().clone(),
        value: transaction.value(),
    })
}

fn fees_of(transaction: &TxEnvelope) -> Fees {
    Fees {
        max: transaction.max_fee_per_gas(),
        tip: transaction.max_priority_fee_per_gas().unwrap_or_default(),
    }
}

fn decoded(raw: &[u8]) -> Result<TxEnvelope, TxError> {
    TxEnvelope::decode_2718_exact(raw).map_err(|_| TxError::NotATransaction)
}
