//! Where a deposit stands that the payee holds a cheque of: a function of what is in the store and on the chain.
//!
//! ```text
//! before the draw   unconfirmed <-> receiving -> closed
//! after it          drawn -> lost
//!                         -> won <-> redeeming -> redeemed
//!                            won -> missed
//! any               -> gone, where the chain does not have the deposit (any more)
//! ```
//!
//! A reorganisation can turn each of them into another one.

use crate::{
    bank::history::Closed,
    payee::service::plan::{RedeemableWin, WaitReason, Waiting},
    protocol::{
        amount::Amount,
        draw::HISTORY_WINDOW,
        receive::policy::Policy,
        terms::{DepositId, Purse},
    },
};
use alloy_primitives::{Address, TxHash};
use cheque_bindings::Deposit;
use std::fmt;

/// Where a deposit stands. Its text is the reason, in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HoldingState {
    /// The bank does not hold the deposit, or not for long enough, after a reorganisation.
    Unconfirmed,
    /// It can be paid from.
    Receiving {
        /// The first block at which it cannot any more.
        until: u64,
    },
    /// Too close to the draw to be paid from.
    PastCutoff {
        /// The draw block.
        draw_block: u64,
    },
    /// The draw block is there, and not deep enough yet.
    Drawn {
        /// The head at which it is.
        deep_at: u64,
    },
    /// The draw went to somebody else, or to nobody.
    NotDrawn,
    /// Won, and to be redeemed.
    Won(Waiting),
    /// A transaction that redeems it is under way.
    Redeeming {
        /// The newest replacement of the transaction.
        hash: TxHash,
    },
    /// Redeemed, by this payee or for it.
    Redeemed {
        /// What it paid, in token units.
        payout: Amount,
        /// The block of the redemption.
        block: u64,
    },
    /// Won, and not redeemed in time.
    Missed(MissReason),
    /// The chain does not have the deposit.
    NotOnChain {
        /// The first head at which it was seen to be so, without a break since then. A service that starts again counts anew.
        since: u64,
    },
}

/// What was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissReason {
    /// The last block to redeem is over, or too near.
    Window {
        /// That block.
        last_block: u64,
    },
    /// The payer has taken the money back, after the last block to redeem.
    Reclaimed {
        /// The block in which it did.
        block: u64,
    },
    /// The chain has forgotten the draw block, and nobody has recorded its seed.
    Seed {
        /// The draw block.
        block: u64,
    },
}

impl HoldingState {
    /// All names, in the order of a life.
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

    /// A win that nothing has to wait for.
    pub(super) fn due(win: &RedeemableWin) -> Self {
        Self::Won(Waiting {
            until: win.deadline(),
            because: WaitReason::Due,
        })
    }

    /// The block since which the deposit is over, in whatever way. Only a reorganisation of that block, or a node that
    /// does not have all, makes it another state. `None`: it is not over.
    pub(super) const fn over_since(&self, draw_block: u64) -> Option<u64> {
        match *self {
            Self::NotDrawn => Some(draw_block),
            Self::NotOnChain { since } => Some(since),
            Self::Redeemed { block, .. } | Self::Missed(MissReason::Reclaimed { block }) => {
                Some(block)
            }
            Self::Missed(MissReason::Window { last_block }) => Some(last_block),
            Self::Missed(MissReason::Seed { block }) => Some(block.saturating_add(HISTORY_WINDOW)),
            _ => None,
        }
    }

    /// Whether the draw is still to come, so that the cheque has an expected value and no outcome.
    pub const fn is_to_be_drawn(&self) -> bool {
        matches!(
            self,
            Self::Unconfirmed
                | Self::Receiving { .. }
                | Self::PastCutoff { .. }
                | Self::Drawn { .. }
        )
    }
}

impl fmt::Display for HoldingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfirmed => {
                f.write_str("the bank does not hold the deposit, or not deep enough in the chain")
            }
            Self::Receiving { until } => write!(f, "can be paid from until block {until}"),
            Self::PastCutoff { draw_block } => {
                write!(
                    f,
                    "takes no payments any more, and is drawn by block {draw_block}"
                )
            }
            Self::Drawn { deep_at } => {
                write!(f, "drawn; the draw block is deep enough at block {deep_at}")
            }
            Self::NotDrawn => f.write_str("the draw did not select this payee"),
            Self::Won(wait) => wait.fmt(f),
            Self::Redeeming { hash } => write!(f, "transaction {hash} waits to be mined"),
            Self::Redeemed { payout, block } => {
                write!(f, "block {block} has paid {payout} units to the payee")
            }
            Self::Missed(MissReason::Window { last_block }) => {
                write!(f, "won, and block {last_block} was the last to redeem it")
            }
            Self::Missed(MissReason::Reclaimed { block }) => {
                write!(
                    f,
                    "won, and not redeemed before the payer took it back in block {block}"
                )
            }
            Self::Missed(MissReason::Seed { block }) => write!(
                f,
                "won, and the seed of block {block} was not recorded within {HISTORY_WINDOW} blocks"
            ),
            Self::NotOnChain { since } => write!(
                f,
                "since block {since} the chain does not have the deposit, and no event that fits says why: a reorganisation \
                 has undone it, or the node lacks events"
            ),
        }
    }
}

/// What is known of a deposit whose draw block is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    /// The newest block.
    pub(super) head: u64,
    /// The newest block that is deep enough.
    pub(super) confirmed: u64,
    /// What the purse holds at the head.
    pub(super) purse: Purse,
    /// Whether the cheque wins. `None`: the node does not have the draw block.
    pub(super) wins: Option<bool>,
    /// Whether the seed is recorded.
    pub(super) recorded: bool,
    /// How it was closed, where the purse does not hold it any more and it wins.
    pub(super) closed: Option<Closed>,
    /// Since when it is gone, if it was gone at the last step.
    pub(super) gone_since: Option<u64>,
    /// The newest transaction that redeems it, if one is under way.
    pub(super) sent: Option<TxHash>,
}

/// Where a deposit stands before its draw. `unconfirmed`: the bank does not hold it at the confirmed block.
pub(super) fn before_draw(
    draw_block: u64,
    head: u64,
    policy: &Policy,
    unconfirmed: bool,
) -> HoldingState {
    if unconfirmed {
        return HoldingState::Unconfirmed;
    }
    let until = closes_at(draw_block, policy);
    if head < until {
        HoldingState::Receiving { until }
    } else {
        HoldingState::PastCutoff { draw_block }
    }
}

/// The block from which no payment is taken, by the usual block time.
pub(super) fn closes_at(draw_block: u64, policy: &Policy) -> u64 {
    let early_seed = policy.early_seed.div_ceil(policy.block_time.max(1));
    draw_block.saturating_sub(policy.cutoff.max(early_seed))
}

/// Where a deposit stands after its draw. `None`: it is won, and to be redeemed.
pub(super) fn after_draw(
    id: DepositId,
    terms: &Deposit,
    payee: Address,
    drawn: &Drawn,
) -> Option<HoldingState> {
    let (draw_block, last_block) = (terms.drawBlock, terms.lastRedeemBlock);
    // A transaction is simulated as one of the head, and that has to be past the draw.
    let deep = draw_block <= drawn.confirmed && draw_block < drawn.head;
    let Some(wins) = drawn.wins.filter(|_| deep) else {
        let depth = drawn.head - drawn.confirmed;
        let deep_at = draw_block.saturating_add(depth.max(1)).max(drawn.head + 1);
        return Some(HoldingState::Drawn { deep_at });
    };
    if !wins {
        return Some(HoldingState::NotDrawn);
    }
    if drawn.purse != Purse::Open(id) {
        return Some(match drawn.closed {
            Some(Closed::Redeemed {
                payee: to,
                payout,
                block,
            }) if to == payee => HoldingState::Redeemed { payout, block },
            // The draw selects one point, and that is this payee's.
            Some(Closed::Redeemed { .. }) | None => HoldingState::NotOnChain {
                since: drawn.gone_since.unwrap_or(drawn.head),
            },
            Some(Closed::Reclaimed { block }) => {
                HoldingState::Missed(MissReason::Reclaimed { block })
            }
        });
    }
    // What is sent now is mined in the next block at the earliest.
    if drawn.head >= last_block {
        return Some(HoldingState::Missed(MissReason::Window { last_block }));
    }
    if !drawn.recorded && drawn.head >= draw_block.saturating_add(HISTORY_WINDOW) {
        let block = draw_block;
        return Some(HoldingState::Missed(MissReason::Seed { block }));
    }
    drawn.sent.map(|hash| HoldingState::Redeeming { hash })
}

#[cfg(test)]
mod tests;
