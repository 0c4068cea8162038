//! A market maker that can always buy back all of its tokens.

use super::{
    curve::{CURVE_BITS, curve_times_limit, max_tokens},
    search::largest_where,
};
use crate::value::log::Log2;
use std::num::NonZeroU64;

/// Sells and buys tokens along a curve. At every moment
///
/// ```text
/// locked currency = curve(amount / limit) · limit · base price, rounded up
/// ```
///
/// is the cost of buying back all existing tokens. A trade costs exactly the difference of the locked currency before
/// and after. So a sale and a purchase of equally many tokens cancel out, and selling everything ends at 0. Spent
/// tokens unlock currency, the provider's earnings: see [`BondingCurve::adjust`].
///
/// `curve` is the integral of the price, in 2^14 straight segments of rising slope. The last segment would be
/// infinite and is left out. The base price is a base-2 logarithm, in units of currency for one token at price 1.
///
/// The amount, the limit and the base price are the whole state to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BondingCurve {
    amount: u64,
    limit: NonZeroU64,
    log_base_price: Log2,
    /// Locked currency of the three fields above.
    locked: u128,
}

impl BondingCurve {
    /// Returns a curve without tokens.
    pub const fn new(limit: NonZeroU64, log_base_price: Log2) -> Self {
        Self {
            amount: 0,
            limit,
            log_base_price,
            locked: 0,
        }
    }

    /// Restores a curve from its stored state.
    ///
    /// # Errors
    ///
    /// [`RestoreCurveError`] if no curve can have this state.
    pub fn restore(
        amount: u64,
        limit: NonZeroU64,
        log_base_price: Log2,
    ) -> Result<Self, RestoreCurveError> {
        let max = max_tokens(limit);
        if amount > max {
            return Err(RestoreCurveError::Amount { amount, max });
        }
        let locked = locked_currency(amount, limit, log_base_price);
        let locked = locked.ok_or(RestoreCurveError::Locked {
            octaves: log_base_price.whole(),
        })?;
        Ok(Self {
            amount,
            limit,
            log_base_price,
            locked,
        })
    }

    /// Returns the number of existing tokens.
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// Returns the token limit, towards which the price grows without bound.
    pub const fn limit(&self) -> NonZeroU64 {
        self.limit
    }

    /// Returns the base-2 logarithm of the base price.
    pub const fn log_base_price(&self) -> Log2 {
        self.log_base_price
    }

    /// Returns the cost of buying back all tokens, in units of currency. Below 2^127.
    pub const fn locked(&self) -> u128 {
        self.locked
    }

    /// Returns the price of `tokens` for a customer, in units of currency; for a negative number, the negative of the
    /// payout for as many, or for all existing tokens if fewer exist. `None` if the curve ends before, or the locked
    /// currency would reach 2^127.
    pub fn price(&self, tokens: i64) -> Option<i128> {
        let amount = self.amount.checked_add_signed(self.at_most_all(tokens))?;
        let locked = locked_currency(amount, self.limit, self.log_base_price)?;
        // Both are below 2^127.
        Some(locked as i128 - self.locked as i128)
    }

    /// Sells the customer as many tokens as possible, at least `min` and at most `max`, for at most `max_cost` units
    /// of currency. Negative arguments buy tokens from the customer: at most `-min` and at least `-max`, as few as
    /// pay out `-max_cost`. Numbers below minus the existing tokens count as all existing tokens. Returns `None`
    /// without a change if the terms cannot be met.
    ///
    /// Does not check that the customer has the tokens or the money. Does not detect a repeated order: see
    /// [`LastSerial`](super::LastSerial).
    pub fn exchange(&mut self, min: i64, max: i64, max_cost: i128) -> Option<Exchanged> {
        let available = max_tokens(self.limit) - self.amount;
        let (min, max) = (self.at_most_all(min), self.at_most_all(max));
        let max = max.min(i64::try_from(available).unwrap_or(i64::MAX));
        let affordable = |tokens: i64| self.price(tokens).is_some_and(|cost| cost <= max_cost);
        if max < min || !affordable(min) {
            return None;
        }
        let more = largest_where(max.abs_diff(min), |more| {
            affordable(min.saturating_add_unsigned(more))
        });
        let tokens = min.saturating_add_unsigned(more);
        let cost = self.price(tokens)?;
        let amount = self.amount.checked_add_signed(tokens)?;
        let locked = self.locked.checked_add_signed(cost)?;
        *self = Self {
            amount,
            locked,
            ..self.clone()
        };
        Some(Exchanged { tokens, cost })
    }

    /// Takes note of the `tokens` in all balances, and moves the limit and the base price towards their targets.
    /// Currency unlocked by spent tokens is earned.
    ///
    /// Nobody paid for tokens beyond those of the curve: the operator gave them away. They are counted apart, lock no
    /// currency, and count as spent first.
    ///
    /// A lower limit and a higher base price raise the locked currency. They are applied, the limit first, only as
    /// far as spent tokens allow: the locked currency never exceeds its earlier value.
    pub fn adjust(
        &mut self,
        tokens: u64,
        target_limit: NonZeroU64,
        target_log_base_price: Log2,
    ) -> Adjusted {
        let amount = tokens.min(self.amount);
        let gifted = tokens - amount;
        let locked = |limit, log| locked_currency(amount, limit, log);
        let fits = |limit, log| locked(limit, log).is_some_and(|sum| sum <= self.locked);

        // Changes that lower the sum come first and always fit.
        let widest = self.limit.max(target_limit);
        let cheapest = self.log_base_price.min(target_log_base_price);
        let narrowed = |by| NonZeroU64::new(widest.get() - by).unwrap_or(target_limit);
        let raised = |by| Log2::from_steps(cheapest.steps().saturating_add_unsigned(by));

        let span = widest.get() - target_limit.get();
        let limit = narrowed(largest_where(span, |by| fits(narrowed(by), cheapest)));
        let span = target_log_base_price.steps().abs_diff(cheapest.steps());
        let log_base_price = raised(largest_where(span, |by| fits(limit, raised(by))));

        // The sum exists because it fits; without a sum, nothing would be earned.
        let left = locked(limit, log_base_price).unwrap_or(self.locked);
        let earned = self.locked - left;
        *self = Self {
            amount,
            limit,
            log_base_price,
            locked: left,
        };
        let reached = limit == target_limit && log_base_price == target_log_base_price;
        Adjusted {
            earned,
            gifted,
            reached,
        }
    }

    /// Limits a sale by a customer to the existing tokens.
    fn at_most_all(&self, tokens: i64) -> i64 {
        tokens.max(0i64.saturating_sub_unsigned(self.amount))
    }
}

/// Returns the locked currency, rounded up; `None` above the end of the curve, and from 2^127 on. The result never
/// falls as `amount` or the base price grows, nor grows with `limit`.
fn locked_currency(amount: u64, limit: NonZeroU64, log_base_price: Log2) -> Option<u128> {
    log_base_price.times_up(curve_times_limit(amount, limit)?, CURVE_BITS)
}

/// An executed trade. Both numbers are negative if the customer has sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Tokens that the customer gets.
    pub tokens: i64,
    /// Price that the customer pays, in units of currency.
    pub cost: i128,
}

/// The outcome of an adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// Units of currency unlocked: the provider's earnings.
    pub earned: u128,
    /// Tokens that exist beyond those of the curve: gifts of the operator.
    pub gifted: u64,
    /// True if the limit and the base price are at their targets.
    pub reached: bool,
}

/// An error of restoring a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreCurveError {
    /// There are too many tokens for the limit.
    #[error(
        "{amount} tokens exist and the limit allows {max}; restore the whole state from one moment"
    )]
    Amount {
        /// Existing tokens.
        amount: u64,
        /// Tokens at the end of the curve.
        max: u64,
    },
    /// The locked currency would be too large.
    #[error(
        "2^127 or more would be locked at a base price of 2^{octaves}; restore a lower base price"
    )]
    Locked {
        /// The base-2 logarithm of the base price, rounded down.
        octaves: i64,
    },
}

#[cfg(test)]
mod tests;
