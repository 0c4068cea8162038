//! Settings of rounds: deposits that follow one another.

use crate::{
    payer::{Payer, request::earliest_draw},
    protocol::amount::Amount,
};
use alloy_primitives::{Address, U256};
use std::{error::Error, fmt, sync::Arc};

/// Why the list for the next round is not available.
pub type ListError = Box<dyn Error + Send + Sync>;

/// Returns the payees of the next round and their allowances, in token units. May block, to read a file for
/// example.
pub type NextList = Arc<dyn Fn() -> Result<Vec<(Address, Amount)>, ListError> + Send + Sync>;

/// Deposits of one token that follow one another without end: the next one is opened when the newest is nearly
/// spent or near its draw.
#[derive(Clone)]
#[non_exhaustive]
pub struct Rounds {
    /// The token; zero: the native coin.
    pub token: Address,
    /// The payees of the next round, called for each round.
    pub allowances: NextList,
    /// Blocks from opening to draw, rounded up to the chain's grid.
    pub draw_in: u64,
    /// Redemption window: blocks after the draw; `None`: as long as the chain remembers the draw block.
    pub redeem_window: Option<u64>,
    /// The smallest payout, in token units; `None`: 50 times the cost of a redemption when the round is opened,
    /// at most the amount.
    pub min_payout: Option<Amount>,
    /// Fraction of a deposit, as numerator and denominator, from which the deposit is nearly spent.
    pub nearly_spent: (u32, u32),
    /// Blocks before the payer's cutoff at which the next round is opened; `None`: four times the chain's
    /// confirmations.
    pub lead: Option<u64>,
    /// Maximum sum of deposits of this token within a day, in token units; `None`: limited by the wallet only.
    pub daily_budget: Option<Amount>,
}

impl Rounds {
    /// Creates rounds of native coin that are drawn after `draw_in` blocks, with defaults for all other fields.
    pub fn new(allowances: NextList, draw_in: u64) -> Self {
        Self {
            token: Address::ZERO,
            allowances,
            draw_in,
            redeem_window: None,
            min_payout: None,
            nearly_spent: (7, 8),
            lead: None,
            daily_budget: None,
        }
    }

    /// Uses the same list in every round.
    pub fn same_list(list: Vec<(Address, Amount)>) -> NextList {
        Arc::new(move || Ok(list.clone()))
    }

    /// Checks that these rounds can follow one another on the payer's chain. Does not check money, budget or
    /// list.
    ///
    /// # Errors
    ///
    /// [`RoundsError`] names the setting to change.
    pub fn check(&self, payer: &Payer) -> Result<(), RoundsError> {
        let (part, whole) = self.nearly_spent;
        if part == 0 || part > whole {
            return Err(RoundsError::NotAPart { part, whole });
        }
        if self.redeem_window == Some(0) {
            return Err(RoundsError::NoTimeToRedeem);
        }
        if payer.wallet().is_none() {
            return Err(RoundsError::NoWallet);
        }
        if payer.signer().is_none() {
            return Err(RoundsError::NoKey);
        }
        let lead = self.lead(payer);
        let min_draw_in = earliest_draw(payer.reader(), 0)
            .and_then(|blocks| blocks.checked_add(lead))
            .ok_or(RoundsError::LeadTooLong { lead })?;
        // A shorter round would be near its draw as soon as it is confirmed, and the next round would follow at
        // once.
        if self.draw_in < min_draw_in {
            return Err(RoundsError::DrawTooSoon {
                draw_in: self.draw_in,
                min_draw_in,
            });
        }
        Ok(())
    }

    /// The configured lead, or its default, in blocks.
    pub(super) fn lead(&self, payer: &Payer) -> u64 {
        let default = payer.reader().profile().confirmations.saturating_mul(4);
        self.lead.unwrap_or(default)
    }

    /// True if `spent` is nearly all of `amount`.
    pub(super) fn is_nearly_spent(&self, spent: Amount, amount: Amount) -> bool {
        let (part, whole) = self.nearly_spent;
        spent.to_u256() * U256::from(whole) >= amount.to_u256() * U256::from(part)
    }
}

impl fmt::Debug for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rounds")
            .field("token", &self.token)
            .field("draw_in", &self.draw_in)
            .field("redeem_window", &self.redeem_window)
            .field("min_payout", &self.min_payout)
            .field("nearly_spent", &self.nearly_spent)
            .field("lead", &self.lead)
            .field("daily_budget", &self.daily_budget)
            .finish_non_exhaustive()
    }
}

/// Why rounds cannot follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundsError {
    /// The fraction of a nearly spent deposit is zero, or above one.
    #[error("{part}/{whole} is not a fraction of a deposit; choose one above 0 and up to 1")]
    NotAPart {
        /// The numerator.
        part: u32,
        /// The denominator.
        whole: u32,
    },
    /// The redemption window is empty.
    #[error("a redemption window of 0 blocks leaves no time to redeem; choose at least 1")]
    NoTimeToRedeem,
    /// The payer has no wallet to open deposits with.
    #[error("no wallet to open deposits with; configure one")]
    NoWallet,
    /// The payer has no key to write cheques with.
    #[error("no key to sign cheques with; configure the signer's key")]
    NoKey,
    /// The lead exceeds the range of block numbers.
    #[error("a lead of {lead} blocks is too long; choose a shorter one")]
    LeadTooLong {
        /// The lead.
        lead: u64,
    },
    /// The draw comes before a round could be used.
    #[error(
        "a draw after {draw_in} blocks is too soon; with the lead for the next round, the minimum is {min_draw_in}"
    )]
    DrawTooSoon {
        /// Requested blocks from opening to draw.
        draw_in: u64,
        /// Minimum number of these blocks.
        min_draw_in: u64,
    },
}
