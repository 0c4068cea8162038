//! Settings of rounds: deposits that follow one another.

use crate::{
    payer::{
        Payer,
        names::PayeeName,
        times::{Schedule, inclusion},
    },
    protocol::{amount::Amount, chain_profile::ChainProfile},
};
use alloy_primitives::{Address, U256};
use std::{collections::BTreeMap, error::Error, fmt, sync::Arc};

/// Why the list for the next round is not available.
pub type ListError = Box<dyn Error + Send + Sync>;

/// Returns the payees of the next round. May block, to read a file for example.
pub type NextList = Arc<dyn Fn() -> Result<RoundList, ListError> + Send + Sync>;

/// The payees of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoundList {
    /// The payees and their allowances, in token units.
    pub allowances: Vec<(Address, Amount)>,
    /// The payer's own names of payees.
    pub names: BTreeMap<Address, PayeeName>,
}

/// A list without names.
impl From<Vec<(Address, Amount)>> for RoundList {
    fn from(allowances: Vec<(Address, Amount)>) -> Self {
        Self {
            allowances,
            names: BTreeMap::new(),
        }
    }
}

/// The shortest round by default, in seconds.
const MIN_ROUND: u64 = 1_800;

/// Shortest round by default, as a part of the redemption window: money without a winner waits for the window's end, so
/// more than this many deposits would wait at a time.
const WINDOW_PER_ROUND: u64 = 50;

/// Deposits of one token that follow one another without end: the next one is opened when none can pay for long enough,
/// and with `every` at that interval. All times are seconds.
#[derive(Clone)]
#[non_exhaustive]
pub struct Rounds {
    /// The token; zero: the native coin.
    pub token: Address,
    /// The payees of the next round, called for each round.
    pub allowances: NextList,
    /// Time from opening to draw, rounded up to the chain's grid.
    pub draw_in: u64,
    /// Time between the openings of two deposits, several of which are open at a time; `None`: the next deposit
    /// is opened near the draw of the one before.
    pub every: Option<u64>,
    /// Redemption window: time after the draw; `None`: that of the chain's profile.
    pub redeem_window: Option<u64>,
    /// The smallest payout, in token units; `None`: 50 times the cost of a redemption when the round is opened,
    /// at most the amount.
    pub min_payout: Option<Amount>,
    /// Fraction of a deposit, as numerator and denominator, from which the deposit is nearly spent.
    pub nearly_spent: (u32, u32),
    /// Time before the payer's cutoff from which a deposit no longer counts as able to pay, so that the next is
    /// opened; `None`: the time to open a deposit with four times the chain's time to confirm, and without `every` its time
    /// to finality, too, since payees take little from a deposit before.
    pub lead: Option<u64>,
    /// Maximum sum of deposits of this token within a day, in token units; `None`: limited by the wallet only.
    pub daily_budget: Option<Amount>,
}

impl Rounds {
    /// Creates rounds of native coin that are drawn `draw_in` seconds after their opening, with defaults for all other
    /// fields: one after the other.
    pub fn new(allowances: NextList, draw_in: u64) -> Self {
        Self {
            token: Address::ZERO,
            allowances,
            draw_in,
            every: None,
            redeem_window: None,
            min_payout: None,
            nearly_spent: (7, 8),
            lead: None,
            daily_budget: None,
        }
    }

    /// Creates rounds like [`Rounds::new`] with the default times of the payer's bank and chain: a deposit every 30
    /// minutes, but not more often than 50 times in a redemption window, each drawn as early as that allows. `None` if
    /// these times do not fit 64 bits.
    pub fn usual(allowances: NextList, payer: &Payer) -> Option<Self> {
        let every = usual_round(payer.reader().profile().redeem_window);
        let mut rounds = Self::new(allowances, 0);
        rounds.every = Some(every);
        rounds.draw_in = rounds.min_draw_in(payer)?;
        Some(rounds)
    }

    /// Uses the same list in every round.
    pub fn same_list(list: impl Into<RoundList>) -> NextList {
        let list = list.into();
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
        if self.every == Some(0) {
            return Err(RoundsError::NoInterval);
        }
        let lead = self.lead(payer);
        let min_draw_in = self.min_draw_in(payer);
        let min_draw_in = min_draw_in.ok_or(RoundsError::LeadTooLong { lead })?;
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

    /// The configured lead, or its default, in seconds.
    pub(super) fn lead(&self, payer: &Payer) -> u64 {
        self.lead_on(payer.reader().profile())
    }

    fn lead_on(&self, profile: &ChainProfile) -> u64 {
        let to_settle = match self.every {
            Some(_) => 0,
            None => profile.finality,
        };
        let to_confirm = profile.confirm.saturating_mul(4);
        let to_open = inclusion(profile).saturating_add(to_confirm);
        self.lead.unwrap_or(to_open.saturating_add(to_settle))
    }

    /// Fewest seconds from opening to draw with which one deposit can always pay.
    fn min_draw_in(&self, payer: &Payer) -> Option<u64> {
        let lead = self.lead(payer);
        min_draw_in(&payer.schedule(), self.every, lead)
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
            .field("every", &self.every)
            .field("redeem_window", &self.redeem_window)
            .field("min_payout", &self.min_payout)
            .field("nearly_spent", &self.nearly_spent)
            .field("lead", &self.lead)
            .field("daily_budget", &self.daily_budget)
            .finish_non_exhaustive()
    }
}

/// Fewest seconds from opening to draw: those of a single deposit, and the time until the next can pay. A deposit has to
/// pay for its successor's lead, and with `every` until the successor is opened at all.
fn min_draw_in(schedule: &Schedule, every: Option<u64>, lead: u64) -> Option<u64> {
    let next = every.unwrap_or_default().checked_add(lead)?;
    schedule.min_draw_in()?.checked_add(next)
}

/// Seconds between two rounds by default.
const fn usual_round(redeem_window: u64) -> u64 {
    let share = redeem_window.div_ceil(WINDOW_PER_ROUND);
    if share > MIN_ROUND { share } else { MIN_ROUND }
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
    #[error("a redemption window of 0 s leaves no time to redeem; choose at least 1")]
    NoTimeToRedeem,
    /// Deposits would follow at once.
    #[error("deposits every 0 s have no end; choose at least 1")]
    NoInterval,
    /// The payer has no wallet to open deposits with.
    #[error("no wallet to open deposits with; configure one")]
    NoWallet,
    /// The payer has no key to write cheques with.
    #[error("no key to sign cheques with; configure the signer's key")]
    NoKey,
    /// The lead exceeds the range of times.
    #[error("a lead of {lead} s is too long; choose a shorter one")]
    LeadTooLong {
        /// The lead, in seconds.
        lead: u64,
    },
    /// The draw comes before a round could be used.
    #[error(
        "a draw {draw_in} s after the opening is too soon; with the lead for the next round, the minimum is {min_draw_in} s"
    )]
    DrawTooSoon {
        /// Requested seconds from opening to draw.
        draw_in: u64,
        /// Fewest seconds from opening to draw.
        min_draw_in: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_with_the_window_by_default() {
        let hour = 3_600;
        assert_eq!(usual_round(24 * hour), 1_800);
        assert_eq!(usual_round(25 * hour), 1_800);
        assert_eq!(usual_round(48 * hour), 3_456);
        assert_eq!(usual_round(0), 1_800);
    }

    #[test]
    fn opens_in_time_to_be_settled_unless_rounds_overlap() {
        let mut rounds = Rounds::new(Rounds::same_list(RoundList::default()), 86_400);
        let of = |chain| ChainProfile::of(chain).unwrap();
        let to_open = |chain| inclusion(of(chain)) + 4 * of(chain).confirm;
        for chain in [1, 8453, 31_337] {
            let (open, finality) = (to_open(chain), of(chain).finality);
            rounds.every = None;
            assert_eq!(rounds.lead_on(of(chain)), open + finality);
            rounds.every = Some(300);
            assert_eq!(rounds.lead_on(of(chain)), open);
        }
        assert_eq!((to_open(1), to_open(8453), to_open(31_337)), (624, 45, 1));
        rounds.lead = Some(7);
        assert_eq!(rounds.lead_on(of(1)), 7);
    }

    #[test]
    fn lets_each_deposit_pay_until_its_successor_does() {
        let rollup = Schedule {
            min_lead: 2_400,
            cutoff: 45,
            confirm: 10,
            inclusion: 5,
            grid: 300,
            genesis: 1_692_803_367,
            period: 3,
        };
        // Short rounds of an hour, every five minutes.
        assert_eq!(min_draw_in(&rollup, Some(300), 45), Some(2_750));
        assert_eq!(min_draw_in(&rollup, None, 2_445), Some(4_850));
        assert_eq!(min_draw_in(&rollup, Some(u64::MAX), 1), None);
    }
}
