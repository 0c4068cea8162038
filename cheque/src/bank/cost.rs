//! The cost of a redemption, in the deposit's token.

use crate::{
    bank::{error::BankError, reader::Reader},
    protocol::amount::Amount,
    tx::{gas::GasOracle, market::market_fees},
};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// Size of the transaction with the longest redemption, in bytes: the envelope, the words of the call and the proof of the
/// seed (600), the common part with a stream, a token and a consent (407), and 40 levels of siblings (48 each).
const REDEMPTION_BYTES: usize = 600 + 407 + 40 * 48;

/// What the measurement of a new slot gave when [`redeem_gas`](crate::redeem_gas) was measured: 22,100, and 8 for the
/// instructions around. Only what is more is added.
const NEW_SLOT_MEASURED: u64 = 22_108;

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

    /// Returns the wei that [`NativeRate::units`] units are worth.
    pub(crate) const fn wei(self) -> u128 {
        self.wei
    }

    /// Returns the units that [`NativeRate::wei`] wei are worth.
    pub(crate) const fn units(self) -> u128 {
        self.units
    }

    /// Converts `wei` wei to token units, rounded up, so that a cost is never underestimated. Saturates at [`Amount::MAX`].
    pub fn units_up(self, wei: U256) -> Amount {
        let units = wei
            .checked_mul(U256::from(self.units))
            .map(|product| product.div_ceil(U256::from(self.wei)))
            .and_then(|units| u128::try_from(units).ok());
        units.map_or(Amount::MAX, Amount::new)
    }

    /// Converts token units to wei, rounded down, so that what money is worth is never overestimated.
    pub fn wei_down(self, amount: Amount) -> U256 {
        let product = amount.to_u256().saturating_mul(U256::from(self.wei));
        product / U256::from(self.units)
    }
}

/// Fixed rates of several tokens. The native coin's rate is always known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeRates(BTreeMap<Address, NativeRate>);

impl NativeRates {
    /// Sets the rate of a token.
    pub fn set(&mut self, token: Address, rate: NativeRate) {
        self.0.insert(token, rate);
    }

    /// Iterates over the tokens, without the native coin.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Address, NativeRate)> {
        self.0.iter().map(|(token, rate)| (*token, *rate))
    }

    /// Returns the rate of a token, if known.
    pub fn of(&self, token: Address) -> Option<NativeRate> {
        if token.is_zero() {
            return Some(NativeRate::NATIVE);
        }
        self.0.get(&token).copied()
    }
}

/// The chain's current prices. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasPrices {
    /// The price of gas, in wei per unit: base fee, tip, and the price of a rollup's operator.
    pub gas_price: u128,
    /// A rollup's fees for the longest redemption beside gas times price, in wei. Zero on other chains.
    pub data_fee: U256,
    /// The gas by which a new storage slot, the balance of a payee without one, costs more than when
    /// [`redeem_gas`](crate::redeem_gas) was measured. Zero before EIP-8037.
    pub new_slot_extra: u64,
}

impl GasPrices {
    /// Returns the cost of a transaction of `gas` gas that redeems, by [`redeem_gas`](crate::redeem_gas), in wei.
    pub fn wei(&self, gas: u64) -> U256 {
        let gas = gas.saturating_add(self.new_slot_extra);
        U256::from(self.gas_price)
            .saturating_mul(U256::from(gas))
            .saturating_add(self.data_fee)
    }
}

impl Reader {
    /// Reads the chain's current prices: those at which a transaction would be sent, at the present base fee.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::ImplausibleFee`] if its fees do not fit its newest block,
    /// [`BankError::NoFeeOracle`] on a rollup without an oracle of its data fees.
    pub async fn prices(&self) -> Result<GasPrices, BankError> {
        self.prices_with_tip(None).await
    }

    /// Reads the prices of transactions that offer this tip.
    pub(crate) async fn prices_with_tip(&self, tip: Option<u128>) -> Result<GasPrices, BankError> {
        let price = market_fees(self.provider(), tip).await?.at_present();
        let oracle = GasOracle {
            provider: self.provider().clone(),
            model: self.profile().fees,
        };
        let asked = async {
            tokio::try_join!(
                oracle.data_fee(REDEMPTION_BYTES),
                oracle.data_gas(REDEMPTION_BYTES),
                oracle.operator_prices(),
                self.new_slot().get(self.provider()),
            )
        };
        let chain_id = self.bank().chain_id();
        let asked = asked.await;
        let (data, data_gas, (operator, operator_price), new_slot) =
            asked.map_err(|error| BankError::of_gas(error, chain_id))?;
        let gas_price = price.saturating_add(operator_price);
        let in_gas = U256::from(gas_price).saturating_mul(U256::from(data_gas));
        Ok(GasPrices {
            gas_price,
            data_fee: data.saturating_add(operator).saturating_add(in_gas),
            new_slot_extra: new_slot.saturating_sub(NEW_SLOT_MEASURED),
        })
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
        let wei = |units| rate.wei_down(Amount::new(units));
        assert_eq!(wei(1), U256::from(400_000_000_u64));
        let thirds = NativeRate::new(1, 3).unwrap();
        let wei = [0, 2, 3, 5].map(|units| thirds.wei_down(Amount::new(units)).to::<u64>());
        assert_eq!(wei, [0, 0, 1, 1]);
        assert!(rate.wei_down(Amount::MAX) < U256::MAX);
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
            new_slot_extra: 0,
        };
        assert_eq!(prices.wei(100), U256::from(307));
        let later = GasPrices {
            new_slot_extra: 50,
            ..prices
        };
        assert_eq!(later.wei(100), U256::from(457));
        assert_eq!(later.wei(u64::MAX), prices.wei(u64::MAX));
    }
}
