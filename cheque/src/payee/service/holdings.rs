//! The service's memory of each deposit between two steps.

use crate::{
    payee::{
        pending::PendingTx,
        service::{report::LastError, state::HoldingState},
    },
    protocol::terms::DepositId,
};
use std::collections::{BTreeMap, BTreeSet};

/// All deposits in the store, by id.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    pub(super) deposits: BTreeMap<DepositId, Tracked>,
    /// The stuck transactions of the wallet.
    pub(super) stuck: Vec<PendingTx>,
}

/// The memory of one deposit. Small, because there may be a million.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) draw_block: u64,
    pub(super) last_block: u64,
    pub(super) state: HoldingState,
    /// True once the state is final. Later steps skip the deposit.
    pub(super) settled: bool,
    /// The last block to redeem, if the deposit was an open win at the last successful scan.
    pub(super) deadline: Option<u64>,
    /// True if the deadline is near, and a warning is logged.
    pub(super) closing: bool,
    pub(super) last_error: Option<Box<LastError>>,
}

impl Holdings {
    /// True if a step has to read the deposit from the store.
    pub(super) fn needs_read(&self, id: DepositId, head: u64) -> bool {
        let tracked = self.deposits.get(&id);
        tracked.is_none_or(|tracked| !tracked.settled && tracked.draw_block <= head)
    }

    /// The state of a deposit, if known.
    pub(super) fn state(&self, id: DepositId) -> Option<HoldingState> {
        self.deposits.get(&id).map(|tracked| tracked.state)
    }

    /// True if the deposit is known and its draw is after `head`.
    pub(super) fn is_to_be_drawn(&self, id: DepositId, head: u64) -> bool {
        let tracked = self.deposits.get(&id);
        tracked.is_some_and(|tracked| !tracked.settled && tracked.draw_block > head)
    }

    /// The deposits with a draw after `head`: id, draw block, last block to redeem, state.
    pub(super) fn to_be_drawn(
        &self,
        head: u64,
    ) -> impl Iterator<Item = (DepositId, u64, u64, HoldingState)> {
        let deposits = self.deposits.iter();
        deposits
            .filter(move |(_, tracked)| tracked.draw_block > head)
            .map(|(id, tracked)| (*id, tracked.draw_block, tracked.last_block, tracked.state))
    }

    /// The block since which the redemption of a deposit is pending, if it is stuck.
    pub(super) fn stuck_since(&self, id: DepositId) -> Option<u64> {
        let redeems = |tx: &&PendingTx| tx.deposits().contains(&id);
        self.stuck.iter().find(redeems).map(|tx| tx.since)
    }

    /// Marks deposits as settled once their ending block is `depth` deep. Skips deposits with an error or a pending
    /// redemption.
    pub(super) fn settle(&mut self, head: u64, depth: u64, pending: &BTreeSet<DepositId>) {
        for (id, tracked) in &mut self.deposits {
            if tracked.settled || tracked.last_error.is_some() || pending.contains(id) {
                continue;
            }
            let Some(ended) = tracked.state.ended_at(tracked.draw_block) else {
                continue;
            };
            tracked.settled = head >= ended.saturating_add(depth);
        }
    }
}
