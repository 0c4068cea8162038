//! When to redeem a win: at once, or later for less.
//!
//! ```text
//! gas of a win      redeem_gas(levels, steps) of its proof, less HEADER if the seed is recorded
//! cost of n wins    each pays for its own gas less SHARED * (n - 1) / n, at the present gas price, rounded up
//! urgent            head + margin >= deadline;    deadline = lastRedeemBlock, or drawBlock + 8191 without a recorded seed
//! worth it          payout >= cost * minPayoutPerCost;    urgent: payout > cost
//! ```
//!
//! The wins that are worth it together are redeemed, unless none is urgent and more may come soon. A seed is recorded for
//! a win that has to wait for a better price and whose window outlasts what the chain remembers, as soon as that is worth
//! it, so that nothing depends on who is awake then; and for so many wins of one block that one record is cheaper than a
//! header for each. Within what the chain remembers, a header is as good as a record, and takes a fifth of the gas.

use crate::{
    bank::cost::{GasPrices, NativeRate},
    payee::service::settings::PayeeSettings,
    protocol::{amount::Amount, draw::HISTORY_WINDOW, terms::DepositId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Gas that each win of a batch saves but the first. Measured: `redeem_credit_128` less `redeem_batch10_each` in
/// `docs/gas.md` is nine tenths of 28,450; rounded down by more than the second balance of a batch in two tokens.
const SHARED: u64 = 23_000;

/// Gas that a header in the call takes: `redeem_inline_header_128` less `redeem_credit_128`, rounded down.
const HEADER: u64 = 12_000;

/// Gas to record a seed: `record_seed`, with the header of a busy chain, rounded up.
const RECORD: u64 = 63_000;

/// How many headers of one block cost more than one record of its seed.
const HEADERS_PER_RECORD: usize = 5;

/// The most wins of one transaction: nodes take transactions of up to 128 KiB, and a redemption with a header and the
/// deepest proof takes less than 4.
const MOST_WINS: usize = 32;

/// The most gas of one transaction, well below the 2^24 of EIP-7825.
const MOST_GAS: u64 = 12_000_000;

/// A win that can be redeemed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeemableWin {
    /// The deposit.
    pub id: DepositId,
    /// What it pays, in token units.
    pub payout: Amount,
    /// The most gas that redeeming it alone takes, the header included.
    pub gas: u64,
    /// The token's rate. `None`: unknown by now, so `reckoned` stands for the cost.
    pub rate: Option<NativeRate>,
    /// The cost that the deposit's first payment was judged by, in token units.
    pub reckoned: Amount,
    /// The draw block.
    pub draw_block: u64,
    /// The last block that may redeem by the deposit's terms.
    pub last_block: u64,
    /// Whether the seed is recorded.
    pub recorded: bool,
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Redeem these in one transaction.
    pub redeem: Vec<DepositId>,
    /// Record the seeds of these blocks.
    pub record: BTreeSet<u64>,
    /// Leave these for later.
    pub wait: BTreeMap<DepositId, Waiting>,
}

/// A win that is not redeemed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The block at which that changes at the latest.
    pub until: u64,
    /// Why.
    pub because: WaitReason,
}

/// Why a win is not redeemed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// More wins may come soon, and then each costs less.
    Company {
        /// The block at which the next draw of a deposit in the ledger is decided.
        coming: u64,
    },
    /// It costs too large a part of the payout.
    GasPrice {
        /// What redeeming costs now, in token units.
        cost: Amount,
        /// What it may cost at most.
        bearable: Amount,
    },
    /// Even now that the window is about to close, it costs as much as it pays, or more.
    Worthless {
        /// What redeeming costs now, in token units.
        cost: Amount,
        /// What it pays.
        payout: Amount,
    },
    /// The seed of its draw block is recorded first, which is cheaper for all wins of that block.
    Seed {
        /// The draw block.
        block: u64,
    },
    /// Nothing: the next step redeems it.
    Due,
    /// The transaction has no room for more wins.
    Full,
    /// There is no wallet to send transactions with.
    NoWallet,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until;
        match self.because {
            WaitReason::Company { coming } => write!(
                f,
                "waits for more wins to share the transaction with: the next draw is decided at block {coming}"
            ),
            WaitReason::GasPrice { cost, bearable } => write!(
                f,
                "the gas price is too high: redeeming costs {cost} units now, and may cost {bearable}; redeemed when it has \
                 fallen, and from block {until} on at any price below the payout"
            ),
            WaitReason::Worthless { cost, payout } => write!(
                f,
                "redeeming costs {cost} units now and pays {payout}; it can be redeemed until block {until}"
            ),
            WaitReason::Seed { block } => write!(
                f,
                "the seed of block {block} is being recorded, which is cheaper for all wins of that block"
            ),
            WaitReason::Due => write!(f, "to be redeemed now; it can be until block {until}"),
            WaitReason::Full => f.write_str("the transaction is full, it is part of the next one"),
            WaitReason::NoWallet => write!(
                f,
                "there is no wallet to redeem it with; it can be redeemed until block {until}"
            ),
        }
    }
}

impl RedeemableWin {
    /// The last block in which it can be redeemed.
    pub fn deadline(&self) -> u64 {
        if self.recorded {
            return self.last_block;
        }
        let remembered = self.draw_block.saturating_add(HISTORY_WINDOW);
        self.last_block.min(remembered)
    }

    /// Whether its window is about to close.
    pub fn is_urgent(&self, head: u64, settings: &PayeeSettings) -> bool {
        settings.is_urgent(self.deadline(), head)
    }

    /// What it costs to redeem it in a transaction of `wins` wins, in token units. Rounded up.
    pub fn cost(&self, wins: usize, prices: &GasPrices) -> Amount {
        let header = if self.recorded { HEADER } else { 0 };
        let wins = u64::try_from(wins.max(1)).unwrap_or(u64::MAX);
        let shared = SHARED - SHARED.div_ceil(wins);
        self.price(self.gas.saturating_sub(header + shared), prices)
    }

    fn price(&self, gas: u64, prices: &GasPrices) -> Amount {
        self.rate
            .map_or(self.reckoned, |rate| rate.units_up(prices.wei(gas)))
    }

    /// Whether to redeem it now in a transaction of `wins` wins; else what it waits for.
    fn worth(
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
                let because = WaitReason::Worthless { cost, payout };
                let until = deadline;
                Err(Waiting { until, because })
            };
        }
        let bearable = self.payout.get() / u128::from(settings.min_payout_per_cost.max(1));
        let bearable = Amount::new(bearable);
        // A free redemption of a payout that is smaller than the factor is worth it, too.
        if cost <= bearable && cost < self.payout {
            return Ok(());
        }
        Err(Waiting {
            until: deadline.saturating_sub(settings.margin),
            because: WaitReason::GasPrice { cost, bearable },
        })
    }
}

/// Decides about all wins that are not being redeemed. `coming` is the block at which the next draw of a deposit in the
/// ledger is decided. Every win is either in [`Plan::redeem`] or in [`Plan::wait`].
pub fn plan(
    wins: &[RedeemableWin],
    coming: Option<u64>,
    prices: &GasPrices,
    head: u64,
    settings: &PayeeSettings,
) -> Plan {
    let mut plan = Plan::default();
    let mut due = worth_it(wins, prices, head, settings, &mut plan);
    let urgent = |win: &&RedeemableWin| win.is_urgent(head, settings);

    // Seeds that many share.
    let mut of_block: BTreeMap<u64, usize> = BTreeMap::new();
    for win in due.iter().filter(|win| !win.recorded && !urgent(win)) {
        *of_block.entry(win.draw_block).or_default() += 1;
    }
    due.retain(|win| {
        let sharing = of_block.get(&win.draw_block).copied().unwrap_or_default();
        if win.recorded || urgent(win) || sharing < HEADERS_PER_RECORD {
            return true;
        }
        let block = win.draw_block;
        plan.record.insert(block);
        let until = win.deadline().saturating_sub(settings.margin);
        let because = WaitReason::Seed { block };
        plan.wait.insert(win.id, Waiting { until, because });
        false
    });

    // Company.
    let patience = |win: &&RedeemableWin| win.draw_block.saturating_add(settings.company);
    let until = due.iter().map(patience).min();
    if let (Some(coming), Some(until)) = (coming, until)
        && coming > head
        && coming <= until
        && due.len() < settings.batch
        && !due.iter().any(urgent)
    {
        let because = WaitReason::Company { coming };
        let until = coming;
        plan.wait
            .extend(due.iter().map(|win| (win.id, Waiting { until, because })));
        return plan;
    }

    let mut gas = 0u64;
    for win in due {
        let with = gas.saturating_add(win.gas);
        if plan.redeem.len() == MOST_WINS || (with > MOST_GAS && !plan.redeem.is_empty()) {
            let until = win.deadline();
            let because = WaitReason::Full;
            plan.wait.insert(win.id, Waiting { until, because });
        } else {
            gas = with;
            plan.redeem.push(win.id);
        }
    }
    plan
}

/// The wins that are worth it when they share a transaction, by deadline. What is not, waits; and where its window
/// outlasts what the chain remembers, its seed is recorded.
fn worth_it<'a>(
    wins: &'a [RedeemableWin],
    prices: &GasPrices,
    head: u64,
    settings: &PayeeSettings,
    plan: &mut Plan,
) -> Vec<&'a RedeemableWin> {
    let mut due: Vec<_> = wins.iter().collect();
    due.sort_by_key(|win| (win.deadline(), win.id));
    loop {
        // The fewer there are, the more each costs, so this goes on until all that are left are worth it.
        let together = due.len().min(MOST_WINS);
        due.retain(|win| match win.worth(together, prices, head, settings) {
            Ok(()) => true,
            Err(wait) => {
                let outlasts = win.last_block > win.draw_block.saturating_add(HISTORY_WINDOW);
                let record = win.price(RECORD, prices);
                let pays = match wait.because {
                    WaitReason::GasPrice { bearable, .. } => record <= bearable,
                    // The last chance to keep the win for better times.
                    _ => record < win.payout,
                };
                if !win.recorded && outlasts && pays {
                    plan.record.insert(win.draw_block);
                }
                plan.wait.insert(win.id, wait);
                false
            }
        });
        if due.len().min(MOST_WINS) == together {
            return due;
        }
    }
}

#[cfg(test)]
mod tests;
