//! A market maker that can always buy all of its tokens back.

use super::{
    curve::{CURVE_BITS, curve_times_limit, most_tokens},
    most,
};
use crate::value::Log2;
use std::num::NonZeroU64;

/// Sells and buys tokens along a curve. At every moment
///
/// ```text
/// locked currency = curve(amount / limit) · limit · base price, rounded up
/// ```
///
/// is what it takes to buy back all tokens that exist. A trade costs the difference of the locked currency after and
/// before, exactly; so a sale and a purchase of as many tokens cancel out, and selling everything ends at 0. Tokens that are
/// spent unlock currency, which is what the provider earns: [`BondingCurve::adjust`].
///
/// `curve` is the integral of the price, in 2^14 straight segments that become steeper; the last one is left out, for it
/// has no end. The base price is given as a base-2 logarithm, in units of currency for one token at price 1.
///
/// The state of an amount, a limit and a base price is all there is to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BondingCurve {
    amount: u64,
    limit: NonZeroU64,
    log_base_price: Log2,
    /// That of the three above.
    locked: u128,
}

impl BondingCurve {
    /// A curve without tokens.
    pub const fn new(limit: NonZeroU64, log_base_price: Log2) -> Self {
        Self {
            amount: 0,
            limit,
            log_base_price,
            locked: 0,
        }
    }

    /// A curve as it was stored.
    ///
    /// # Errors
    ///
    /// [`RestoreCurveError`] if no curve can have been in this state.
    pub fn restore(
        amount: u64,
        limit: NonZeroU64,
        log_base_price: Log2,
    ) -> Result<Self, RestoreCurveError> {
        let most = most_tokens(limit);
        if amount > most {
            return Err(RestoreCurveError::Amount { amount, most });
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

    /// The tokens that exist.
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// The tokens towards which the price grows without end.
    pub const fn limit(&self) -> NonZeroU64 {
        self.limit
    }

    /// The base-2 logarithm of the base price.
    pub const fn log_base_price(&self) -> Log2 {
        self.log_base_price
    }

    /// What it takes to buy all tokens back, in units of currency. Below 2^127.
    pub const fn locked(&self) -> u128 {
        self.locked
    }

    /// What a customer pays for `tokens`, in units of currency; for a negative number, the negative of what it gets for as
    /// many. `None` if fewer exist, the curve ends before, or the locked currency would reach 2^127.
    pub fn price(&self, tokens: i64) -> Option<i128> {
        let amount = self.amount.checked_add_signed(tokens)?;
        let locked = locked_currency(amount, self.limit, self.log_base_price)?;
        // Both are below 2^127.
        Some(locked as i128 - self.locked as i128)
    }

    /// Sells the customer as many tokens as possible, at least `min` and at most `max`, for at most `max_cost` units of
    /// currency. All three may be negative: tokens are then bought from the customer, at most `-min` and at least `-max`,
    /// as few as give it `-max_cost`. `None`, and no change, where that is impossible.
    ///
    /// Checks neither that the customer has the tokens or the money, nor that the order is not a copy:
    /// [`LastSerial`](super::LastSerial).
    pub fn exchange(&mut self, min: i64, max: i64, max_cost: i128) -> Option<Exchanged> {
        let available = most_tokens(self.limit) - self.amount;
        let min = min.max(0i64.saturating_sub_unsigned(self.amount));
        let max = max.min(i64::try_from(available).unwrap_or(i64::MAX));
        let affordable = |tokens: i64| self.price(tokens).is_some_and(|cost| cost <= max_cost);
        if max < min || !affordable(min) {
            return None;
        }
        let more = most(max.abs_diff(min), |more| {
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

    /// Takes note that `amount` tokens are left, and moves the limit and the base price towards their targets. What is no
    /// longer locked is earned.
    ///
    /// A lower limit and a higher base price raise the locked currency. They are applied, the limit first, as far as what
    /// was spent allows: never is more locked than before.
    ///
    /// # Errors
    ///
    /// [`AdjustError`] if there are more tokens than before; nothing changes.
    pub fn adjust(
        &mut self,
        amount: u64,
        target_limit: NonZeroU64,
        target_log_base_price: Log2,
    ) -> Result<Adjusted, AdjustError> {
        if amount > self.amount {
            return Err(AdjustError::Amount {
                amount,
                before: self.amount,
            });
        }
        let locked = |limit, log| locked_currency(amount, limit, log);
        let fits = |limit, log| locked(limit, log).is_some_and(|sum| sum <= self.locked);

        // What lowers the sum comes first and always fits.
        let widest = self.limit.max(target_limit);
        let cheapest = self.log_base_price.min(target_log_base_price);
        let narrowed = |by| NonZeroU64::new(widest.get() - by).unwrap_or(target_limit);
        let raised = |by| Log2::from_steps(cheapest.steps().saturating_add_unsigned(by));

        let span = widest.get() - target_limit.get();
        let limit = narrowed(most(span, |by| fits(narrowed(by), cheapest)));
        let span = target_log_base_price.steps().abs_diff(cheapest.steps());
        let log_base_price = raised(most(span, |by| fits(limit, raised(by))));

        // There is a sum, for it fits; were there none, nothing would be earned.
        let left = locked(limit, log_base_price).unwrap_or(self.locked);
        let earned = self.locked - left;
        *self = Self {
            amount,
            limit,
            log_base_price,
            locked: left,
        };
        let reached = limit == target_limit && log_base_price == target_log_base_price;
        Ok(Adjusted { earned, reached })
    }
}

/// Rounded up. `None` above the curve's end, and from 2^127 on. It never falls as `amount` or the base price grows, nor
/// grows with `limit`.
fn locked_currency(amount: u64, limit: NonZeroU64, log_base_price: Log2) -> Option<u128> {
    log_base_price.times_up(curve_times_limit(amount, limit)?, CURVE_BITS)
}

/// What was exchanged. Both numbers are negative if the customer has sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Tokens for the customer.
    pub tokens: i64,
    /// What the customer pays for them, in units of currency.
    pub cost: i128,
}

/// What came of an adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// Units of currency that are no longer locked: the provider's earnings.
    pub earned: u128,
    /// Whether the limit and the base price are at their targets.
    pub reached: bool,
}

/// Why there is no curve in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreCurveError {
    /// The curve ends before.
    #[error(
        "{amount} tokens exist and the limit allows {most}: restore all of the state from one moment"
    )]
    Amount {
        /// Tokens that exist.
        amount: u64,
        /// Tokens at the end of the curve.
        most: u64,
    },
    /// More currency would be locked than fits.
    #[error("2^127 or more would be locked at a base price of 2^{octaves}: restore a lower one")]
    Locked {
        /// The base-2 logarithm of the base price, rounded down.
        octaves: i64,
    },
}

/// Why a curve was not adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdjustError {
    /// Tokens come from exchanges alone: others could be sold for currency that nobody paid.
    #[error(
        "{amount} tokens are reported and {before} were sold: buy tokens that are given away, by an exchange"
    )]
    Amount {
        /// Tokens reported.
        amount: u64,
        /// Tokens that existed before.
        before: u64,
    },
}

#[cfg(test)]
mod tests;
