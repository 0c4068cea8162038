//! The payee's policy, and its view of the chain (SPEC section 13.1).

use crate::protocol::{
    amount::Amount,
    chain_profile::{ChainProfile, KnownToken},
    now::{Freshness, Now},
    stream::MAX_STEPS,
    terms::{Bank, DepositId, Purse},
};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// The time before the draw in which a payee takes no payment by default, in seconds.
pub const PAYEE_CUTOFF: u64 = 30;

/// The longest time to a draw that a payee accepts by default, in seconds: 7 days.
pub const MAX_HORIZON: u64 = 7 * 86_400;

/// The time from the last payment to its place in the store that a cutoff leaves at least, in seconds.
const TIME_TO_STORE: u64 = 10;

/// The limits of a payee on the payments that it accepts. Times are seconds.
///
/// Start from [`Policy::new`], and set fields. [`receive_payment`](crate::receive_payment) does not check the values: a
/// host calls [`Policy::check`] once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The payee.
    pub payee: Address,
    /// The accepted banks, each with its chain. Their `minLead` is at least `finality`.
    pub banks: Vec<Bank>,
    /// The accepted tokens (zero: the native coin), each with its limits.
    pub tokens: BTreeMap<Address, TokenLimits>,
    /// The time before the draw in which no payment is accepted.
    pub cutoff: u64,
    /// The longest time from now to the draw.
    pub max_horizon: u64,
    /// The shortest time from the draw to the end of the redemption window.
    pub min_window: u64,
    /// The bounds on the clocks. `None`: not checked, neither is `finality`.
    pub freshness: Option<Freshness>,
    /// The largest age of the chain's final block.
    pub finality: u64,
    /// The largest sum of totals of one signer and token in deposits that are not settled, as a multiple of the cost to
    /// redeem a cheque. A chain's operator can take back so much.
    pub max_unsettled_costs: u32,
    /// The smallest payout of a cheque, as a multiple of the cost to redeem it.
    pub min_payout_per_cost: u32,
    /// The largest number of steps of a stream, at most [`MAX_STEPS`].
    pub max_steps: u32,
}

/// The risk that a payee takes in a token. Plain data, exhaustive by design: a further limit must not have a silent
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// The largest deposit, in token units. `None`: any.
    pub max_deposit: Option<Amount>,
    /// The largest sum of totals of one signer in deposits that are neither redeemed nor known to be lost, in token
    /// units.
    pub max_exposure: Amount,
}

impl TokenLimits {
    /// Makes the default limits: deposits of any size, and totals up to `max_exposure` per signer.
    pub const fn exposure(max_exposure: Amount) -> Self {
        Self {
            max_deposit: None,
            max_exposure,
        }
    }
}

/// The default limits of a token of dollars or euros: an exposure of 1,000 per signer.
impl From<&KnownToken> for TokenLimits {
    fn from(token: &KnownToken) -> Self {
        let thousand = Amount::new(1_000);
        // With more than 35 decimals no amount reaches 1,000: there is no limit.
        let max_exposure = 10_u128
            .checked_pow(token.decimals.into())
            .and_then(|one| thousand.checked_mul(one))
            .unwrap_or(Amount::MAX);
        Self::exposure(max_exposure)
    }
}

/// The reason why a policy takes payments that it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A payment could be stored after its draw is known.
    #[error(
        "the cutoff of {cutoff} s is too short; with clocks {max_ahead} s apart and a round every {period} s it takes at \
         least {min} s"
    )]
    CutoffTooShort {
        /// The policy's cutoff, in seconds.
        cutoff: u64,
        /// The policy's bound on the difference of clocks, in seconds.
        max_ahead: u64,
        /// The time between two rounds of the beacon, in seconds.
        period: u64,
        /// The shortest cutoff, in seconds.
        min: u64,
    },
    /// A draw could be known before its deposit's opening is final.
    #[error(
        "the bank opens deposits {min_lead} s before their draw, and the chain is final after {finality} s; use a bank \
         with a longer lead"
    )]
    LeadTooShort {
        /// The bank's least lead, in seconds.
        min_lead: u64,
        /// The policy's finality, in seconds.
        finality: u64,
    },
}

impl Policy {
    /// Makes the default policy: a single bank, the native coin with an exposure of 1 coin (10^18 units), a cutoff of
    /// 30 seconds, a horizon of 7 days, 50 costs before a deposit is settled, payouts from 10 costs on, streams of 1024
    /// steps, and the margins of the bank's chain.
    pub fn new(payee: Address, bank: Bank, profile: &ChainProfile) -> Self {
        let one_coin = Amount::new(1_000_000_000_000_000_000);
        Self {
            payee,
            banks: vec![bank],
            tokens: BTreeMap::from([(Address::ZERO, TokenLimits::exposure(one_coin))]),
            cutoff: PAYEE_CUTOFF,
            max_horizon: MAX_HORIZON,
            min_window: profile.min_window,
            freshness: profile.freshness,
            finality: profile.finality,
            max_unsettled_costs: 50,
            min_payout_per_cost: 10,
            max_steps: 1024.min(MAX_STEPS),
        }
    }

    /// Checks the policy against a bank's least lead and the seconds between two rounds of its beacon: the cutoff covers
    /// a slow clock, the time to the next round and the way into the store, and the lead covers the chain's finality.
    /// Accepts anything while the clocks are not checked.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the first condition that fails.
    pub fn check(&self, min_lead: u64, period: u64) -> Result<(), PolicyError> {
        let Some(Freshness { max_ahead, .. }) = self.freshness else {
            return Ok(());
        };
        let min = max_ahead
            .saturating_add(period)
            .saturating_add(TIME_TO_STORE);
        if self.cutoff < min {
            return Err(PolicyError::CutoffTooShort {
                cutoff: self.cutoff,
                max_ahead,
                period,
                min,
            });
        }
        if min_lead < self.finality {
            return Err(PolicyError::LeadTooShort {
                min_lead,
                finality: self.finality,
            });
        }
        Ok(())
    }
}

/// The payee's view of the chain at a payment.
///
/// Not checked against the chain: a wrong view lets worthless payments pass. Plain data, exhaustive by design: a host
/// that forgets a field must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The own clock, the newest head's time, and the newest verified round's.
    pub now: Now,
    /// The time of the chain's final block, seconds since 1970; `None` if the node does not tell.
    pub final_time: Option<u64>,
    /// The word of the deposit's purse, read at a block that is at least [`ChainProfile::confirm`] old.
    pub purse: U256,
    /// True if no reorganisation can take the opening back: the purse held the deposit at the final block, or has been
    /// seen to hold it for [`Policy::finality`] seconds.
    pub settled: bool,
    /// The cost to redeem a cheque of this deposit now, in token units: gas (see [`redeem_gas`]) times gas price, plus
    /// a rollup's data fee, times the token's rate, rounded up. `None` for a token without a rate.
    pub redeem_cost: Option<Amount>,
    /// The sum of the totals of the payee's positions in all other deposits with the same signer and token that are
    /// neither redeemed nor known to be lost, in token units.
    pub exposure: Amount,
    /// The part of `exposure` in deposits that are not settled, in token units.
    pub unsettled: Amount,
}

impl View {
    pub(super) fn is_open(&self, deposit: DepositId) -> bool {
        Purse::from_word(self.purse) == Purse::Open(deposit)
    }
}

/// Computes the gas to redeem a cheque from a tree of `depth` levels with a stream of up to `steps` steps, rounded up.
///
/// The parts are measured on a node in the most expensive case: an inline proof of the seed, a payee without a balance,
/// and a relayer with the payee's consent. Does not include a rollup's data fee.
pub const fn redeem_gas(depth: usize, steps: u32) -> u64 {
    const BASE: u64 = 192_000;
    const PER_LEVEL: u64 = 1_000;
    const PER_STEP: u64 = 58;
    BASE + PER_LEVEL * depth as u64 + PER_STEP * steps as u64
}
