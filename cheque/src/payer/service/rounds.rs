//! What the owner wants of deposits that follow one another.

use crate::{payer::Payer, protocol::amount::Amount};
use alloy_primitives::{Address, U256};
use std::{error::Error, fmt, sync::Arc};

/// Why there is no list for the next round.
pub type ListError = Box<dyn Error + Send + Sync>;

/// Gives the payees of the next round and their allowances, in token units. It may block: it reads a file, say.
pub type NextList = Arc<dyn Fn() -> Result<Vec<(Address, Amount)>, ListError> + Send + Sync>;

/// Deposits of one token that follow one another without end: the next one is opened when the newest is nearly spent or
/// near its draw.
#[derive(Clone)]
pub struct Rounds {
    /// The token; zero: the native coin.
    pub token: Address,
    /// The payees of the next round, asked for each anew.
    pub allowances: NextList,
    /// After how many blocks a round is drawn, rounded up to the chain's grid.
    pub draw_in: u64,
    /// How many blocks after the draw it can be redeemed; `None`: as long as the chain remembers the draw block.
    pub redeem_window: Option<u64>,
    /// The smallest payout, in token units; `None`: 50 times what a redemption costs then, at most the amount.
    pub min_payout: Option<Amount>,
    /// The part of a deposit, as numerator and denominator, that leaves it nearly spent.
    pub nearly_spent: (u32, u32),
    /// How many blocks before the payer's cutoff the next round is opened; `None`: four times the chain's confirmations.
    pub lead: Option<u64>,
    /// The largest sum of deposits of this token within a day, in token units; `None`: no limit but the wallet.
    pub daily_budget: Option<Amount>,
}

impl Rounds {
    /// Rounds of native coin that are drawn after `draw_in` blocks, with the defaults for everything else.
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

    /// The same list in every round.
    pub fn same_list(list: Vec<(Address, Amount)>) -> NextList {
        Arc::new(move || Ok(list.clone()))
    }

    /// Whether these rounds can follow one another on the payer's chain. It does not look at money or at the list.
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
        let least = payer
            .least_draw_in()
            .and_then(|blocks| blocks.checked_add(lead))
            .ok_or(RoundsError::LeadTooLong { lead })?;
        // Else a round would be near its draw as soon as it is confirmed, and the next would follow at once.
        if self.draw_in < least {
            return Err(RoundsError::DrawTooSoon {
                draw_in: self.draw_in,
                least,
            });
        }
        Ok(())
    }

    pub(super) fn lead(&self, payer: &Payer) -> u64 {
        let usual = payer.reader().profile().confirmations.saturating_mul(4);
        self.lead.unwrap_or(usual)
    }

    /// Whether `spent` of `amount` is nearly all.
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

/// Why rounds could not follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundsError {
    /// The part that is nearly all is nothing, or more than the whole.
    #[error("{part}/{whole} is not a part of a deposit: name one above 0 and up to 1")]
    NotAPart {
        /// The numerator.
        part: u32,
        /// The denominator.
        whole: u32,
    },
    /// Winners would have no block to redeem in.
    #[error("a redemption window of 0 blocks leaves no block to redeem in: name at least 1")]
    NoTimeToRedeem,
    /// Opening deposits takes a wallet.
    #[error("opening deposits takes a wallet, and this payer has none")]
    NoWallet,
    /// Writing cheques takes the signer's key.
    #[error("writing cheques takes the signer's key, and this payer has none")]
    NoKey,
    /// The lead is beyond all block numbers.
    #[error("a lead of {lead} blocks is too long")]
    LeadTooLong {
        /// The lead.
        lead: u64,
    },
    /// A round would be over before it can be used.
    #[error(
        "a draw after {draw_in} blocks is too soon: with the lead for the next round, the least is {least}"
    )]
    DrawTooSoon {
        /// The blocks from opening to draw.
        draw_in: u64,
        /// The least number of them.
        least: u64,
    },
}
