//! Token prices for a given limit.

use super::search::largest_where;
use crate::{
    math::{FACTOR_BITS, ln_ratio},
    value::log::Log2,
};
use ruint::aliases::U256;
use std::num::NonZeroU64;

/// Fractional bits of a sum.
const SUM_BITS: u32 = 32;

/// Price at which selling saturates: that of 9/10 of the limit.
const SELLING_PRICE: u128 = 5;

/// A sum in relative currency units, in units of 2^-32. A relative unit is currency divided by the base price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcu(u128);

impl Rcu {
    /// Returns `units` whole relative currency units.
    pub const fn new(units: u64) -> Self {
        Self((units as u128) << SUM_BITS)
    }

    /// Returns `units` of 2^-32.
    pub const fn from_units(units: u128) -> Self {
        Self(units)
    }

    /// Returns the number of units of 2^-32.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Returns the charge for this sum in units of currency, rounded up, against the customer. `base_price` is the
    /// base-2 logarithm of the currency for one relative unit. `None` from 2^127 on.
    pub fn to_charge(self, base_price: Log2) -> Option<u128> {
        base_price.times_up(self.0, SUM_BITS)
    }

    /// Returns the payout for this sum in units of currency, rounded down, against the customer. Otherwise like
    /// [`Rcu::to_charge`], so never above the charge.
    pub fn to_pay_out(self, base_price: Log2) -> Option<u128> {
        base_price.times_down(self.0, SUM_BITS)
    }
}

/// Prices for one token limit. With `cost(a)`, the cost of the first `a` tokens, L the limit and x = a/L:
///
/// ```text
/// cost(a) = L · x^2                               up to x = 1/2
///           L · ( 1/4 + ln( 1 / (2 - 2x) ) / 2 )  above, without end as a approaches L
/// ```
///
/// rounded down to a unit of 2^-32; the error of the logarithm is below 2^-118. Buying and selling take differences
/// of costs, so every sum is within 2^-31 of the true sum. Each token above x = 9/10, rounded up to a whole token,
/// sells for 5, the price at 9/10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPrices {
    limit: NonZeroU64,
}

impl TokenPrices {
    /// Returns the prices for a limit of `limit` tokens.
    pub const fn new(limit: NonZeroU64) -> Self {
        Self { limit }
    }

    /// Returns the price of one token if `amount` exist: 2x up to x = 1/2, 1 / (2 - 2x) above. Rounded up, against
    /// the customer. `None` if no token is left below the limit.
    pub fn price(&self, amount: u64) -> Option<Rcu> {
        let (amount, limit) = (u128::from(amount), u128::from(self.limit.get()));
        let left = limit.checked_sub(amount).filter(|left| *left > 0)?;
        let (numerator, denominator) = if 2 * amount <= limit {
            (2 * amount, limit)
        } else {
            (limit, 2 * left)
        };
        Some(Rcu((numerator << SUM_BITS).div_ceil(denominator)))
    }

    /// Returns the cost of `tokens` more if `amount` exist.
    ///
    /// # Errors
    ///
    /// [`BuyError`] if the purchase would reach the limit.
    pub fn buy(&self, tokens: u64, amount: u64) -> Result<Rcu, BuyError> {
        let available = self.available(amount);
        if tokens > available {
            return Err(BuyError::Limit { tokens, available });
        }
        if tokens == 0 {
            return Ok(Rcu(0));
        }
        Ok(Rcu(self.cost(amount + tokens) - self.cost(amount)))
    }

    /// Returns the provider's payout for `tokens` if `amount` exist, or for all of these if `tokens` are more.
    pub fn sell(&self, tokens: u64, amount: u64) -> Rcu {
        Rcu(self.refund(amount) - self.refund(amount.saturating_sub(tokens)))
    }

    /// Returns the largest number of tokens that `sum` buys if `amount` exist: [`TokenPrices::buy`] costs at most
    /// `sum` for that number, and more than `sum`, or reaches the limit, for one token more.
    pub fn tokens_for(&self, sum: Rcu, amount: u64) -> u64 {
        let before = self.cost(amount.min(self.limit.get() - 1));
        largest_where(self.available(amount), |tokens| {
            self.cost(amount + tokens) - before <= sum.0
        })
    }

    /// Returns the smallest number of tokens that pay out `sum` if `amount` exist; `None` if all together do not.
    pub fn tokens_to_raise(&self, sum: Rcu, amount: u64) -> Option<u64> {
        let before = self.refund(amount);
        if before < sum.0 {
            return None;
        }
        let kept = largest_where(amount, |left| before - self.refund(left) >= sum.0);
        Some(amount - kept)
    }

    /// Returns the number of tokens for sale: the last token below the limit has a finite price, the limit has not.
    fn available(&self, amount: u64) -> u64 {
        (self.limit.get() - 1).saturating_sub(amount)
    }

    /// Returns the cost of the first `amount` tokens, in units of 2^-32; `amount` is below the limit.
    fn cost(&self, amount: u64) -> u128 {
        let limit = u128::from(self.limit.get());
        let doubled = 2 * u128::from(amount);
        if doubled <= limit {
            let square = U256::from(amount) * U256::from(amount);
            return ((square << SUM_BITS as usize) / U256::from(limit)).to();
        }
        let logarithm = ln_ratio(limit, 2 * limit - doubled);
        let hyperbolic = (U256::from(limit) * logarithm) >> (FACTOR_BITS + 1 - SUM_BITS as usize);
        (limit << (SUM_BITS - 2)) + hyperbolic.to::<u128>()
    }

    /// Returns the payout for selling all of `amount` tokens, in units of 2^-32.
    fn refund(&self, amount: u64) -> u128 {
        // Rounded up: with one token less, the first token above would pay out more than its cost.
        let nine_tenths = (u128::from(self.limit.get()) * 9).div_ceil(10) as u64;
        let saturation = nine_tenths.min(self.limit.get() - 1);
        let above = u128::from(amount.saturating_sub(saturation));
        self.cost(amount.min(saturation)) + ((above * SELLING_PRICE) << SUM_BITS)
    }
}

/// An error of buying tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuyError {
    /// The purchase would reach the limit, towards which the price grows without bound.
    #[error(
        "{tokens} tokens were requested and only {available} are left below the limit; request fewer, or try later"
    )]
    Limit {
        /// Requested tokens.
        tokens: u64,
        /// Tokens for sale.
        available: u64,
    },
}

#[cfg(test)]
mod tests;
