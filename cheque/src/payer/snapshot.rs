//! The payer's snapshot of the chain at one head.

use crate::{bank::head::Head, payer::records::DepositRecord, protocol::terms::DepositId};
use cheque_bindings::Deposit;
use std::collections::BTreeMap;

/// Head and deposits of one poll.
#[derive(Debug)]
pub(super) struct ChainSnapshot {
    pub(super) head: Head,
    /// Terms of the active deposits, by draw time and id. A deposit whose state is unknown is not among them.
    pub(super) active: BTreeMap<(u64, DepositId), Deposit>,
    /// Deposits without a winner whose draw time is over.
    pub(super) undrawn: Vec<(DepositId, DepositRecord)>,
}

impl ChainSnapshot {
    /// True if the deposit was active at the poll.
    pub(super) fn is_active(&self, id: DepositId, terms: &Deposit) -> bool {
        self.active.contains_key(&(terms.drawTime, id))
    }
}
