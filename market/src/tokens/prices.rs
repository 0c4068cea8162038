//! What tokens cost for a given limit.

use super::most;
use crate::{
    math::{FACTOR_BITS, ln_ratio},
    value::Log2,
};
use ruint::aliases::U256;
use std::num::NonZeroU64;

/// Fractional bits of a sum.
const SUM_BITS: u32 = 32;

/// The price at which selling saturates, that of 9/10 of the limit.
const SELLING_PRICE: u128 = 5;

/// A sum in relative currency units: currency divided by the base price. In units of 2^-32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcu(u128);

impl Rcu {
    /// `units` whole relative currency units.
    pub const fn new(units: u64) -> Self {
        Self((units as u128) << SUM_BITS)
    }

    /// `units` of 2^-32.
    pub const fn from_units(units: u128) -> Self {
        Self(units)
    }

    /// The number of units of 2^-32.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// What to charge for this sum, in units of currency: rounded up, against the customer. `base_price` is the base-2
    /// logarithm of the currency for one relative unit. `None` from 2^127 on.
    pub fn to_charge(self, base_price: Log2) -> Option<u128> {
        base_price.times_up(self.0, SUM_BITS)
    }

    /// What to pay out for this sum, in units of currency: rounded down, against the customer, and otherwise as
    /// [`Rcu::to_charge`], so never above it.
    pub fn to_pay_out(self, base_price: Log2) -> Option<u128> {
        base_price.times_down(self.0, SUM_BITS)
    }
}

/// The prices for one token limit. With `cost(a)`, what all of the first `a` tokens cost, L the limit and x = a/L:
///
/// ```text
/// cost(a) = L · x^2                               up to x = 1/2
///           L · ( 1/4 + ln( 1 / (2 - 2x) ) / 2 )  above, without end as a approaches L
/// ```
///
/// rounded down to a unit of 2^-32; the logarithm is off by less than 2^-118. Buying and selling take differences of it, so
/// every sum is within 2^-31 of the true one. Each token above x = 9/10, rounded up to a whole token, sells for 5, the
/// price there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPrices {
    limit: NonZeroU64,
}

impl TokenPrices {
    /// The prices for a limit of `limit` tokens.
    pub const fn new(limit: NonZeroU64) -> Self {
        Self { limit }
    }

    /// The price of one token where `amount` exist: 2x up to x = 1/2, 1 / (2 - 2x) above. Rounded up, against the
    /// customer. `None` where no token is left below the limit.
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

    /// What `tokens` more cost where `amount` exist.
    ///
    /// # Errors
    ///
    /// [`BuyError`] if the limit would be reached.
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

    /// What the provider gives for `tokens` where `amount` exist.
    ///
    /// # Errors
    ///
    /// [`SellError`] if there are not as many.
    pub fn sell(&self, tokens: u64, amount: u64) -> Result<Rcu, SellError> {
        let left = amount
            .checked_sub(tokens)
            .ok_or(SellError::Amount { tokens, amount })?;
        Ok(Rcu(self.refund(amount) - self.refund(left)))
    }

    /// The most tokens that `sum` buys where `amount` exist: [`TokenPrices::buy`] of as many costs at most `sum`, and of
    /// one more would cost more or reach the limit.
    pub fn tokens_for(&self, sum: Rcu, amount: u64) -> u64 {
        let before = self.cost(amount.min(self.limit.get() - 1));
        most(self.available(amount), |tokens| {
            self.cost(amount + tokens) - before <= sum.0
        })
    }

    /// The fewest tokens that give `sum` where `amount` exist. `None` if all together do not.
    pub fn tokens_to_raise(&self, sum: Rcu, amount: u64) -> Option<u64> {
        let before = self.refund(amount);
        if before < sum.0 {
            return None;
        }
        let kept = most(amount, |left| before - self.refund(left) >= sum.0);
        Some(amount - kept)
    }

    /// How many can still be bought: the price of the last one below the limit is finite, that of the limit is not.
    fn available(&self, amount: u64) -> u64 {
        (self.limit.get() - 1).saturating_sub(amount)
    }

    /// What the first `amount` tokens cost, in units of 2^-32; `amount` is below the limit.
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

    /// What selling `amount` tokens down to none gives, in units of 2^-32.
    fn refund(&self, amount: u64) -> u128 {
        // Rounded up: one token less, and the first above it would give more than it costs.
        let nine_tenths = (u128::from(self.limit.get()) * 9).div_ceil(10) as u64;
        let saturation = nine_tenths.min(self.limit.get() - 1);
        let above = u128::from(amount.saturating_sub(saturation));
        self.cost(amount.min(saturation)) + ((above * SELLING_PRICE) << SUM_BITS)
    }
}

/// Why tokens cannot be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuyError {
    /// The price grows without end towards the limit.
    #[error(
        "{tokens} tokens are asked for and {available} left below the limit: ask for fewer, or later"
    )]
    Limit {
        /// Tokens asked for.
        tokens: u64,
        /// Tokens that can be bought.
        available: u64,
    },
}

/// Why tokens cannot be sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SellError {
    /// Nobody holds more tokens than exist.
    #[error("{tokens} tokens are offered and {amount} exist: offer no more than the balance")]
    Amount {
        /// Tokens offered.
        tokens: u64,
        /// Tokens that exist.
        amount: u64,
    },
}

#[cfg(test)]
mod tests;
