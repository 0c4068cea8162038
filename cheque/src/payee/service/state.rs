//! The state of a deposit that the payee has a cheque of: a function of the store and the chain.
//!
//! ```text
//! before the draw   unconfirmed <-> receiving -> past_cutoff
//! after the draw    drawn -> not_drawn
//!                         -> won <-> redeeming -> redeemed
//!                            won -> missed
//! any               -> not_on_chain
//! ```
//!
//! A reorganisation can turn each state into another.

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

/// The state of a deposit. Displays as the reason, in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HoldingState {
    /// After a reorganisation, the bank does not hold the deposit, or not at the confirmed block yet.
    Unconfirmed,
    /// The payee accepts payments from the deposit.
    Receiving {
        /// The first block at which the payee refuses payments.
        until: u64,
    },
    /// The draw is too close for payments.
    PastCutoff {
        /// The draw block.
        draw_block: u64,
    },
    /// The draw block is mined, and not confirmed yet.
    Drawn {
        /// The head at which the draw block is confirmed.
        confirmed_at: u64,
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
        /// The first of the consecutive heads without the deposit. A restarted service counts from its own first head.
        since: u64,
    },
}

/// The reason for a missed win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissReason {
    /// The last block to redeem is mined, or no transaction can reach it.
    Window {
        /// The last block to redeem.
        last_block: u64,
    },
    /// The payer has reclaimed the deposit after the last block to redeem.
    Reclaimed {
        /// The block of the reclaim.
        block: u64,
    },
    /// The chain has forgotten the draw block, and the seed was not recorded in time.
    Seed {
        /// The draw block.
        block: u64,
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

    /// The state of a win to redeem now.
    pub(super) fn due(win: &RedeemableWin) -> Self {
        Self::Won(Waiting {
            until: win.deadline(),
            reason: WaitReason::Due,
        })
    }

    /// The block that ended the deposit, in whatever way: after it, only a reorganisation of the block or an incomplete
    /// answer of the node can change the state. `None` while the deposit can still be drawn or redeemed.
    pub(super) const fn ended_at(&self, draw_block: u64) -> Option<u64> {
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
}

impl fmt::Display for HoldingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfirmed => {
                f.write_str("the bank does not hold the deposit at a confirmed block")
            }
            Self::Receiving { until } => write!(f, "can be paid from until block {until}"),
            Self::PastCutoff { draw_block } => {
                write!(f, "takes no more payments; drawn by block {draw_block}")
            }
            Self::Drawn { confirmed_at } => {
                write!(f, "drawn; the draw is confirmed at block {confirmed_at}")
            }
            Self::NotDrawn => f.write_str("the draw did not select this payee"),
            Self::Won(waiting) => waiting.fmt(f),
            Self::Redeeming { hash } => write!(f, "transaction {hash} waits to be mined"),
            Self::Redeemed { payout, block } => {
                write!(f, "block {block} paid {payout} units to the payee")
            }
            Self::Missed(MissReason::Window { last_block }) => {
                write!(f, "won, but block {last_block} was the last to redeem it")
            }
            Self::Missed(MissReason::Reclaimed { block }) => write!(
                f,
                "won, but not redeemed before the payer reclaimed the deposit in block {block}"
            ),
            Self::Missed(MissReason::Seed { block }) => write!(
                f,
                "won, but the seed of block {block} was not recorded within {HISTORY_WINDOW} blocks"
            ),
            Self::NotOnChain { since } => write!(
                f,
                "missing on the chain since block {since}, and no event of the bank explains it: a reorganisation \
                 removed the deposit, or the node lacks events; ask another node"
            ),
        }
    }
}

/// The facts that decide the state of a deposit after its draw block.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrawFacts {
    /// The newest block.
    pub(super) head: u64,
    /// The newest confirmed block.
    pub(super) confirmed: u64,
    /// The contents of the purse at the head.
    pub(super) purse: Purse,
    /// True if the cheque wins. `None` if the node lacks the draw block.
    pub(super) wins: Option<bool>,
    /// True if the seed is recorded.
    pub(super) recorded: bool,
    /// The closing event, for a win no longer in its purse.
    pub(super) closed: Option<Closed>,
    /// The first head without the deposit, if also missing at the last step.
    pub(super) missing_since: Option<u64>,
    /// The newest transaction of a pending redemption.
    pub(super) pending: Option<TxHash>,
}

/// The state of a deposit before its draw. `unconfirmed` is true if the bank does not hold it at the confirmed block.
pub(super) fn before_draw(
    draw_block: u64,
    head: u64,
    policy: &Policy,
    unconfirmed: bool,
) -> HoldingState {
    if unconfirmed {
        return HoldingState::Unconfirmed;
    }
    let until = cutoff_block(draw_block, policy);
    if head < until {
        HoldingState::Receiving { until }
    } else {
        HoldingState::PastCutoff { draw_block }
    }
}

/// The first block without payments, by the usual block time.
pub(super) fn cutoff_block(draw_block: u64, policy: &Policy) -> u64 {
    let early_seed = policy.early_seed.div_ceil(policy.block_time.max(1));
    draw_block.saturating_sub(policy.cutoff.max(early_seed))
}

/// The state of a deposit after its draw. `None` for an open win without a pending redemption.
pub(super) fn after_draw(
    id: DepositId,
    terms: &Deposit,
    payee: Address,
    facts: &DrawFacts,
) -> Option<HoldingState> {
    let (draw_block, last_block) = (terms.drawBlock, terms.lastRedeemBlock);
    // The node simulates a redemption at the head, and the bank refuses one at the draw block itself.
    let decided = draw_block <= facts.confirmed && draw_block < facts.head;
    let Some(wins) = facts.wins.filter(|_| decided) else {
        let depth = facts.head - facts.confirmed;
        let confirmed_at = draw_block.saturating_add(depth.max(1)).max(facts.head + 1);
        return Some(HoldingState::Drawn { confirmed_at });
    };
    if !wins {
        return Some(HoldingState::NotDrawn);
    }
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
                since: facts.missing_since.unwrap_or(facts.head),
            },
            Some(Closed::Reclaimed { block }) => {
                HoldingState::Missed(MissReason::Reclaimed { block })
            }
        });
    }
    // A transaction sent now is mined in the next block at the earliest.
    if facts.head >= last_block {
        return Some(HoldingState::Missed(MissReason::Window { last_block }));
    }
    if !facts.recorded && facts.head >= draw_block.saturating_add(HISTORY_WINDOW) {
        let block = draw_block;
        return Some(HoldingState::Missed(MissReason::Seed { block }));
    }
    facts.pending.map(|hash| HoldingState::Redeeming { hash })
}

#[cfg(test)]
mod tests;
