//! The cost of a redemption, in the deposit's token.

use crate::{bank::error::BankError, bank::reader::Reader, protocol::amount::Amount};
use alloy::{
    eips::BlockId,
    providers::Provider,
    rpc::types::{TransactionInput, TransactionRequest},
};
use alloy_primitives::{Address, U256, address};
use alloy_sol_types::{SolCall, sol};
use std::collections::BTreeMap;

sol! {
    /// The contract of an OP-stack chain that knows the layer 1's fees for data.
    interface GasPriceOracle {
        function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256);
    }
}

const GAS_PRICE_ORACLE: Address = address!("420000000000000000000000000000000000000F");

/// Size of the transaction with the longest redemption, in bytes: the common part with a stream and a consent (650), a
/// header (800), and 40 levels of siblings (48 each).
const REDEMPTION_BYTES: u64 = 650 + 800 + 40 * 48;

/// The value of a token in the native coin, as an exact fraction: `wei` wei are worth `units` token units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeRate {
    wei: u128,
    units: u128,
}

impl NativeRate {
    /// The native coin itself.
    pub const NATIVE: Self = Self { wei: 1, units: 1 };

    /// Creates the rate by which `wei` wei are worth `units` token units. `None` if either is zero. A token of 6 decimals at
    /// 0.0004 coins a piece has the rate 4 * 10^14 wei to 10^6 units.
    pub const fn new(wei: u128, units: u128) -> Option<Self> {
        if wei == 0 || units == 0 {
            return None;
        }
        Some(Self { wei, units })
    }

    /// Converts `wei` wei to token units, rounded up, so that a cost is never underestimated. Saturates at [`Amount::MAX`].
    pub fn units_up(self, wei: U256) -> Amount {
        let units = wei
            .checked_mul(U256::from(self.units))
            .map(|product| product.div_ceil(U256::from(self.wei)))
            .and_then(|units| u128::try_from(units).ok());
        units.map_or(Amount::MAX, Amount::new)
    }
}

/// Rates of several tokens. The native coin's rate is always known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeRates(BTreeMap<Address, NativeRate>);

impl NativeRates {
    /// Sets the rate of a token.
    pub fn set(&mut self, token: Address, rate: NativeRate) {
        self.0.insert(token, rate);
    }

    /// Returns the rate of a token, if known.
    pub fn of(&self, token: Address) -> Option<NativeRate> {
        if token.is_zero() {
            return Some(NativeRate::NATIVE);
        }
        self.0.get(&token).copied()
    }
}

/// The chain's current prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasPrices {
    /// The price of gas, in wei per unit.
    pub gas_price: u128,
    /// A rollup's fee for the data of the longest redemption, in wei. Zero on other chains.
    pub data_fee: U256,
}

impl GasPrices {
    /// Returns the cost of a transaction of `gas` gas with a redemption's data, in wei.
    pub fn wei(&self, gas: u64) -> U256 {
        U256::from(self.gas_price)
            .saturating_mul(U256::from(gas))
            .saturating_add(self.data_fee)
    }
}

impl Reader {
    /// Reads the chain's current prices.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::NoFeeOracle`] on a rollup without an oracle of its data fees.
    pub async fn prices(&self) -> Result<GasPrices, BankError> {
        let gas_price = self.provider().get_gas_price().await?;
        let data_fee = if self.profile().early_seed > 0 {
            self.data_fee().await?
        } else {
            U256::ZERO
        };
        Ok(GasPrices {
            gas_price,
            data_fee,
        })
    }

    async fn data_fee(&self) -> Result<U256, BankError> {
        let call = GasPriceOracle::getL1FeeUpperBoundCall {
            unsignedTxSize: U256::from(REDEMPTION_BYTES),
        };
        let request = TransactionRequest {
            to: Some(GAS_PRICE_ORACLE.into()),
            input: TransactionInput::both(call.abi_encode().into()),
            ..TransactionRequest::default()
        };
        let answer = self.provider().call(request);
        let answer = answer.block(BlockId::latest()).await?;
        GasPriceOracle::getL1FeeUpperBoundCall::abi_decode_returns(&answer)
            .map_err(|_| BankError::NoFeeOracle(self.bank().chain_id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_token_costs_up() {
        let rate = NativeRate::new(400_000_000_000_000, 1_000_000).unwrap();
        let units = |wei: u64| rate.units_up(U256::from(wei)).get();
        assert_eq!(units(0), 0);
        assert_eq!(units(1), 1);
        assert_eq!(units(400_000_000), 1);
        assert_eq!(units(400_000_001), 2);
        assert_eq!(units(400_000_000_000_000), 1_000_000);
        assert_eq!(rate.units_up(U256::MAX), Amount::MAX);
    }

    #[test]
    fn knows_rate_of_native_coin_only() {
        let token = Address::repeat_byte(1);
        let mut rates = NativeRates::default();
        assert_eq!(rates.of(Address::ZERO), Some(NativeRate::NATIVE));
        assert_eq!(rates.of(token), None);
        assert_eq!((NativeRate::new(0, 1), NativeRate::new(1, 0)), (None, None));
        rates.set(token, NativeRate::new(2, 3).unwrap());
        assert_eq!(rates.of(token), NativeRate::new(2, 3));
    }

    #[test]
    fn adds_data_fee_to_gas_cost() {
        let prices = GasPrices {
            gas_price: 3,
            data_fee: U256::from(7),
        };
        assert_eq!(prices.wei(100), U256::from(307));
    }
}
