//! The deposits whose purses need no look.
//!
//! Nothing closes a deposit before its draw. So a purse that held a deposit at a block holds it until the draw, in every
//! chain with that block.

use crate::{
    bank::head::Head,
    payer::records::DepositRecord,
    protocol::terms::{DepositId, Purse},
};
use std::collections::HashSet;

/// Deposits that their purses held at a block.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The highest block at which a purse was seen to hold its deposit.
    at: Option<Head>,
    deposits: HashSet<DepositId>,
}

impl Held {
    /// The block that the chain must have.
    pub(super) const fn at(&self) -> Option<Head> {
        self.at
    }

    /// Forgets all deposits: the chain does not have the block.
    pub(super) fn clear(&mut self) {
        self.at = None;
        self.deposits.clear();
    }

    /// Returns the contents of a deposit's purse at a head of time `head_time` and at its confirmed block, if no look is
    /// needed. The caller has checked that the chain has the block.
    pub(super) fn purses(
        &self,
        id: DepositId,
        record: &DepositRecord,
        head_time: u64,
    ) -> Option<[Purse; 2]> {
        let is_held = self.deposits.contains(&id) && head_time < record.deposit.drawTime;
        is_held.then_some([Purse::Open(id); 2])
    }

    /// Adds the deposits that their purses held at a confirmed block of the same chain.
    pub(super) fn add(&mut self, confirmed: Head, deposits: impl IntoIterator<Item = DepositId>) {
        // A node may be behind another one. The purses that it shows hold their deposits at the higher block, too.
        let is_higher = self.at.is_none_or(|at| at.number <= confirmed.number);
        if is_higher {
            self.at = Some(confirmed);
        }
        self.deposits.extend(deposits);
    }

    /// Keeps the deposits that are still followed.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&DepositId) -> bool) {
        self.deposits.retain(is_kept);
    }
}
