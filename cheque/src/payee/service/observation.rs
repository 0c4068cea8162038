//! The result of a scan: the states of deposits, the open wins, and the pending transactions.

use crate::{
    bank::{head::Head, redeem::RedeemError},
    payee::{
        pending::{PendingTx, Purpose},
        service::{
            holdings::Win,
            plan::RedeemableWin,
            report::LastError,
            state::{EndedBy, HoldingState},
        },
    },
    protocol::terms::DepositId,
};
use std::collections::{BTreeMap, BTreeSet};

/// The result of a scan.
#[derive(Debug)]
pub(super) struct Observation {
    /// The head of the scan.
    pub(super) head: Head,
    /// The latest of the three clocks.
    pub(super) now: u64,
    /// The newest confirmed block.
    pub(super) confirmed: EndedBy,
    /// The newest final block.
    pub(super) final_block: EndedBy,
    /// The deposits whose state may have changed.
    pub(super) found: BTreeMap<DepositId, Found>,
    /// True if the whole store was scanned for new deposits.
    pub(super) rescanned: bool,
    /// The deposits that are no longer in the store.
    pub(super) gone: BTreeSet<DepositId>,
    /// The wins that are new, or were looked at.
    pub(super) looked: BTreeMap<DepositId, Win>,
    /// The wins whose purse no longer holds the deposit.
    pub(super) closed: BTreeSet<DepositId>,
    /// The open wins, with a pending redemption or without.
    pub(super) wins: BTreeMap<DepositId, RedeemableWin>,
    /// The draw times whose seeds were found to be recorded.
    pub(super) recorded: BTreeSet<u64>,
    /// The reason why a draw or a win could not be looked at.
    pub(super) unread: Option<String>,
    /// The pending transactions.
    pub(super) pending_txs: Vec<PendingTx>,
}

/// A deposit of a scan.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) draw_time: u64,
    pub(super) redeem_until: u64,
    pub(super) state: HoldingState,
    pub(super) last_error: Option<LastError>,
}

impl Found {
    pub(super) const fn new((draw_time, redeem_until): (u64, u64), state: HoldingState) -> Self {
        Self {
            draw_time,
            redeem_until,
            state,
            last_error: None,
        }
    }
}

impl Observation {
    /// Records an error of a deposit.
    pub(super) fn record_error(&mut self, id: DepositId, error: &RedeemError) {
        let at = self.now;
        self.add_win(id);
        if let Some(found) = self.found.get_mut(&id) {
            let error = error.to_string();
            found.last_error = Some(LastError { error, at });
        }
    }

    pub(super) fn set_state(&mut self, id: DepositId, state: HoldingState) {
        self.add_win(id);
        if let Some(found) = self.found.get_mut(&id) {
            found.state = state;
        }
    }

    /// Adds an open win that was not looked at in this step.
    fn add_win(&mut self, id: DepositId) {
        if let Some(win) = self.wins.get(&id) {
            let terms = (win.draw_time, win.redeem_until);
            let found = || Found::new(terms, HoldingState::due(win));
            self.found.entry(id).or_insert_with(found);
        }
    }

    /// The pending redemption of a deposit.
    pub(super) fn redemption_of(&self, id: DepositId) -> Option<&PendingTx> {
        self.pending_txs
            .iter()
            .find(|tx| tx.deposits().contains(&id))
    }

    /// The deposits with a pending redemption.
    pub(super) fn pending_deposits(&self) -> BTreeSet<DepositId> {
        let deposits = self.pending_txs.iter().flat_map(PendingTx::deposits);
        deposits.copied().collect()
    }

    /// The draw times with a pending recording of their seed.
    pub(super) fn pending_seeds(&self) -> BTreeSet<u64> {
        let times = self.pending_txs.iter().filter_map(|tx| match tx.purpose {
            Purpose::RecordSeed(draw_time) => Some(draw_time),
            _ => None,
        });
        times.collect()
    }
}
