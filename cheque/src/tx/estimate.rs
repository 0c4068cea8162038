//! The cost of a transaction before it is sent, and the wallet's limits on it.

use crate::tx::{
    error::TxError,
    fees::Fees,
    gas::{GasError, GasOracle, slots_that_may_be_new},
    market::market_fees,
    wallet::{Call, Wallet},
};
use alloy::{eips::BlockId, providers::Provider};
use alloy_primitives::U256;

/// The bytes of a transaction beside its calldata, signature included, rounded up.
const ENVELOPE: usize = 200;

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

impl Wallet {
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

    /// Returns the cost of the call at the present base fee, in wei, with a rollup's fees and without the value: the usual cost,
    /// where [`estimate`](Self::estimate) returns the maximum. Checks neither the wallet's limits nor the balance.
    ///
    /// # Errors
    ///
    /// As for [`estimate`](Self::estimate), without the limits.
    pub async fn expected_fee(&self, call: &Call) -> Result<U256, TxError> {
        let gas = self.estimate_gas(call).await?;
        let fees = market_fees(&self.provider, self.tip).await?;
        let fee = U256::from(fees.at_present()).saturating_mul(U256::from(gas));
        Ok(fee.saturating_add(self.rollup_fee(call, gas).await?))
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
}
