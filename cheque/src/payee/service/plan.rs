//! The plan of redemptions: redeem a win now, or wait for a lower cost. All times are seconds since 1970.
//!
//! ```text
//! gas of a win      redeem_gas(levels, steps) of its proof, which counts an inline proof of the seed
//!                   less PROOF_GAS if the seed is recorded, else less its share: PROOF_GAS * (s - 1) / s for s wins of a draw
//! cost of n wins    each pays for its own gas less SHARED_GAS * (n - 1) / n, at the present gas price, rounded up
//! urgent            head's time + margin >= redeemUntil
//! worth it          payout >= cost * minPayoutPerCost;    urgent: payout > cost
//! ```
//!
//! Wins worth their cost together are redeemed in one transaction, unless no win is urgent and more may come soon. Nothing
//! else hurries: the proof of a seed is valid for ever.
//!
//! A batch proves the seed of each draw once, for less than a record of the seed. So a seed is recorded only if the wins of
//! its draw need more than one transaction: RECORD_GAS is less than twice PROOF_GAS.

use crate::{
    bank::cost::{GasPrices, NativeRate},
    payee::service::settings::PayeeSettings,
    protocol::{amount::Amount, terms::DepositId},
    service::utc::utc,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Gas saved by each win of a batch except the first. Measured: `redeem_credit_128` less `redeem_batch10_each` in
/// `docs/gas.md` is nine tenths of some 28,000. Rounded down, by more than the second balance of a batch in two tokens
/// costs.
const SHARED_GAS: u64 = 23_000;

/// Gas for the inline proof of a seed: `redeem_inline_proof_128` less `redeem_credit_128`, rounded down.
const PROOF_GAS: u64 = 120_000;

/// The maximum number of wins in a transaction. Nodes accept transactions of up to 128 KiB, and a redemption with the
/// deepest proof is below 3 KiB.
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
    /// The maximum gas to redeem the win alone, with an inline proof of its seed.
    pub gas: u64,
    /// The token's rate. `None` if unknown now; `fallback_cost` is then the cost.
    pub rate: Option<NativeRate>,
    /// The cost by which the deposit's first payment was judged, in token units.
    pub fallback_cost: Amount,
    /// The draw time.
    pub draw_time: u64,
    /// The last time to redeem.
    pub redeem_until: u64,
    /// True if the seed is recorded.
    pub recorded: bool,
}

/// The actions for the present head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The wins to redeem in one transaction.
    pub redeem: Vec<DepositId>,
    /// The draw times whose seed to record.
    pub record: BTreeSet<u64>,
    /// The wins to leave for later.
    pub wait: BTreeMap<DepositId, Waiting>,
}

/// A win that is not redeemed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The time at which the reason ends at the latest, in seconds since 1970.
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
        /// The next draw time of a deposit in the store.
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
    /// The seed of the draw is recorded first, because its wins need several transactions.
    Seed {
        /// The draw time.
        draw_time: u64,
    },
    /// The newest block is not later than the draw time.
    Chain,
    /// None: the next step redeems the win.
    Due,
    /// The transaction has no room for more wins.
    Full,
    /// The payee has no wallet to send transactions.
    NoWallet,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = utc(self.until);
        match self.reason {
            WaitReason::Batch { next_draw } => write!(
                f,
                "waits for more wins to share a transaction; the next draw is at {}",
                utc(next_draw)
            ),
            WaitReason::GasPrice { cost, max_cost } => write!(
                f,
                "the gas price is too high: redeeming costs {cost} units, the limit is {max_cost}; redeemed once the \
                 cost falls, and from {until} on at any cost below the payout"
            ),
            WaitReason::Worthless { cost, payout } => write!(
                f,
                "redeeming costs {cost} units and pays {payout}; redeemable until {until}"
            ),
            WaitReason::Seed { draw_time } => write!(
                f,
                "the seed of the draw at {} is recorded first, which costs less for its many wins",
                utc(draw_time)
            ),
            WaitReason::Chain => f.write_str("waits for a block later than the draw time"),
            WaitReason::Due => write!(f, "to be redeemed now; redeemable until {until}"),
            WaitReason::Full => f.write_str("the transaction is full; redeemed in the next one"),
            WaitReason::NoWallet => write!(
                f,
                "there is no wallet to redeem it with; redeemable until {until}"
            ),
        }
    }
}

impl RedeemableWin {
    /// True if the window is about to close, `head_time` being the time of the newest block.
    #[must_use]
    pub const fn is_urgent(&self, head_time: u64, settings: &PayeeSettings) -> bool {
        settings.is_urgent(self.redeem_until, head_time)
    }

    /// The cost of redeeming the win in a batch of `wins`, `of_draw` of them of the same draw, in token units. Rounded up,
    /// against the payee.
    #[must_use]
    pub fn cost(&self, wins: usize, of_draw: usize, prices: &GasPrices) -> Amount {
        let saved = |gas: u64, sharing: usize| {
            let sharing = u64::try_from(sharing.max(1)).unwrap_or(u64::MAX);
            gas - gas.div_ceil(sharing)
        };
        let proof = if self.recorded {
            PROOF_GAS
        } else {
            saved(PROOF_GAS, of_draw)
        };
        let gas = self.gas.saturating_sub(saved(SHARED_GAS, wins) + proof);
        self.price(gas, prices)
    }

    fn price(&self, gas: u64, prices: &GasPrices) -> Amount {
        self.rate
            .map_or(self.fallback_cost, |rate| rate.units_up(prices.wei(gas)))
    }

    /// Decides if the win is worth its cost in a batch of `wins`, `of_draw` of them of the same draw. The error is the reason
    /// to wait.
    fn check_worth(
        &self,
        (wins, of_draw): (usize, usize),
        prices: &GasPrices,
        head_time: u64,
        settings: &PayeeSettings,
    ) -> Result<(), Waiting> {
        let cost = self.cost(wins, of_draw, prices);
        if self.is_urgent(head_time, settings) {
            return if cost < self.payout {
                Ok(())
            } else {
                let payout = self.payout;
                let reason = WaitReason::Worthless { cost, payout };
                let until = self.redeem_until;
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
            until: self.redeem_until.saturating_sub(settings.deadline_margin),
            reason: WaitReason::GasPrice { cost, max_cost },
        })
    }
}

/// Plans all wins without a pending redemption, at a newest block of `head_time`. `next_draw` is the next draw time of a
/// deposit in the store. Each win is in exactly one of [`Plan::redeem`] and [`Plan::wait`].
#[must_use]
pub fn plan(
    wins: &[RedeemableWin],
    next_draw: Option<u64>,
    prices: &GasPrices,
    head_time: u64,
    settings: &PayeeSettings,
) -> Plan {
    let mut plan = Plan::default();
    let mut due = worth_redeeming(wins, prices, head_time, settings, &mut plan);
    let urgent = |win: &&RedeemableWin| win.is_urgent(head_time, settings);

    // Records a seed whose wins need several transactions.
    let can_wait = due.iter().filter(|win| !urgent(win)).copied();
    let crowded = crowded_draws(can_wait);
    due.retain(|win| {
        if urgent(win) || !crowded.contains(&win.draw_time) {
            return true;
        }
        let draw_time = win.draw_time;
        plan.record.insert(draw_time);
        let until = win.redeem_until.saturating_sub(settings.deadline_margin);
        let reason = WaitReason::Seed { draw_time };
        plan.wait.insert(win.id, Waiting { until, reason });
        false
    });

    // Waits for a larger batch.
    let latest = |win: &&RedeemableWin| win.draw_time.saturating_add(settings.batch_wait);
    let latest = due.iter().map(latest).min();
    if let (Some(next_draw), Some(latest)) = (next_draw, latest)
        && next_draw > head_time
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

    let mut size = BatchSize::default();
    for win in due {
        if size.has_room_for(win) {
            size.add(win);
            plan.redeem.push(win.id);
        } else {
            let until = win.redeem_until;
            let reason = WaitReason::Full;
            plan.wait.insert(win.id, Waiting { until, reason });
        }
    }
    plan
}

/// The size of a transaction.
#[derive(Debug, Default)]
struct BatchSize {
    wins: usize,
    gas: u64,
    /// The draw times whose seeds it proves.
    proved: BTreeSet<u64>,
}

impl BatchSize {
    fn gas_of(&self, win: &RedeemableWin) -> u64 {
        let is_proved = win.recorded || self.proved.contains(&win.draw_time);
        win.gas
            .saturating_sub(if is_proved { PROOF_GAS } else { 0 })
    }

    /// True for the first win, whatever its gas.
    fn has_room_for(&self, win: &RedeemableWin) -> bool {
        let gas = self.gas.saturating_add(self.gas_of(win));
        self.wins == 0 || (self.wins < MAX_WINS && gas <= MAX_GAS)
    }

    fn add(&mut self, win: &RedeemableWin) {
        self.gas = self.gas.saturating_add(self.gas_of(win));
        self.wins += 1;
        if !win.recorded {
            self.proved.insert(win.draw_time);
        }
    }
}

/// The draws without a recorded seed whose wins do not fit into one transaction.
fn crowded_draws<'a>(wins: impl Iterator<Item = &'a RedeemableWin>) -> BTreeSet<u64> {
    let mut sizes: BTreeMap<u64, BatchSize> = BTreeMap::new();
    let mut crowded = BTreeSet::new();
    for win in wins.filter(|win| !win.recorded) {
        let size = sizes.entry(win.draw_time).or_default();
        if size.has_room_for(win) {
            size.add(win);
        } else {
            crowded.insert(win.draw_time);
        }
    }
    crowded
}

/// Selects the wins that are worth their cost in a common transaction, in the order of their last times to redeem. Adds each
/// of the others to [`Plan::wait`].
fn worth_redeeming<'a>(
    wins: &'a [RedeemableWin],
    prices: &GasPrices,
    head_time: u64,
    settings: &PayeeSettings,
    plan: &mut Plan,
) -> Vec<&'a RedeemableWin> {
    let mut due: Vec<_> = wins.iter().collect();
    due.sort_by_key(|win| (win.redeem_until, win.id));
    loop {
        // A smaller batch costs more per win, so a dropped win makes another round necessary.
        let before = due.len();
        let batch = due.len().min(MAX_WINS);
        let mut of_draw: BTreeMap<u64, usize> = BTreeMap::new();
        for win in &due {
            *of_draw.entry(win.draw_time).or_default() += 1;
        }
        due.retain(|win| {
            let of_draw = of_draw.get(&win.draw_time).copied().unwrap_or_default();
            let batch = (batch, of_draw.min(MAX_WINS));
            match win.check_worth(batch, prices, head_time, settings) {
                Ok(()) => true,
                Err(waiting) => {
                    plan.wait.insert(win.id, waiting);
                    false
                }
            }
        });
        if due.len() == before {
            return due;
        }
    }
}

#[cfg(test)]
mod tests;
