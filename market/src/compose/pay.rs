//! Payments from open deposits.

use super::composer::Composer;
use crate::id::PeerId;
use std::collections::BTreeSet;

/// Factor of a payment in the future credit.
const GROWTH: u128 = 4;

/// The part of a payment that comes from one deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The deposit.
    pub deposit: [u8; 32],
    /// Amount to spend of the provider's allowance, in token units; never 0.
    pub amount: u128,
}

/// A possible payment and its cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote<Id> {
    provider: Id,
    amount: u128,
    fee: u128,
    pieces: Vec<Piece>,
    revision: u64,
}

/// An error of quoting a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// The maximum is 0.
    #[error("the maximum amount is 0; name an amount")]
    ZeroAmount,
    /// The minimum exceeds the maximum.
    #[error("the minimum amount {min} exceeds the maximum {max}; swap the two")]
    EmptyRange {
        /// Minimum amount.
        min: u128,
        /// Maximum amount.
        max: u128,
    },
    /// The allowances do not cover it.
    #[error(
        "the provider's allowances have {left} left, less than the minimum amount {min}; wait for the next deposit"
    )]
    NotCovered {
        /// Minimum amount.
        min: u128,
        /// Rest of the allowances.
        left: u128,
    },
}

/// The composer has changed since the quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quote has revision {found}, and the composer {expected}; request another quote")]
pub struct StaleQuote {
    found: u64,
    expected: u64,
}

impl<Id> Quote<Id> {
    /// Returns the payee.
    pub const fn provider(&self) -> &Id {
        &self.provider
    }

    /// Returns the amount, in token units.
    pub const fn amount(&self) -> u128 {
        self.amount
    }

    /// Returns the payment's share of the newest deposit's fee, in token units. Older deposits charge no fee.
    pub const fn fee(&self) -> u128 {
        self.fee
    }

    /// Returns the cost of the payment: amount and fee, in token units.
    pub const fn cost(&self) -> u128 {
        self.amount.saturating_add(self.fee)
    }

    /// Returns the pieces by deposit, in the order in which the deposits end, with the newest deposit last.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl<Id: PeerId> Composer<Id> {
    /// Quotes the largest possible payment from `min` to `max` token units. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`QuoteError`] for an impossible range or too small allowances.
    pub fn quote(
        &self,
        provider: &Id,
        min: u128,
        max: u128,
        now_s: u64,
    ) -> Result<Quote<Id>, QuoteError> {
        self.quote_without(provider, min, max, now_s, &BTreeSet::new())
    }

    /// Like [`quote`](Self::quote), without some deposits that cannot pay at present.
    ///
    /// # Errors
    ///
    /// [`QuoteError`] for an impossible range or too small allowances.
    pub fn quote_without(
        &self,
        provider: &Id,
        min: u128,
        max: u128,
        now_s: u64,
        without: &BTreeSet<[u8; 32]>,
    ) -> Result<Quote<Id>, QuoteError> {
        if max == 0 {
            return Err(QuoteError::ZeroAmount);
        }
        if min > max {
            return Err(QuoteError::EmptyRange { min, max });
        }
        let mut wanted = max;
        let mut fee = 0;
        let mut pieces = Vec::new();
        let newest = self.deposits.last().map(|open| open.id);
        let mut usable: Vec<_> = self
            .deposits
            .iter()
            .filter(|open| now_s < open.end_s && !without.contains(&open.id))
            .collect();
        usable.sort_by_key(|open| (Some(open.id) == newest, open.end_s));
        for open in usable {
            let Some(allowance) = open.allowances.get(provider) else {
                continue;
            };
            let amount = wanted.min(allowance.remain());
            if amount == 0 {
                continue;
            }
            if Some(open.id) == newest {
                let mut after = open.meter.clone();
                after.cover(allowance.total, allowance.spent, allowance.spent + amount);
                fee = after.charged() - open.meter.charged();
            }
            wanted -= amount;
            pieces.push(Piece {
                deposit: open.id,
                amount,
            });
        }
        let left = max - wanted;
        if left < min || left == 0 {
            return Err(QuoteError::NotCovered { min, left });
        }
        Ok(Quote {
            provider: provider.clone(),
            amount: left,
            fee,
            pieces,
            revision: self.revision,
        })
    }

    /// Returns the cost of a payment of exactly `amount`, in token units.
    ///
    /// # Errors
    ///
    /// [`QuoteError`] for the amount 0 or too small allowances.
    pub fn payment_cost(
        &self,
        provider: &Id,
        amount: u128,
        now_s: u64,
    ) -> Result<u128, QuoteError> {
        self.quote(provider, amount, amount, now_s)
            .map(|quote| quote.cost())
    }

    /// Records a quoted payment as made. Store the composer before the payment leaves the process.
    ///
    /// # Errors
    ///
    /// [`StaleQuote`] if the composer has changed since the quote; nothing is recorded.
    pub fn record(&mut self, quote: &Quote<Id>) -> Result<(), StaleQuote> {
        if quote.revision != self.revision {
            return Err(StaleQuote {
                found: quote.revision,
                expected: self.revision,
            });
        }
        for piece in &quote.pieces {
            let open = self
                .deposits
                .iter_mut()
                .find(|open| open.id == piece.deposit);
            let Some(open) = open else { continue };
            let Some(allowance) = open.allowances.get_mut(&quote.provider) else {
                continue;
            };
            let before = allowance.spent;
            allowance.spent += piece.amount;
            open.meter.cover(allowance.total, before, allowance.spent);
        }
        // Future credit is only a weight, so an overflow may saturate.
        let future = self.futures.entry(quote.provider.clone()).or_default();
        *future = future.saturating_add(quote.amount.saturating_mul(GROWTH));
        self.revision += 1;
        Ok(())
    }
}
