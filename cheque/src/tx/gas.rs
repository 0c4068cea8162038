//! What a node's chain charges beside gas times price, and its price of a new storage slot.
//!
//! Forks change the schedule of gas, so the price of a new slot is no constant: it is about five times higher from EIP-8037
//! on. The node runs a few instructions that measure it.

use crate::{node::error::NodeError, protocol::chain_profile::FeeModel};
use alloy::{
    eips::BlockId,
    providers::{DynProvider, Provider},
    rpc::types::{TransactionInput, TransactionRequest},
    transports::TransportError,
};
use alloy_primitives::{Address, Bytes, TxHash, TxKind, U256, address, hex, keccak256};
use alloy_sol_types::{SolCall, sol};
use cheque_bindings::IChequeBank;
use serde::Deserialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

sol! {
    /// The contract of an OP-stack chain that knows its fees beside gas.
    interface GasPriceOracle {
        function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256);
        function getOperatorFee(uint256 gasUsed) external view returns (uint256);
    }
}

const GAS_PRICE_ORACLE: Address = address!("420000000000000000000000000000000000000F");

/// Init code that returns the gas of `SSTORE(1, 1)`, a new slot, with the few units of the instructions around it:
/// `GAS, PUSH1 1, PUSH1 1, SSTORE, GAS, SWAP1, SUB, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN`.
const MEASURE_NEW_SLOT: [u8; 15] = hex!("5a60016001555a90035f5260205ff3");

/// The gas given to the measurement: plenty, and less than the limit of a transaction (EIP-7825), beyond which EIP-8037
/// would pay for state from gas that the instruction `GAS` does not show.
const MEASURE_GAS: u64 = 5_000_000;

/// How long a measured price holds. A transaction signed on the eve of a fork may run out of gas; it is sent again.
const PRICE_LIFE: Duration = Duration::from_secs(3_600);

/// The gas in which [`operator_fee`](GasOracle::operator_fee) is measured, since an operator's price has fractions of a wei.
const MILLION: u64 = 1_000_000;

/// The reason why a node does not tell what gas costs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GasError {
    /// The node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The rollup does not have the contract that knows its fees.
    #[error("the chain has no oracle of its data fees")]
    NoOracle,
}

impl From<TransportError> for GasError {
    fn from(error: TransportError) -> Self {
        Self::Node(error.into())
    }
}

/// The price of a new storage slot, measured once an hour for all clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewSlotPrice(Arc<Mutex<Option<(Instant, u64)>>>);

impl NewSlotPrice {
    /// Returns the gas to write to a storage slot for the first time, at least.
    pub(crate) async fn get(&self, provider: &DynProvider) -> Result<u64, GasError> {
        if let Some(price) = self.known(Instant::now()) {
            return Ok(price);
        }
        let price = measure_new_slot(provider).await?;
        let measured = Some((Instant::now(), price));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = measured;
        Ok(price)
    }

    /// Returns the price if it was measured less than an hour before `now`.
    fn known(&self, now: Instant) -> Option<u64> {
        let measured = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, price) = measured?;
        (now.saturating_duration_since(at) < PRICE_LIFE).then_some(price)
    }
}

/// Measures a new slot by a call that creates a contract, which no block ever holds.
async fn measure_new_slot(provider: &DynProvider) -> Result<u64, GasError> {
    let request = TransactionRequest {
        to: Some(TxKind::Create),
        gas: Some(MEASURE_GAS),
        input: TransactionInput::new(Bytes::from_static(&MEASURE_NEW_SLOT)),
        ..TransactionRequest::default()
    };
    let answer = provider.call(request.clone()).block(BlockId::latest());
    match answer.await {
        Ok(word) if word.len() == 32 && U256::from_be_slice(&word) < U256::from(MEASURE_GAS) => {
            return Ok(U256::from_be_slice(&word).saturating_to());
        }
        Err(error) if !error.is_error_resp() => return Err(error.into()),
        // Some nodes do not call what is no contract yet. All estimate it, with base and creation on top: more than enough.
        Ok(_) | Err(_) => {}
    }
    Ok(provider
        .estimate_gas(request)
        .block(BlockId::latest())
        .await?)
}

/// Counts the storage slots that a call may find empty when it is mined, although its simulation found them in use: a
/// payee's balance for each redemption of a batch, since others empty their balances at any time; the balance and a token's
/// own record for all other calls.
pub(super) fn slots_that_may_be_new(input: &[u8]) -> u64 {
    const OF_OTHERS: u64 = 2;
    if input.is_empty() {
        // A transfer of coin touches no slot.
        return 0;
    }
    let batch = IChequeBank::redeemBatchCall::abi_decode(input);
    batch.map_or(OF_OTHERS, |batch| batch.redemptions.len() as u64)
}

/// Asks a node for what its chain charges beside gas times price, by the chain's fee model.
#[derive(Clone, Debug)]
pub(crate) struct GasOracle {
    pub(crate) provider: DynProvider,
    pub(crate) model: FeeModel,
}

/// The fees of a mined transaction that are no part of gas times price, as an OP-stack node shows them in its receipt.
#[derive(Debug, Deserialize)]
struct RollupReceipt {
    #[serde(rename = "l1Fee")]
    l1_fee: Option<U256>,
}

impl GasOracle {
    /// Returns the fee for the data of a transaction of `bytes` bytes at most, in wei. Zero where data is paid in gas.
    pub(crate) async fn data_fee(&self, bytes: usize) -> Result<U256, GasError> {
        match self.model {
            FeeModel::OpStack => {
                self.ask(&GasPriceOracle::getL1FeeUpperBoundCall {
                    unsignedTxSize: U256::from(bytes),
                })
                .await
            }
            FeeModel::Plain | FeeModel::Arbitrum => Ok(U256::ZERO),
        }
    }

    /// Returns the operator's fee for `gas` gas, in wei. Zero on chains without one.
    pub(crate) async fn operator_fee(&self, gas: u64) -> Result<U256, GasError> {
        match self.model {
            FeeModel::OpStack => {
                self.ask(&GasPriceOracle::getOperatorFeeCall {
                    gasUsed: U256::from(gas),
                })
                .await
            }
            FeeModel::Plain | FeeModel::Arbitrum => Ok(U256::ZERO),
        }
    }

    /// Returns the operator's fee as a constant in wei and a price per unit of gas, both rounded up.
    pub(crate) async fn operator_prices(&self) -> Result<(U256, u128), GasError> {
        if self.model != FeeModel::OpStack {
            return Ok((U256::ZERO, 0));
        }
        let (constant, million) =
            tokio::try_join!(self.operator_fee(0), self.operator_fee(MILLION))?;
        let price = million
            .saturating_sub(constant)
            .div_ceil(U256::from(MILLION));
        Ok((constant, price.saturating_to()))
    }

    /// Returns the gas that `bytes` bytes of data cost beyond their price as calldata of layer 1, where an estimate of gas
    /// has the layer-1 part in it. Zero elsewhere.
    ///
    /// Compares the estimates of two calls that do nothing, one with bytes that do not compress.
    pub(crate) async fn data_gas(&self, bytes: usize) -> Result<u64, GasError> {
        /// What `redeem_gas` and simulations count for a byte that is not zero (EIP-2028).
        const COUNTED: u64 = 16;
        if self.model != FeeModel::Arbitrum {
            return Ok(0);
        }
        let estimate = |data: Bytes| {
            let request = TransactionRequest {
                from: Some(Address::ZERO),
                to: Some(Address::ZERO.into()),
                input: TransactionInput::new(data),
                ..TransactionRequest::default()
            };
            self.provider.estimate_gas(request).block(BlockId::latest())
        };
        let (with, without) = tokio::try_join!(
            estimate(incompressible(bytes)).into_future(),
            estimate(Bytes::new()).into_future()
        )?;
        let counted = (bytes as u64).saturating_mul(COUNTED);
        Ok(with.saturating_sub(without).saturating_sub(counted))
    }

    /// Returns the fees of a mined transaction beside gas times price, in wei.
    pub(crate) async fn fee_of_mined(&self, hash: TxHash, gas_used: u64) -> Result<U256, GasError> {
        if self.model != FeeModel::OpStack {
            return Ok(U256::ZERO);
        }
        let receipt = self
            .provider
            .raw_request::<_, Option<RollupReceipt>>("eth_getTransactionReceipt".into(), (hash,));
        let (receipt, operator) =
            tokio::try_join!(async { Ok(receipt.await?) }, self.operator_fee(gas_used))?;
        let data = receipt.and_then(|receipt| receipt.l1_fee);
        Ok(data.unwrap_or_default().saturating_add(operator))
    }

    async fn ask<C: SolCall<Return = U256>>(&self, call: &C) -> Result<U256, GasError> {
        let request = TransactionRequest {
            to: Some(GAS_PRICE_ORACLE.into()),
            input: TransactionInput::new(call.abi_encode().into()),
            ..TransactionRequest::default()
        };
        let answer = self.provider.call(request).block(BlockId::latest()).await;
        let answer = answer.map_err(|error| match NodeError::from(error) {
            NodeError::Reverted(_) => GasError::NoOracle,
            error => GasError::Node(error),
        })?;
        C::abi_decode_returns(&answer).map_err(|_| GasError::NoOracle)
    }
}

/// Makes bytes that do not compress, the same each time.
fn incompressible(bytes: usize) -> Bytes {
    let mut data = Vec::with_capacity(bytes + 32);
    let mut word = keccak256([]);
    while data.len() < bytes {
        data.extend_from_slice(word.as_slice());
        word = keccak256(word);
    }
    data.truncate(bytes);
    data.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::{
        providers::RootProvider, rpc::client::RpcClient, rpc::json_rpc::ErrorPayload,
        transports::mock::Asserter,
    };
    use serde_json::json;

    /// A node that gives these answers, in this order.
    fn node(answers: &Asserter) -> DynProvider {
        RootProvider::new(RpcClient::mocked(answers.clone())).erased()
    }

    fn word(value: u64) -> Bytes {
        U256::from(value).to_be_bytes_vec().into()
    }

    #[test]
    fn counts_a_balance_for_each_redemption() {
        let packed = Bytes::from_static(&[1; 220]);
        for items in [0, 1, 2, 100] {
            let batch = IChequeBank::redeemBatchCall {
                redemptions: vec![packed.clone(); items],
                drawTimes: Vec::new(),
                proofs: Vec::new(),
            };
            assert_eq!(slots_that_may_be_new(&batch.abi_encode()), items as u64);
        }
        let one = IChequeBank::redeemCall {
            redemption: packed,
            proof: Bytes::new(),
        };
        assert_eq!(slots_that_may_be_new(&one.abi_encode()), 2);
        assert_eq!(slots_that_may_be_new(&[]), 0);
        assert_eq!(slots_that_may_be_new(&[1, 2, 3]), 2);
    }

    #[tokio::test]
    async fn measures_a_new_slot_once_an_hour() {
        let answers = Asserter::new();
        let (provider, price) = (node(&answers), NewSlotPrice::default());
        answers.push_success(&word(22_108));
        assert_eq!(price.get(&provider).await.unwrap(), 22_108);
        assert_eq!(price.clone().get(&provider).await.unwrap(), 22_108);
        let now = Instant::now();
        let almost = PRICE_LIFE - Duration::from_secs(10);
        assert_eq!(price.known(now + almost), Some(22_108));
        assert_eq!(price.known(now + PRICE_LIFE), None);
        assert!(answers.read_q().is_empty());
    }

    #[tokio::test]
    async fn estimates_a_new_slot_where_the_measurement_fails() {
        for measured in [
            Bytes::new(),
            word(MEASURE_GAS),
            Bytes::from_static(&[1; 33]),
        ] {
            let answers = Asserter::new();
            answers.push_success(&measured);
            answers.push_success(&"0x13f6b");
            assert_eq!(measure_new_slot(&node(&answers)).await.unwrap(), 81_771);
        }
        let answers = Asserter::new();
        answers.push_failure(ErrorPayload::internal_error());
        answers.push_success(&"0x13f6b");
        assert_eq!(measure_new_slot(&node(&answers)).await.unwrap(), 81_771);
    }

    #[tokio::test]
    async fn asks_the_oracle_of_an_op_stack_chain() {
        let answers = Asserter::new();
        let oracle = GasOracle {
            provider: node(&answers),
            model: FeeModel::OpStack,
        };
        answers.push_success(&word(5_000));
        assert_eq!(oracle.data_fee(700).await.unwrap(), U256::from(5_000));
        // A constant of 7 wei and a price of 1.5 wei, rounded up.
        answers.push_success(&word(7));
        answers.push_success(&word(1_500_007));
        let (constant, price) = oracle.operator_prices().await.unwrap();
        assert_eq!((constant, price), (U256::from(7), 2));
        answers.push_success(&json!({ "l1Fee": "0x64", "gasUsed": "0x1" }));
        answers.push_success(&word(30));
        let fee = oracle.fee_of_mined(TxHash::ZERO, 20).await.unwrap();
        assert_eq!(fee, U256::from(130));
        answers.push_success(&Bytes::new());
        let missing = oracle.data_fee(700).await;
        assert!(matches!(missing, Err(GasError::NoOracle)), "{missing:?}");
    }

    #[tokio::test]
    async fn measures_data_where_an_estimate_has_the_layer_1_part() {
        let answers = Asserter::new();
        let oracle = GasOracle {
            provider: node(&answers),
            model: FeeModel::Arbitrum,
        };
        answers.push_success(&json!(format!("{:#x}", 21_000 + 1_600 + 900)));
        answers.push_success(&json!(format!("{:#x}", 21_000)));
        assert_eq!(oracle.data_gas(100).await.unwrap(), 900);
        assert_eq!(oracle.data_fee(100).await.unwrap(), U256::ZERO);
        assert_eq!(oracle.operator_fee(100).await.unwrap(), U256::ZERO);
    }

    #[tokio::test]
    async fn asks_nobody_where_gas_is_all() {
        let oracle = GasOracle {
            provider: node(&Asserter::new()),
            model: FeeModel::Plain,
        };
        assert_eq!(oracle.data_fee(100).await.unwrap(), U256::ZERO);
        assert_eq!(oracle.data_gas(100).await.unwrap(), 0);
        assert_eq!(oracle.operator_prices().await.unwrap(), (U256::ZERO, 0));
        let fee = oracle.fee_of_mined(TxHash::ZERO, 20).await.unwrap();
        assert_eq!(fee, U256::ZERO);
    }
}
