//! Paying from what deposits grant.

use super::composer::Composer;
use crate::id::NodeId;
use std::collections::BTreeSet;

/// Every amount paid counts this many times for the next deposit.
const GROWTH: u128 = 4;

/// What one deposit contributes to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The deposit.
    pub deposit: [u8; 32],
    /// How much more of the node's allowance in it is spent, in token units; never 0.
    pub amount: u128,
}

/// A payment that could be made now, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote<Id> {
    node: Id,
    amount: u128,
    fee: u128,
    pieces: Vec<Piece>,
    revision: u64,
}

/// Why a payment cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// Nothing is to be paid.
    #[error("at most 0 is to be paid: name an amount")]
    ZeroAmount,
    /// No amount is both.
    #[error("at least {least} and at most {most} is to be paid: swap the two")]
    EmptyRange {
        /// The least amount.
        least: u128,
        /// The most.
        most: u128,
    },
    /// The allowances do not cover it.
    #[error(
        "{left} is left of the node's allowances, and at least {least} is to be paid: wait for the next deposit"
    )]
    NotCovered {
        /// The least amount.
        least: u128,
        /// What is left.
        left: u128,
    },
}

/// The composer has changed since the quote was made: ask for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quote is of revision {found}, and the composer at {expected}: ask for another quote")]
pub struct StaleQuote {
    found: u64,
    expected: u64,
}

impl<Id> Quote<Id> {
    /// Who is paid.
    pub const fn node(&self) -> &Id {
        &self.node
    }

    /// What is paid, in token units.
    pub const fn amount(&self) -> u128 {
        self.amount
    }

    /// What the payment is charged of the newest deposit's fee, in token units. Payments from older ones are free of it.
    pub const fn fee(&self) -> u128 {
        self.fee
    }

    /// What the payment costs: amount and fee, in token units.
    pub const fn cost(&self) -> u128 {
        self.amount.saturating_add(self.fee)
    }

    /// Which deposits it is made from, those that stop first before others, and the newest last.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl<Id: NodeId> Composer<Id> {
    /// A payment of as much as there is, at least `least` and at most `most` token units. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`QuoteError`]
    pub fn quote(
        &self,
        node: &Id,
        least: u128,
        most: u128,
        head: u64,
    ) -> Result<Quote<Id>, QuoteError> {
        self.quote_without(node, least, most, head, &BTreeSet::new())
    }

    /// The same, from other deposits than these, which cannot be paid from for the moment.
    ///
    /// # Errors
    ///
    /// [`QuoteError`]
    pub fn quote_without(
        &self,
        node: &Id,
        least: u128,
        most: u128,
        head: u64,
        without: &BTreeSet<[u8; 32]>,
    ) -> Result<Quote<Id>, QuoteError> {
        if most == 0 {
            return Err(QuoteError::ZeroAmount);
        }
        if least > most {
            return Err(QuoteError::EmptyRange { least, most });
        }
        let mut wanted = most;
        let mut fee = 0;
        let mut pieces = Vec::new();
        let newest = self.deposits.last().map(|open| open.id);
        let mut usable: Vec<_> = self
            .deposits
            .iter()
            .filter(|open| head < open.end_block && !without.contains(&open.id))
            .collect();
        usable.sort_by_key(|open| (Some(open.id) == newest, open.end_block));
        for open in usable {
            let Some(allowance) = open.allowances.get(node) else {
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
        let left = most - wanted;
        if left < least || left == 0 {
            return Err(QuoteError::NotCovered { least, left });
        }
        Ok(Quote {
            node: node.clone(),
            amount: left,
            fee,
            pieces,
            revision: self.revision,
        })
    }

    /// What a payment of exactly `amount` would cost, in token units.
    ///
    /// # Errors
    ///
    /// [`QuoteError`]
    pub fn estimate_cost(&self, node: &Id, amount: u128, head: u64) -> Result<u128, QuoteError> {
        self.quote(node, amount, amount, head)
            .map(|quote| quote.cost())
    }

    /// Counts a quoted payment as made. Store the composer before the payment leaves the process.
    ///
    /// # Errors
    ///
    /// [`StaleQuote`] if anything changed since the quote was made. Then nothing is counted.
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
            let Some(allowance) = open.allowances.get_mut(&quote.node) else {
                continue;
            };
            let before = allowance.spent;
            allowance.spent += piece.amount;
            open.meter.cover(allowance.total, before, allowance.spent);
        }
        // Only a weight: where it no longer fits it is as large as it gets.
        let future = self.futures.entry(quote.node.clone()).or_default();
        *future = future.saturating_add(quote.amount.saturating_mul(GROWTH));
        self.revision += 1;
        Ok(())
    }
}
