//! The state of a deposit that the payee has a cheque of: a function of the store, the beacon and the chain.
//!
//! ```text
//! before the draw   unconfirmed <-> receiving -> past_cutoff
//! after the draw    drawn -> not_drawn
//!                         -> won <-> redeeming -> redeemed
//!                            won -> missed
//! any               -> not_on_chain
//! ```
//!
//! A verified round is final, and with it `not_drawn`. Of a win, a reorganisation can still change what the bank holds.

use crate::{
    bank::ends::Closed,
    payee::service::plan::{RedeemableWin, WaitReason, Waiting},
    protocol::{
        amount::Amount,
        receive::policy::Policy,
        terms::{DepositId, Purse},
    },
    service::utc::utc,
};
use alloy_primitives::{Address, TxHash};
use std::fmt;

/// The state of a deposit. Displays as the reason, in a sentence. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HoldingState {
    /// After a reorganisation, the bank does not hold the deposit, or not at the confirmed block yet.
    Unconfirmed,
    /// The payee accepts payments from the deposit.
    Receiving {
        /// The time from which the payee refuses payments.
        until: u64,
    },
    /// The draw is too close for payments.
    PastCutoff {
        /// The draw time.
        draw_time: u64,
    },
    /// The draw time is over, and the beacon's round not known yet.
    Drawn {
        /// The draw time.
        draw_time: u64,
    },
    /// The draw selected another payee, or none.
    NotDrawn,
    /// Won, and to be redeemed.
    Won(Waiting),
    /// Won, and a redemption is pending.
    Redeeming {
        /// The newest replacement of the transaction.
        hash: TxHash,
    },
    /// Redeemed, by this payee or on its behalf.
    Redeemed {
        /// The payout, in token units.
        payout: Amount,
        /// The block of the redemption.
        block: u64,
    },
    /// Won, and not redeemed in time.
    Missed(MissReason),
    /// The chain does not have the deposit.
    NotOnChain {
        /// The time of the first of the consecutive heads without the deposit. A restarted service counts from its own
        /// first head.
        since: u64,
    },
}

/// The reason for a missed win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissReason {
    /// The chain is past the last time to redeem.
    Window {
        /// The last time to redeem.
        redeem_until: u64,
    },
    /// The payer has reclaimed the deposit after the last time to redeem.
    Reclaimed {
        /// The block of the reclaim.
        block: u64,
    },
    /// The round of the draw was not known by the last time to redeem. The draw may or may not have been won.
    NoSeed {
        /// The draw time.
        draw_time: u64,
    },
}

impl HoldingState {
    /// The names of all states, in the usual order of their occurrence.
    pub const NAMES: [&'static str; 10] = [
        "unconfirmed",
        "receiving",
        "past_cutoff",
        "drawn",
        "not_drawn",
        "won",
        "redeeming",
        "redeemed",
        "missed",
        "not_on_chain",
    ];

    /// A stable name in lower case, for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Receiving { .. } => "receiving",
            Self::PastCutoff { .. } => "past_cutoff",
            Self::Drawn { .. } => "drawn",
            Self::NotDrawn => "not_drawn",
            Self::Won(_) => "won",
            Self::Redeeming { .. } => "redeeming",
            Self::Redeemed { .. } => "redeemed",
            Self::Missed(_) => "missed",
            Self::NotOnChain { .. } => "not_on_chain",
        }
    }

    /// The time from which the payee refuses payments. `None` if it takes none now.
    #[must_use]
    pub const fn estimated_expiry(&self) -> Option<u64> {
        match self {
            Self::Receiving { until } => Some(*until),
            _ => None,
        }
    }

    /// True before the draw is decided, while the cheque has an expected value and no outcome.
    #[must_use]
    pub const fn is_to_be_drawn(&self) -> bool {
        matches!(
            self,
            Self::Unconfirmed
                | Self::Receiving { .. }
                | Self::PastCutoff { .. }
                | Self::Drawn { .. }
        )
    }

    /// True for a win that is neither redeemed nor missed.
    pub(super) const fn is_open_win(&self) -> bool {
        matches!(self, Self::Won(_) | Self::Redeeming { .. })
    }

    /// The state of a win to redeem now.
    pub(super) const fn due(win: &RedeemableWin) -> Self {
        Self::Won(Waiting {
            until: win.redeem_until,
            reason: WaitReason::Due,
        })
    }

    /// True if the deposit has ended, in whatever way, as of a block: only a reorganisation of the block or an incomplete
    /// answer of the node can change the state.
    pub(super) const fn has_ended(&self, at: &EndedBy) -> bool {
        match *self {
            Self::NotDrawn => true,
            Self::Redeemed { block, .. } | Self::Missed(MissReason::Reclaimed { block }) => {
                block <= at.number
            }
            Self::Missed(MissReason::Window { redeem_until }) => redeem_until < at.time,
            // The caller knows the window.
            Self::Missed(MissReason::NoSeed { .. }) => true,
            // No block tells when the deposit disappeared.
            Self::NotOnChain { since } => since.saturating_add(at.missing_for) <= at.head_time,
            _ => false,
        }
    }
}

/// The block by which a deposit has ended: the confirmed or the final block.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedBy {
    pub(super) number: u64,
    pub(super) time: u64,
    /// The time of the newest block.
    pub(super) head_time: u64,
    /// How long a deposit has to be missing, in seconds.
    pub(super) missing_for: u64,
}

impl fmt::Display for HoldingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfirmed => {
                f.write_str("the bank does not hold the deposit at a confirmed block")
            }
            Self::Receiving { until } => write!(f, "can be paid from until {}", utc(*until)),
            Self::PastCutoff { draw_time } => {
                write!(f, "takes no more payments; drawn at {}", utc(*draw_time))
            }
            Self::Drawn { draw_time } => write!(
                f,
                "drawn at {}; the beacon's round of that time is not known yet",
                utc(*draw_time)
            ),
            Self::NotDrawn => f.write_str("the draw did not select this payee"),
            Self::Won(waiting) => waiting.fmt(f),
            Self::Redeeming { hash } => write!(f, "transaction {hash} waits to be mined"),
            Self::Redeemed { payout, block } => {
                write!(f, "block {block} paid {payout} units to the payee")
            }
            Self::Missed(MissReason::Window { redeem_until }) => {
                write!(
                    f,
                    "won, but could be redeemed until {} only",
                    utc(*redeem_until)
                )
            }
            Self::Missed(MissReason::Reclaimed { block }) => write!(
                f,
                "won, but not redeemed before the payer reclaimed the deposit in block {block}"
            ),
            Self::Missed(MissReason::NoSeed { draw_time }) => write!(
                f,
                "the beacon's round of {} was not known before the window closed",
                utc(*draw_time)
            ),
            Self::NotOnChain { since } => write!(
                f,
                "missing on the chain since {}, and no event of the bank explains it: a reorganisation removed the deposit, \
                 or the node lacks events; ask another node",
                utc(*since)
            ),
        }
    }
}

/// The facts of a won deposit on the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct WinFacts {
    /// The time of the newest block.
    pub(super) head_time: u64,
    /// The contents of the purse there.
    pub(super) purse: Purse,
    /// The closing event, if the purse no longer holds the deposit.
    pub(super) closed: Option<Closed>,
    /// The time of the first head without the deposit, if also missing at the last look.
    pub(super) missing_since: Option<u64>,
    /// The newest transaction of a pending redemption.
    pub(super) pending: Option<TxHash>,
}

/// The state of a deposit before its draw is decided, at the latest of the three clocks. `unconfirmed` is true if the bank
/// does not hold it at the confirmed block.
pub(super) const fn before_draw(
    draw_time: u64,
    now: u64,
    policy: &Policy,
    unconfirmed: bool,
) -> HoldingState {
    let until = draw_time.saturating_sub(policy.cutoff);
    if now >= draw_time {
        HoldingState::Drawn { draw_time }
    } else if unconfirmed {
        HoldingState::Unconfirmed
    } else if now < until {
        HoldingState::Receiving { until }
    } else {
        HoldingState::PastCutoff { draw_time }
    }
}

/// The state of a won deposit. `None` for an open win without a pending redemption.
pub(super) fn after_win(
    (id, redeem_until): (DepositId, u64),
    payee: Address,
    facts: &WinFacts,
) -> Option<HoldingState> {
    if facts.purse != Purse::Open(id) {
        return Some(match facts.closed {
            Some(Closed::Redeemed {
                payee: to,
                payout,
                block,
            }) if to == payee => HoldingState::Redeemed { payout, block },
            // A redemption by another payee contradicts the draw, because a draw selects a single point, and this payee
            // has it.
            Some(Closed::Redeemed { .. }) | None => HoldingState::NotOnChain {
                since: facts.missing_since.unwrap_or(facts.head_time),
            },
            Some(Closed::Reclaimed { block }) => {
                HoldingState::Missed(MissReason::Reclaimed { block })
            }
        });
    }
    if facts.head_time > redeem_until {
        return Some(HoldingState::Missed(MissReason::Window { redeem_until }));
    }
    facts.pending.map(|hash| HoldingState::Redeeming { hash })
}

#[cfg(test)]
mod tests;
