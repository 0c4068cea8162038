//! Decides the service's actions from the store's records alone. No IO, so a restarted service decides the same.

use crate::{
    payer::{
        records::{DepositRecord, DepositState},
        service::rounds::Rounds,
    },
    protocol::{amount::Amount, terms::DepositId},
    tx::record::TxRecord,
};
use alloy_primitives::Address;
use std::collections::BTreeSet;

/// A deposit of the store.
#[derive(Clone, Debug)]
pub(super) struct TrackedDeposit {
    pub(super) id: DepositId,
    pub(super) record: DepositRecord,
    /// Sum of all payments; zero unless the deposit is active or pending.
    pub(super) spent: Amount,
    /// The wallet's stored transaction that opens the deposit.
    pub(super) opening: Option<TxRecord>,
    /// The wallet's stored transaction that reclaims the deposit.
    pub(super) reclaim: Option<TxRecord>,
}

/// Input of all decisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    /// The newest block.
    pub(super) head: u64,
    /// The payer's cutoff, in blocks.
    pub(super) cutoff: u64,
    /// Blocks in a day.
    pub(super) day: u64,
    /// The wallet's account.
    pub(super) account: Address,
    /// Signer of the cheques.
    pub(super) signer: Address,
    /// All deposits of the store, ordered by id.
    pub(super) deposits: &'a [TrackedDeposit],
}

/// An action for a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Open the deposit, or find out the fate of its opening.
    Open(DepositId),
    /// Reclaim the deposit, or find out the fate of its reclaim.
    Reclaim(DepositId),
    /// Find out the fate of an obsolete opening, and cancel it if it is pending: all later transactions of the
    /// wallet wait for its nonce.
    CancelOpening(DepositId),
    /// Find out the fate of an obsolete reclaim, and cancel it if it is pending.
    CancelReclaim(DepositId),
}

impl Action {
    pub(super) const fn id(self) -> DepositId {
        match self {
            Self::Open(id)
            | Self::Reclaim(id)
            | Self::CancelOpening(id)
            | Self::CancelReclaim(id) => id,
        }
    }

    pub(super) const fn cancels(self) -> bool {
        matches!(self, Self::CancelOpening(_) | Self::CancelReclaim(_))
    }
}

/// Need for another round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoundNeed {
    /// None yet: this deposit serves payments.
    Serves(DepositId),
    /// None: this deposit is stored and not active yet, sent or not.
    Coming(DepositId),
    /// Another round is needed. Its purse is that of `expired`, if any.
    Another {
        /// A deposit to reclaim in the same transaction.
        expired: Option<DepositId>,
    },
}

/// A round that would exceed the daily budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget of a day is {budget}, the deposits since block {since} use {used}, and the next deposit needs {amount}{}",
    remedy(.free_at)
)]
pub(super) struct OverBudget {
    budget: Amount,
    used: Amount,
    amount: Amount,
    /// First block of the window.
    since: u64,
    /// First block at which the deposit is within the budget, by the present deposits. `None`: never.
    free_at: Option<u64>,
}

fn remedy(free_at: &Option<u64>) -> String {
    match free_at {
        Some(block) => format!("; there is room from block {block} on"),
        None => ", which is never allowed; raise the budget or shorten the list".to_owned(),
    }
}

impl Situation<'_> {
    /// Decides whether another round is needed. A pending deposit counts as the next round whatever its
    /// transaction's fate, so that neither a crash nor a stuck transaction leads to two rounds.
    pub(super) fn need(&self, rounds: &Rounds, lead: u64) -> RoundNeed {
        let find = |state: DepositState| {
            let mut deposits = self.rounds_of(rounds.token);
            deposits.find(move |tracked| tracked.record.state == state)
        };
        let mut active = self
            .rounds_of(rounds.token)
            .filter(|tracked| tracked.record.state == DepositState::Active);
        if let Some(tracked) = active.find(|tracked| self.serves(tracked, rounds, lead)) {
            return RoundNeed::Serves(tracked.id);
        }
        if let Some(tracked) = find(DepositState::Pending) {
            return RoundNeed::Coming(tracked.id);
        }
        RoundNeed::Another {
            expired: self.reopenable(rounds.token),
        }
    }

    /// Decides the actions for single deposits. With rounds, one reclaimable deposit is left to the next round,
    /// which reclaims it in the same transaction.
    ///
    /// Stored transactions come first, ordered by nonce: the node must have them before the wallet chooses
    /// another nonce, else two transactions would share a nonce.
    pub(super) fn actions(&self, rounds: Option<&Rounds>) -> Vec<Action> {
        let next_expired = rounds.and_then(|rounds| self.reopenable(rounds.token));
        let nonce = |tx: &TxRecord| tx.nonce;
        let mut actions = Vec::new();
        for tracked in self.deposits {
            let opening = self.opening_action(tracked);
            actions.extend(opening.map(|action| (tracked.opening.as_ref().map(nonce), action)));
            let reclaim = self.reclaim_action(tracked, next_expired);
            actions.extend(reclaim.map(|action| (tracked.reclaim.as_ref().map(nonce), action)));
        }
        // Two transactions share a nonce if the node has dropped the earlier one. If the later one is still
        // needed, cancelling the earlier would replace it, too.
        let needed = actions.iter().filter(|(_, action)| !action.cancels());
        let needed: BTreeSet<u64> = needed.filter_map(|(nonce, _)| *nonce).collect();
        let shared = |nonce: &Option<u64>| nonce.is_some_and(|nonce| needed.contains(&nonce));
        actions.retain(|(nonce, action)| !(action.cancels() && shared(nonce)));
        // Stable: actions without a transaction stay ordered by id.
        actions.sort_by_key(|(nonce, _)| nonce.unwrap_or(u64::MAX));
        actions.into_iter().map(|(_, action)| action).collect()
    }

    /// The action for a deposit's opening.
    fn opening_action(&self, tracked: &TrackedDeposit) -> Option<Action> {
        let pending = tracked.record.state == DepositState::Pending;
        if pending && self.is_own(tracked) && self.is_useful(tracked) {
            return Some(Action::Open(tracked.id));
        }
        tracked
            .opening
            .as_ref()
            .map(|_| Action::CancelOpening(tracked.id))
    }

    /// The action for a deposit's reclaim.
    fn reclaim_action(
        &self,
        tracked: &TrackedDeposit,
        next_expired: Option<DepositId>,
    ) -> Option<Action> {
        let is_stored = tracked.reclaim.is_some();
        match tracked.record.state {
            DepositState::Reclaimable
                if is_stored
                    || (next_expired != Some(tracked.id) && !self.is_purse_reserved(tracked)) =>
            {
                Some(Action::Reclaim(tracked.id))
            }
            DepositState::Reclaimed | DepositState::Redeemed { .. } if is_stored => {
                Some(Action::CancelReclaim(tracked.id))
            }
            _ => None,
        }
    }

    /// Refuses a new deposit of `amount` if it and all deposits stored within a day together exceed the daily
    /// budget. A never-opened deposit does not count: its money never left the wallet.
    pub(super) fn check_budget(&self, rounds: &Rounds, amount: Amount) -> Result<(), OverBudget> {
        let Some(budget) = rounds.daily_budget else {
            return Ok(());
        };
        let mut counted: Vec<_> = self
            .deposits
            .iter()
            .filter(|tracked| self.is_own(tracked) && tracked.record.deposit.token == rounds.token)
            .filter(|tracked| tracked.record.state != DepositState::NeverOpened)
            .map(|tracked| (tracked.record.since, tracked.record.deposit.amount))
            .filter(|(since, _)| since.saturating_add(self.day) > self.head)
            .collect();
        let fits = |counted: &[(u64, u128)]| {
            let used = total(counted)?;
            used.checked_add(amount).filter(|sum| *sum <= budget)
        };
        if fits(&counted).is_some() {
            return Ok(());
        }
        counted.sort_unstable();
        let expired = (1..=counted.len()).find(|count| fits(&counted[*count..]).is_some());
        Err(OverBudget {
            budget,
            used: total(&counted).unwrap_or(Amount::MAX),
            amount,
            since: (self.head + 1).saturating_sub(self.day),
            free_at: expired.map(|count| counted[count - 1].0.saturating_add(self.day)),
        })
    }

    /// The deposit whose purse the next round takes over: the reclaimable deposit that expired first.
    pub(super) fn reopenable(&self, token: Address) -> Option<DepositId> {
        self.deposits
            .iter()
            .filter(|tracked| self.is_own(tracked) && tracked.record.deposit.token == token)
            .filter(|tracked| tracked.record.state == DepositState::Reclaimable)
            .filter(|tracked| !self.is_purse_reserved(tracked))
            .min_by_key(|tracked| (tracked.record.deposit.lastRedeemBlock, tracked.id))
            .map(|tracked| tracked.id)
    }

    /// The deposits of this payer's rounds of a token.
    fn rounds_of(&self, token: Address) -> impl Iterator<Item = &TrackedDeposit> {
        self.deposits.iter().filter(move |tracked| {
            let terms = &tracked.record.deposit;
            self.is_own(tracked) && terms.token == token && terms.signer == self.signer
        })
    }

    fn is_own(&self, tracked: &TrackedDeposit) -> bool {
        tracked.record.deposit.payer == self.account
    }

    /// True if cheques can still be written from a deposit, or were: the payees' cheques depend on its being
    /// open.
    pub(super) fn is_useful(&self, tracked: &TrackedDeposit) -> bool {
        let too_late = self.head.saturating_add(self.cutoff) >= tracked.record.deposit.drawBlock;
        !too_late || !tracked.spent.is_zero()
    }

    /// True if a deposit can pay for longer than opening the next deposit takes.
    fn serves(&self, tracked: &TrackedDeposit, rounds: &Rounds, lead: u64) -> bool {
        let terms = &tracked.record.deposit;
        let needed = self.cutoff.saturating_add(lead);
        self.head.saturating_add(needed) < terms.drawBlock
            && !rounds.is_nearly_spent(tracked.spent, Amount::new(terms.amount))
    }

    /// True if a pending deposit is about to take over the purse, and the money in it.
    fn is_purse_reserved(&self, tracked: &TrackedDeposit) -> bool {
        let purse = |tracked: &TrackedDeposit| {
            let terms = &tracked.record.deposit;
            (terms.payer, terms.token, terms.lane)
        };
        let mut others = self.deposits.iter();
        others.any(|other| {
            other.record.state == DepositState::Pending && purse(other) == purse(tracked)
        })
    }
}

fn total(counted: &[(u64, u128)]) -> Option<Amount> {
    let mut amounts = counted.iter().map(|(_, amount)| Amount::new(*amount));
    amounts.try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount))
}

/// Blocks in 24 hours, rounded up: the budget's window is never shorter than a day.
pub(super) const fn blocks_of_a_day(block_time: u64) -> u64 {
    const DAY: u64 = 24 * 3600;
    match block_time {
        0 => DAY,
        seconds => DAY.div_ceil(seconds),
    }
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
