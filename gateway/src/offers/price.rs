//! The arithmetic of prices. All amounts are units of a token, and every division rounds up, in the seller's favour.

use crate::offers::types::Rates;
use cheque::{Amount, U256};

/// What an answer has used. Plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The bytes of the answer's body.
    pub bytes: u64,
    /// The time from the forwarding of the request to the end of the answer, in milliseconds.
    pub milliseconds: u64,
    /// The units that the upstream reports; `None`: it reports none.
    pub units: Option<u64>,
    /// The whole cost that the upstream reports, in units of the token; `None`: it reports none.
    pub charge: Option<Amount>,
}

/// A sum of prices is above 2^128 - 1 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price is above 2^128 - 1 units; send fewer calls")]
pub struct PriceError;

impl Rates {
    /// Computes the variable part of the cost of an answer, at most `max`. Each of its products is rounded up.
    ///
    /// Where the upstream does not report the units that are priced, the cost is the maximum: only the upstream knows.
    pub(super) fn cost(&self, usage: &Usage) -> Amount {
        let Some(units) = usage.units.or(self.per_unit.is_zero().then_some(0)) else {
            return self.max;
        };
        let size = self.per_kib.to_u256() * U256::from(usage.bytes);
        let time = self.per_second.to_u256() * U256::from(usage.milliseconds);
        let units = self.per_unit.to_u256() * U256::from(units);
        // None of these overflows: 128 and 64 bits make 192.
        let sum = size.div_ceil(U256::from(1024))
            + time.div_ceil(U256::from(1000))
            + units.div_ceil(U256::from(self.unit_size.get()));
        Amount::new(u128::try_from(sum).unwrap_or(u128::MAX)).min(self.max)
    }
}

/// Computes the face of which the seller nets `price` in the worst case: price * costs / (costs - 1), rounded up.
///
/// A payee takes no payout below `costs` times the cost of redeeming. Of such a payout it nets all but one cost.
pub(super) fn gross(price: Amount, costs: u32) -> Option<Amount> {
    let costs = U256::from(costs.max(2));
    let face = (price.to_u256() * costs).div_ceil(costs - U256::from(1));
    u128::try_from(face).ok().map(Amount::new)
}
