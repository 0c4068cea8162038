//! Stored defaults for clients that connect later.

use super::error::OperatorError;
use crate::{
    balance::{
        decimal::Price,
        price::{PriceFactors, ServicePrices},
    },
    store::interface::{Batch, Store},
};

const VERSION: u8 = 1;
const PRICES: &[u8] = b"defaults:prices";
const BIAS: &[u8] = b"defaults:bias";

/// Rows of the defaults.
#[derive(Debug)]
pub(super) struct Defaults {
    prefix: Vec<u8>,
}

impl Defaults {
    pub(super) fn new(prefix: &[u8]) -> Self {
        Self {
            prefix: prefix.to_vec(),
        }
    }

    /// Returns the stored prices, if any.
    pub(super) fn prices(
        &self,
        store: &impl Store,
    ) -> Result<Option<ServicePrices>, OperatorError> {
        let numbers = self.numbers::<6>(store, PRICES)?;
        numbers
            .map(|[a, b, c, d, e, f]| {
                Some(ServicePrices {
                    positive: factors([a, b, c])?,
                    negative: factors([d, e, f])?,
                })
            })
            .map(|prices| prices.ok_or(OperatorError::DamagedDefaults { length: 97 }))
            .transpose()
    }

    /// Returns the row of the prices.
    pub(super) fn row_of_prices(&self, prices: ServicePrices) -> Batch {
        let [positive, negative] = [prices.positive, prices.negative]
            .map(|prices| [prices.time, prices.capacity, prices.request].map(Price::billionths));
        self.row(PRICES, positive.into_iter().chain(negative))
    }

    /// Returns the stored bias, if any, in nanoseconds.
    pub(super) fn bias_ns(&self, store: &impl Store) -> Result<Option<u64>, OperatorError> {
        let numbers = self.numbers::<1>(store, BIAS)?;
        let bias_ns = numbers.map(|[bias_ns]| u64::try_from(bias_ns));
        let damaged = |_| OperatorError::DamagedDefaults { length: 17 };
        bias_ns.transpose().map_err(damaged)
    }

    /// Returns the row of the bias.
    pub(super) fn row_of_bias(&self, bias_ns: u64) -> Batch {
        self.row(BIAS, [bias_ns.into()])
    }

    /// A version byte, then integers of 16 bytes, big-endian.
    fn row(&self, key: &[u8], numbers: impl IntoIterator<Item = u128>) -> Batch {
        let mut bytes = vec![VERSION];
        bytes.extend(numbers.into_iter().flat_map(u128::to_be_bytes));
        let mut batch = Batch::new();
        batch.put([&self.prefix, key].concat(), bytes);
        batch
    }

    fn numbers<const N: usize>(
        &self,
        store: &impl Store,
        key: &[u8],
    ) -> Result<Option<[u128; N]>, OperatorError> {
        let Some(bytes) = store.get(&[&self.prefix, key].concat())? else {
            return Ok(None);
        };
        let length = bytes.len();
        let numbers = match bytes.split_first() {
            Some((&VERSION, numbers)) => numbers,
            Some((&found, _)) => return Err(OperatorError::DefaultsVersion { found }),
            None => return Err(OperatorError::DamagedDefaults { length }),
        };
        let numbers = match numbers.as_chunks() {
            (numbers, []) => <[[u8; 16]; N]>::try_from(numbers).ok(),
            _ => None,
        };
        let numbers = numbers.ok_or(OperatorError::DamagedDefaults { length })?;
        Ok(Some(numbers.map(u128::from_be_bytes)))
    }
}

fn factors([time, capacity, request]: [u128; 3]) -> Option<PriceFactors> {
    Some(PriceFactors {
        time: Price::from_billionths(time)?,
        capacity: Price::from_billionths(capacity)?,
        request: Price::from_billionths(request)?,
    })
}
