//! What the operator has set for clients to come, as it is stored.

use super::error::OperatorError;
use crate::{
    balance::{PriceFactors, Prices},
    store::{Batch, Store},
};

const VERSION: u8 = 1;
const PRICES: &[u8] = b"defaults:prices";
const BIAS: &[u8] = b"defaults:bias";

/// Where it is stored.
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

    /// The prices that were set last, if any were.
    pub(super) fn prices(&self, store: &impl Store) -> Result<Option<Prices>, OperatorError> {
        let numbers = self.numbers::<6>(store, PRICES)?;
        Ok(numbers.map(|[a, b, c, d, e, f]| Prices {
            positive: factors([a, b, c]),
            negative: factors([d, e, f]),
        }))
    }

    pub(super) fn store_prices(
        &self,
        store: &impl Store,
        prices: Prices,
    ) -> Result<(), OperatorError> {
        let [positive, negative] = [prices.positive, prices.negative]
            .map(|prices| [prices.time, prices.capacity, prices.request]);
        self.put(store, PRICES, positive.into_iter().chain(negative))
    }

    /// The bias that was set last, if any was, in nanoseconds.
    pub(super) fn bias_ns(&self, store: &impl Store) -> Result<Option<u64>, OperatorError> {
        let numbers = self.numbers::<1>(store, BIAS)?;
        Ok(numbers.map(|[bias_ns]| bias_ns))
    }

    pub(super) fn store_bias_ns(
        &self,
        store: &impl Store,
        bias_ns: u64,
    ) -> Result<(), OperatorError> {
        self.put(store, BIAS, [bias_ns])
    }

    /// A version byte, then integers of 8 bytes, big-endian.
    fn put(
        &self,
        store: &impl Store,
        key: &[u8],
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<(), OperatorError> {
        let mut bytes = vec![VERSION];
        bytes.extend(numbers.into_iter().flat_map(u64::to_be_bytes));
        let mut batch = Batch::new();
        batch.put([&self.prefix, key].concat(), bytes);
        Ok(store.write(&batch)?)
    }

    fn numbers<const N: usize>(
        &self,
        store: &impl Store,
        key: &[u8],
    ) -> Result<Option<[u64; N]>, OperatorError> {
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
            (numbers, []) => <[[u8; 8]; N]>::try_from(numbers).ok(),
            _ => None,
        };
        let numbers = numbers.ok_or(OperatorError::DamagedDefaults { length })?;
        Ok(Some(numbers.map(u64::from_be_bytes)))
    }
}

const fn factors([time, capacity, request]: [u64; 3]) -> PriceFactors {
    PriceFactors {
        time,
        capacity,
        request,
    }
}
