//! What one scan of the chain and the store has found.

use crate::{
    bank::{head::Head, redeem::RedeemError},
    payee::{
        pending::PendingTx,
        service::{plan::RedeemableWin, report::LastError, state::HoldingState},
    },
    protocol::terms::DepositId,
};
use std::collections::BTreeMap;

/// What one look has found.
#[derive(Debug)]
pub(super) struct Observation {
    /// The newest block, as of which all of this is.
    pub(super) head: Head,
    /// The newest block that is deep enough.
    pub(super) confirmed: u64,
    /// Deposits whose state may have changed.
    pub(super) found: BTreeMap<DepositId, Found>,
    /// Those that are won and open, whether or not a redemption is under way.
    pub(super) wins: BTreeMap<DepositId, RedeemableWin>,
    /// The transactions that were sent.
    pub(super) pending_txs: Vec<PendingTx>,
}

/// One deposit.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) draw_block: u64,
    pub(super) last_block: u64,
    pub(super) state: HoldingState,
    pub(super) trouble: Option<LastError>,
}

impl Observation {
    /// Notes that something failed for a deposit.
    pub(super) fn fail(&mut self, id: DepositId, error: &RedeemError) {
        let retry_at = self.head.number + 1;
        if let Some(found) = self.found.get_mut(&id) {
            let error = error.to_string();
            found.trouble = Some(LastError { error, retry_at });
        }
    }

    pub(super) fn set(&mut self, id: DepositId, state: HoldingState) {
        if let Some(found) = self.found.get_mut(&id) {
            found.state = state;
        }
    }
}
