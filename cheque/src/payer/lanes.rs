//! Chooses the lane of a new deposit: the purse that holds it.

use crate::{
    payer::{
        Payer, error::PayerError, records::DepositState, request::DepositRequest,
        stored::stored_deposits,
    },
    protocol::{
        amount::Amount,
        terms::{DepositId, Purse},
    },
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::collections::{BTreeMap, BTreeSet};

impl Payer {
    /// Lane of the deposit to be reopened, and the money that will be idle in its purse.
    pub(super) async fn lane_to_reopen(
        &self,
        id: DepositId,
        expired: &Deposit,
        payer: Address,
        head: u64,
    ) -> Result<(u64, Amount), PayerError> {
        if expired.payer != payer {
            return Err(PayerError::WrongWallet {
                payer: expired.payer,
                wallet: payer,
            });
        }
        let lane = expired.lane;
        let taken = self.taken_lanes(payer, expired.token).await?;
        if let Some(deposit) = taken.reserved.get(&lane).copied() {
            return Err(PayerError::LaneBusy { lane, deposit });
        }
        let purse = (expired.payer, expired.token, lane);
        match self.reader.purse(purse, head).await? {
            Purse::Idle(idle) => Ok((lane, idle)),
            Purse::Open(open) if open == id => Ok((lane, Amount::new(expired.amount))),
            Purse::Open(deposit) => Err(PayerError::LaneBusy { lane, deposit }),
        }
    }

    /// The requested lane, or the lowest lane whose purse is idle and reserved by no stored deposit; and its
    /// idle money.
    pub(super) async fn free_lane(
        &self,
        request: &DepositRequest,
        payer: Address,
        head: u64,
    ) -> Result<(u64, Amount), PayerError> {
        let taken = self.taken_lanes(payer, request.token).await?;
        let mut candidates = Candidates::new(request.lane, &taken);
        loop {
            let lanes = candidates.next_batch();
            if lanes.is_empty() {
                return Err(PayerError::NoFreeLane);
            }
            let purse = |lane: &u64| ((payer, request.token, *lane), head);
            let asked: Vec<_> = lanes.iter().map(purse).collect();
            let purses = self.reader.purses(&asked).await?;
            for (lane, purse) in lanes.into_iter().zip(purses) {
                let busy = match (purse, taken.reserved.get(&lane)) {
                    (Purse::Open(deposit), _) => deposit,
                    (Purse::Idle(_), Some(deposit)) => *deposit,
                    (Purse::Idle(idle), None) => return Ok((lane, idle)),
                };
                if request.lane.is_some() {
                    return Err(PayerError::LaneBusy {
                        lane,
                        deposit: busy,
                    });
                }
            }
        }
    }

    /// Lanes taken by the stored deposits of an account and token.
    async fn taken_lanes(&self, payer: Address, token: Address) -> Result<TakenLanes, PayerError> {
        let mut taken = TakenLanes::default();
        for (id, record) in stored_deposits(&self.store, self.reader.bank()).await? {
            let terms = &record.deposit;
            if terms.payer != payer || terms.token != token {
                continue;
            }
            match record.state {
                DepositState::Pending => {
                    taken.reserved.insert(terms.lane, id);
                }
                DepositState::Active
                | DepositState::PastCutoff
                | DepositState::Drawn { .. }
                | DepositState::Reclaimable => {
                    taken.open.insert(terms.lane);
                }
                DepositState::Redeemed { .. }
                | DepositState::Reclaimed
                | DepositState::NeverOpened => {}
            }
        }
        Ok(taken)
    }
}

/// Lanes of stored deposits.
#[derive(Debug, Default)]
struct TakenLanes {
    /// Lanes of pending deposits: stored or sent, and not confirmed.
    reserved: BTreeMap<u64, DepositId>,
    /// Lanes of open deposits, as of the last poll.
    open: BTreeSet<u64>,
}

/// Lanes whose purses may be idle, in ascending order.
struct Candidates<'a> {
    next: Option<u64>,
    /// The only candidate, if the caller named a lane.
    only: bool,
    taken: &'a TakenLanes,
}

impl<'a> Candidates<'a> {
    fn new(requested: Option<u64>, taken: &'a TakenLanes) -> Self {
        Self {
            next: Some(requested.unwrap_or(1)),
            only: requested.is_some(),
            taken,
        }
    }

    /// The next lanes to ask for. Without a request, lanes known to be taken are left out: a payer with hundreds of
    /// deposits would ask for all of them each time. Empty after the last lane.
    fn next_batch(&mut self) -> Vec<u64> {
        /// Number of purses per query.
        const BATCH: usize = 8;
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(lane) = self.next
        {
            let is_taken =
                self.taken.open.contains(&lane) || self.taken.reserved.contains_key(&lane);
            if self.only || !is_taken {
                batch.push(lane);
            }
            self.next = lane.checked_add(1).filter(|_| !self.only);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn taken() -> TakenLanes {
        TakenLanes {
            reserved: BTreeMap::from([(3, DepositId(B256::ZERO))]),
            open: (4..=300).collect(),
        }
    }

    #[test]
    fn leaves_out_lanes_known_to_be_taken() {
        let taken = taken();
        let mut candidates = Candidates::new(None, &taken);
        let first = candidates.next_batch();
        assert_eq!(first, [1, 2, 301, 302, 303, 304, 305, 306]);
        assert_eq!(candidates.next_batch()[0], 307);
    }

    #[test]
    fn asks_for_the_requested_lane_only() {
        let taken = taken();
        for lane in [1, 3, 4, u64::MAX] {
            let mut candidates = Candidates::new(Some(lane), &taken);
            assert_eq!(candidates.next_batch(), [lane]);
            assert!(candidates.next_batch().is_empty());
        }
    }
}
