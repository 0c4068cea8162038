//! The plan of redemptions: redeem a win now, or wait for a lower cost.
//!
//! ```text
//! gas of a win      redeem_gas(levels, steps) of its proof, less HEADER_GAS if the seed is recorded
//! cost of n wins    each pays for its own gas less SHARED_GAS * (n - 1) / n, at the present gas price, rounded up
//! deadline          lastRedeemBlock; without a recorded seed at most drawBlock + 8191
//! urgent            head + margin >= deadline
//! worth it          payout >= cost * minPayoutPerCost;    urgent: payout > cost
//! ```
//!
//! Wins worth their cost together are redeemed in one transaction, unless no win is urgent and more may come soon.
//!
//! A seed is recorded in two cases. First, for a win that waits for a lower gas price, if its window is longer than the
//! chain remembers the seed: as soon as the record is worth its cost, because the service might not run in the last
//! blocks. Second, for several wins of one draw block, if one record costs less than a header in each redemption. While
//! the chain remembers the block, a header proves the seed just as well for a fifth of the gas.

use crate::{
    bank::cost::{GasPrices, NativeRate},
    payee::service::settings::PayeeSettings,
    protocol::{amount::Amount, draw::HISTORY_WINDOW, terms::DepositId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Gas saved by each win of a batch except the first. Measured: `redeem_credit_128` less `redeem_batch10_each` in
/// `docs/gas.md` is nine tenths of some 28,400. Rounded down, by more than the second balance of a batch in two tokens
/// costs.
const SHARED_GAS: u64 = 23_000;

/// Gas for a header in a redemption: `redeem_inline_header_128` less `redeem_credit_128`, rounded down.
const HEADER_GAS: u64 = 12_000;

/// Gas to record a seed: `record_seed` with the header of a busy chain, rounded up.
const RECORD_GAS: u64 = 63_000;

/// The number of wins of one block from which on a record of its seed costs less than a header for each win.
const HEADERS_PER_RECORD: usize = 5;

/// The maximum number of wins in a transaction. Nodes accept transactions of up to 128 KiB, and a redemption with a
/// header and the deepest proof is below 4 KiB.
const MAX_WINS: usize = 32;

/// The maximum gas of a transaction, well below the limit of EIP-7825 (2^24).
const MAX_GAS: u64 = 12_000_000;

/// A win that can be redeemed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeemableWin {
    /// The deposit.
    pub id: DepositId,
    /// The payout, in token units.
    pub payout: Amount,
    /// The maximum gas to redeem the win alone, with a header.
    pub gas: u64,
    /// The token's rate. `None` if unknown now; `fallback_cost` is then the cost.
    pub rate: Option<NativeRate>,
    /// The cost by which the deposit's first payment was judged, in token units.
    pub fallback_cost: Amount,
    /// The draw block.
    pub draw_block: u64,
    /// The last block to redeem, by the deposit's terms.
    pub last_block: u64,
    /// True if the seed is recorded.
    pub recorded: bool,
}

/// The actions for the present head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The wins to redeem in one transaction.
    pub redeem: Vec<DepositId>,
    /// The blocks whose seed to record.
    pub record: BTreeSet<u64>,
    /// The wins to leave for later.
    pub wait: BTreeMap<DepositId, Waiting>,
}

/// A win that is not redeemed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The block at which the reason ends at the latest.
    pub until: u64,
    /// The reason.
    pub reason: WaitReason,
}

/// The reason why a win is not redeemed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// More wins may come soon, and a larger batch costs less per win.
    Batch {
        /// The block at which the next draw of a deposit in the store is decided.
        next_draw: u64,
    },
    /// The cost is too large a share of the payout.
    GasPrice {
        /// The present cost of redeeming, in token units.
        cost: Amount,
        /// The maximum cost, in token units.
        max_cost: Amount,
    },
    /// The window is about to close, and the cost is at least the payout.
    Worthless {
        /// The present cost of redeeming, in token units.
        cost: Amount,
        /// The payout, in token units.
        payout: Amount,
    },
    /// The seed of the draw block is recorded first, because that costs less for all wins of the block.
    Seed {
        /// The draw block.
        block: u64,
    },
    /// None: the next step redeems the win.
    Due,
    /// The transaction has no room for more wins.
    Full,
    /// The payee has no wallet to send transactions.
    NoWallet,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until;
        match self.reason {
            WaitReason::Batch { next_draw } => write!(
                f,
                "waits for more wins to share a transaction; the next draw is decided at block {next_draw}"
            ),
            WaitReason::GasPrice { cost, max_cost } => write!(
                f,
                "the gas price is too high: redeeming costs {cost} units, the limit is {max_cost}; redeemed once the \
                 cost falls, and from block {until} on at any cost below the payout"
            ),
            WaitReason::Worthless { cost, payout } => write!(
                f,
                "redeeming costs {cost} units and pays {payout}; redeemable until block {until}"
            ),
            WaitReason::Seed { block } => write!(
                f,
                "the seed of block {block} is recorded first, which costs less for all wins of that block"
            ),
            WaitReason::Due => write!(f, "to be redeemed now; redeemable until block {until}"),
            WaitReason::Full => f.write_str("the transaction is full; redeemed in the next one"),
            WaitReason::NoWallet => write!(
                f,
                "there is no wallet to redeem it with; redeemable until block {until}"
            ),
        }
    }
}

impl RedeemableWin {
    /// The last block in which the win can be redeemed.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        if self.recorded {
            return self.last_block;
        }
        let remembered = self.draw_block.saturating_add(HISTORY_WINDOW);
        self.last_block.min(remembered)
    }

    /// True if the window is about to close.
    #[must_use]
    pub fn is_urgent(&self, head: u64, settings: &PayeeSettings) -> bool {
        settings.is_urgent(self.deadline(), head)
    }

    /// The cost of redeeming the win in a batch of `wins`, in token units. Rounded up, against the payee.
    #[must_use]
    pub fn cost(&self, wins: usize, prices: &GasPrices) -> Amount {
        let header = if self.recorded { HEADER_GAS } else { 0 };
        let wins = u64::try_from(wins.max(1)).unwrap_or(u64::MAX);
        let shared = SHARED_GAS - SHARED_GAS.div_ceil(wins);
        self.price(self.gas.saturating_sub(header + shared), prices)
    }

    fn price(&self, gas: u64, prices: &GasPrices) -> Amount {
        self.rate
            .map_or(self.fallback_cost, |rate| rate.units_up(prices.wei(gas)))
    }

    /// Decides if the win is worth its cost in a batch of `wins`. The error is the reason to wait.
    fn check_worth(
        &self,
        wins: usize,
        prices: &GasPrices,
        head: u64,
        settings: &PayeeSettings,
    ) -> Result<(), Waiting> {
        let cost = self.cost(wins, prices);
        let deadline = self.deadline();
        if self.is_urgent(head, settings) {
            return if cost < self.payout {
                Ok(())
            } else {
                let payout = self.payout;
                let reason = WaitReason::Worthless { cost, payout };
                let until = deadline;
                Err(Waiting { until, reason })
            };
        }
        // Rounded down, towards waiting.
        let max_cost = self.payout.get() / u128::from(settings.min_payout_per_cost.max(1));
        let max_cost = Amount::new(max_cost);
        // Accepts a free redemption of a payout below the factor, and refuses any that costs the whole payout.
        if cost <= max_cost && cost < self.payout {
            return Ok(());
        }
        Err(Waiting {
            until: deadline.saturating_sub(settings.deadline_margin),
            reason: WaitReason::GasPrice { cost, max_cost },
        })
    }
}

/// Plans all wins without a pending redemption. `next_draw` is the block at which the next draw of a deposit in the
/// store is decided. Each win is in exactly one of [`Plan::redeem`] and [`Plan::wait`].
#[must_use]
pub fn plan(
    wins: &[RedeemableWin],
    next_draw: Option<u64>,
    prices: &GasPrices,
    head: u64,
    settings: &PayeeSettings,
) -> Plan {
    let mut plan = Plan::default();
    let mut due = worth_redeeming(wins, prices, head, settings, &mut plan);
    let urgent = |win: &&RedeemableWin| win.is_urgent(head, settings);

    // Records a seed shared by many wins.
    let mut wins_of_block: BTreeMap<u64, usize> = BTreeMap::new();
    for win in due.iter().filter(|win| !win.recorded && !urgent(win)) {
        *wins_of_block.entry(win.draw_block).or_default() += 1;
    }
    due.retain(|win| {
        let sharing = wins_of_block
            .get(&win.draw_block)
            .copied()
            .unwrap_or_default();
        if win.recorded || urgent(win) || sharing < HEADERS_PER_RECORD {
            return true;
        }
        let block = win.draw_block;
        plan.record.insert(block);
        let until = win.deadline().saturating_sub(settings.deadline_margin);
        let reason = WaitReason::Seed { block };
        plan.wait.insert(win.id, Waiting { until, reason });
        false
    });

    // Waits for a larger batch.
    let latest = |win: &&RedeemableWin| win.draw_block.saturating_add(settings.batch_wait);
    let latest = due.iter().map(latest).min();
    if let (Some(next_draw), Some(latest)) = (next_draw, latest)
        && next_draw > head
        && next_draw <= latest
        && due.len() < settings.batch_size
        && !due.iter().any(urgent)
    {
        let waiting = Waiting {
            until: next_draw,
            reason: WaitReason::Batch { next_draw },
        };
        plan.wait.extend(due.iter().map(|win| (win.id, waiting)));
        return plan;
    }

    let mut gas = 0u64;
    for win in due {
        let with = gas.saturating_add(win.gas);
        if plan.redeem.len() == MAX_WINS || (with > MAX_GAS && !plan.redeem.is_empty()) {
            let until = win.deadline();
            let reason = WaitReason::Full;
            plan.wait.insert(win.id, Waiting { until, reason });
        } else {
            gas = with;
            plan.redeem.push(win.id);
        }
    }
    plan
}

/// Selects the wins that are worth their cost in a common transaction, in the order of deadlines. Adds each of the
/// others to [`Plan::wait`], and its seed to [`Plan::record`] if its window is longer than the chain remembers the seed
/// and the record is worth its cost.
fn worth_redeeming<'a>(
    wins: &'a [RedeemableWin],
    prices: &GasPrices,
    head: u64,
    settings: &PayeeSettings,
    plan: &mut Plan,
) -> Vec<&'a RedeemableWin> {
    let mut due: Vec<_> = wins.iter().collect();
    due.sort_by_key(|win| (win.deadline(), win.id));
    loop {
        // A smaller batch costs more per win, so a dropped win makes another round necessary.
        let batch = due.len().min(MAX_WINS);
        due.retain(|win| match win.check_worth(batch, prices, head, settings) {
            Ok(()) => true,
            Err(waiting) => {
                let outlasts = win.last_block > win.draw_block.saturating_add(HISTORY_WINDOW);
                let record_cost = win.price(RECORD_GAS, prices);
                let worth_record = match waiting.reason {
                    WaitReason::GasPrice { max_cost, .. } => record_cost <= max_cost,
                    // The last chance to keep the win until the gas price falls.
                    _ => record_cost < win.payout,
                };
                if !win.recorded && outlasts && worth_record {
                    plan.record.insert(win.draw_block);
                }
                plan.wait.insert(win.id, waiting);
                false
            }
        });
        if due.len().min(MAX_WINS) == batch {
            return due;
        }
    }
}

#[cfg(test)]
mod tests;
