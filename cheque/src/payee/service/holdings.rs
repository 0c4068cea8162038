//! What the service remembers of each deposit between two steps, and what it says about it.

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
    /// What was sent and waits for very long.
    pub(super) stuck: Vec<PendingTx>,
}

/// What is remembered of a deposit. There may be a million.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) draw_block: u64,
    pub(super) last_block: u64,
    pub(super) state: HoldingState,
    /// Nothing changes any more, so it is not looked at again.
    pub(super) settled: bool,
    /// The last block to redeem it, where it was a win when it could be looked at last.
    pub(super) deadline: Option<u64>,
    /// Whether that block is near, which was warned about.
    pub(super) closing: bool,
    pub(super) trouble: Option<Box<LastError>>,
}

impl Holdings {
    /// Whether a step has to read a deposit from the store.
    pub(super) fn wants(&self, id: DepositId, head: u64) -> bool {
        let known = self.deposits.get(&id);
        known.is_none_or(|known| !known.settled && known.draw_block <= head)
    }

    /// The state of a deposit, if it is known.
    pub(super) fn state(&self, id: DepositId) -> Option<HoldingState> {
        self.deposits.get(&id).map(|known| known.state)
    }

    /// Whether a deposit is known and drawn after `head`.
    pub(super) fn is_to_be_drawn(&self, id: DepositId, head: u64) -> bool {
        let known = self.deposits.get(&id);
        known.is_some_and(|known| !known.settled && known.draw_block > head)
    }

    /// The deposits that are drawn after `head`: id, draw block, last block to redeem, state.
    pub(super) fn to_be_drawn(
        &self,
        head: u64,
    ) -> impl Iterator<Item = (DepositId, u64, u64, HoldingState)> {
        let deposits = self.deposits.iter();
        deposits
            .filter(move |(_, known)| known.draw_block > head)
            .map(|(id, known)| (*id, known.draw_block, known.last_block, known.state))
    }

    /// The block since which what redeems a deposit waits, where that is very long.
    pub(super) fn waits_since(&self, id: DepositId) -> Option<u64> {
        let redeems = |one: &&PendingTx| one.deposits().contains(&id);
        self.stuck.iter().find(redeems).map(PendingTx::since)
    }

    pub(super) fn settles(&mut self, head: u64, depth: u64, pending_txs: &BTreeSet<DepositId>) {
        for (id, known) in &mut self.deposits {
            if known.settled || known.trouble.is_some() || pending_txs.contains(id) {
                continue;
            }
            let Some(since) = known.state.over_since(known.draw_block) else {
                continue;
            };
            known.settled = head >= since.saturating_add(depth);
        }
    }
}
