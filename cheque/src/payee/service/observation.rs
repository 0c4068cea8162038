//! The result of a scan of chain and store.

use crate::{
    bank::{head::Head, redeem::RedeemError},
    payee::{
        pending::{PendingTx, Purpose},
        service::{plan::RedeemableWin, report::LastError, state::HoldingState},
    },
    protocol::terms::DepositId,
};
use cheque_bindings::Deposit;
use std::collections::{BTreeMap, BTreeSet};

/// The result of a scan.
#[derive(Debug)]
pub(super) struct Observation {
    /// The head of the scan.
    pub(super) head: Head,
    /// The newest confirmed block.
    pub(super) confirmed: u64,
    /// The deposits whose state may have changed.
    pub(super) found: BTreeMap<DepositId, Found>,
    /// The open wins, with a pending redemption or without.
    pub(super) wins: BTreeMap<DepositId, RedeemableWin>,
    /// The pending transactions.
    pub(super) pending_txs: Vec<PendingTx>,
}

/// A deposit of a scan.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) draw_block: u64,
    pub(super) last_block: u64,
    pub(super) state: HoldingState,
    pub(super) last_error: Option<LastError>,
}

impl Found {
    pub(super) const fn new(terms: &Deposit, state: HoldingState) -> Self {
        Self {
            draw_block: terms.drawBlock,
            last_block: terms.lastRedeemBlock,
            state,
            last_error: None,
        }
    }
}

impl Observation {
    /// Records an error of a deposit.
    pub(super) fn record_error(&mut self, id: DepositId, error: &RedeemError) {
        let retry_at = self.head.number + 1;
        if let Some(found) = self.found.get_mut(&id) {
            let error = error.to_string();
            found.last_error = Some(LastError { error, retry_at });
        }
    }

    pub(super) fn set_state(&mut self, id: DepositId, state: HoldingState) {
        if let Some(found) = self.found.get_mut(&id) {
            found.state = state;
        }
    }

    /// The pending redemption of a deposit.
    pub(super) fn redemption_of(&self, id: DepositId) -> Option<&PendingTx> {
        self.pending_txs
            .iter()
            .find(|tx| tx.deposits().contains(&id))
    }

    /// The blocks with a pending recording of their seed.
    pub(super) fn pending_seeds(&self) -> BTreeSet<u64> {
        let blocks = self.pending_txs.iter().filter_map(|tx| match tx.purpose {
            Purpose::RecordSeed(block) => Some(block),
            _ => None,
        });
        blocks.collect()
    }
}
