//! Decides the service's actions from the store's records alone. No IO, so a restarted service decides the same.

use crate::{
    payer::{
        records::{DepositRecord, DepositState},
        service::rounds::Rounds,
        state::{Limits, is_past_cutoff, is_too_late_to_open},
    },
    protocol::{amount::Amount, terms::DepositId},
    service::utc::utc,
    tx::record::TxRecord,
};
use alloy_primitives::Address;
use std::collections::BTreeSet;

/// The window of the daily budget, in seconds.
pub(super) const DAY: u64 = 86_400;

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

/// Input of all decisions. Times are seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    /// Time of the newest block. Decides what the bank decides.
    pub(super) head_time: u64,
    /// The latest of the three clocks. Decides cutoffs, leads and the budget's day.
    pub(super) now: u64,
    /// The payer's cutoff, and the times of bank and chain.
    pub(super) limits: Limits,
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
    "the budget of a day is {budget}, the deposits since {} use {used}, and the next deposit needs {amount}{}",
    utc(*.since),
    remedy(.free_at)
)]
pub(super) struct OverBudget {
    budget: Amount,
    used: Amount,
    amount: Amount,
    /// First second of the window.
    since: u64,
    /// First second at which the deposit is within the budget, by the present deposits. `None`: never.
    free_at: Option<u64>,
}

fn remedy(free_at: &Option<u64>) -> String {
    match free_at {
        Some(time) => format!("; there is room from {} on", utc(*time)),
        None => ", which is never allowed; raise the budget or shorten the list".to_owned(),
    }
}

impl Situation<'_> {
    /// Decides whether another round is needed: none can pay for long enough, or the interval between two rounds is
    /// over. A pending deposit counts as the next round whatever its transaction's fate, so that neither a crash
    /// nor a stuck transaction leads to two rounds.
    pub(super) fn need(&self, rounds: &Rounds, lead: u64) -> RoundNeed {
        let serving = self
            .rounds_of(rounds.token)
            .filter(|tracked| tracked.record.state == DepositState::Active)
            .filter(|tracked| self.serves(tracked, rounds, lead))
            .min_by_key(|tracked| (tracked.record.deposit.drawTime, tracked.id));
        if let Some(tracked) = serving
            && !self.is_interval_over(rounds)
        {
            return RoundNeed::Serves(tracked.id);
        }
        let mut pending = self
            .rounds_of(rounds.token)
            .filter(|tracked| tracked.record.state == DepositState::Pending);
        if let Some(tracked) = pending.next() {
            return RoundNeed::Coming(tracked.id);
        }
        RoundNeed::Another {
            expired: self.reopenable(rounds.token),
        }
    }

    /// True if the last round was opened an interval ago. A round that has finally never opened does not count.
    fn is_interval_over(&self, rounds: &Rounds) -> bool {
        let Some(every) = rounds.every else {
            return false;
        };
        let last = self
            .rounds_of(rounds.token)
            .filter(|tracked| !has_finally_never_opened(tracked))
            .map(|tracked| tracked.record.created)
            .max();
        last.is_none_or(|last| last.saturating_add(every) <= self.now)
    }

    /// Decides the actions for single deposits. With rounds, one reclaimable deposit is left to the next round, which
    /// reclaims it in the same transaction. Where rounds overlap, a second one is left to the round after.
    ///
    /// Stored transactions come first, ordered by nonce: the node must have them before the wallet chooses
    /// another nonce, else two transactions would share a nonce.
    pub(super) fn actions(&self, rounds: Option<&Rounds>) -> Vec<Action> {
        let spared = rounds.map_or_else(Vec::new, |rounds| self.spared(rounds));
        let nonce = |tx: &TxRecord| tx.nonce;
        let mut actions = Vec::new();
        for tracked in self.deposits {
            let opening = self.opening_action(tracked);
            actions.extend(opening.map(|action| (tracked.opening.as_ref().map(nonce), action)));
            let reclaim = self.reclaim_action(tracked, &spared);
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
    fn reclaim_action(&self, tracked: &TrackedDeposit, spared: &[DepositId]) -> Option<Action> {
        let is_stored = tracked.reclaim.is_some();
        match tracked.record.state {
            DepositState::Reclaimable
                if is_stored
                    || !(spared.contains(&tracked.id) || self.is_purse_reserved(tracked)) =>
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
    /// budget. A deposit that has finally never opened does not count: its money never left the wallet. Until that is
    /// final, a reorganisation can bring its opening back.
    pub(super) fn check_budget(&self, rounds: &Rounds, amount: Amount) -> Result<(), OverBudget> {
        let Some(budget) = rounds.daily_budget else {
            return Ok(());
        };
        let mut counted: Vec<_> = self
            .deposits
            .iter()
            .filter(|tracked| self.is_own(tracked) && tracked.record.deposit.token == rounds.token)
            .filter(|tracked| !has_finally_never_opened(tracked))
            .map(|tracked| (tracked.record.created, tracked.record.deposit.amount))
            .filter(|(created, _)| created.saturating_add(DAY) > self.now)
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
            since: self.now.saturating_add(1).saturating_sub(DAY),
            free_at: expired.map(|count| counted[count - 1].0.saturating_add(DAY)),
        })
    }

    /// The deposit whose purse the next round takes over: the reclaimable deposit that expired first.
    pub(super) fn reopenable(&self, token: Address) -> Option<DepositId> {
        self.expired(token).into_iter().next()
    }

    /// The reclaimable deposits whose purses the next rounds take over.
    pub(super) fn spared(&self, rounds: &Rounds) -> Vec<DepositId> {
        let next_rounds = if rounds.every.is_some() { 2 } else { 1 };
        let mut spared = self.expired(rounds.token);
        spared.truncate(next_rounds);
        spared
    }

    /// The reclaimable deposits of a token that are free for a next round, in the order in which they expired.
    fn expired(&self, token: Address) -> Vec<DepositId> {
        let mut expired: Vec<_> = self
            .deposits
            .iter()
            .filter(|tracked| self.is_own(tracked) && tracked.record.deposit.token == token)
            .filter(|tracked| tracked.record.state == DepositState::Reclaimable)
            .filter(|tracked| !self.is_purse_reserved(tracked))
            .map(|tracked| (tracked.record.deposit.redeemUntil, tracked.id))
            .collect();
        expired.sort_unstable();
        expired.into_iter().map(|(_, id)| id).collect()
    }

    /// The lanes of a token whose last deposit is closed, so that their purses may hold idle money.
    pub(super) fn idle_lanes(&self, token: Address) -> BTreeSet<u64> {
        let (mut lanes, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for tracked in self.deposits {
            let terms = &tracked.record.deposit;
            if self.is_own(tracked) && terms.token == token {
                match tracked.record.state {
                    DepositState::Redeemed { .. }
                    | DepositState::Reclaimed
                    | DepositState::NeverOpened => lanes.insert(terms.lane),
                    _ => taken.insert(terms.lane),
                };
            }
        }
        &lanes - &taken
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

    /// True if a pending deposit is worth its opening: the bank can still open it, and cheques can be written from it
    /// or were, so that payees depend on its being open.
    pub(super) fn is_useful(&self, tracked: &TrackedDeposit) -> bool {
        let terms = &tracked.record.deposit;
        !is_too_late_to_open(terms, &self.limits, self.head_time)
            && (!is_past_cutoff(terms, self.limits.cutoff, self.now) || !tracked.spent.is_zero())
    }

    /// True if a deposit can pay for longer than opening the next deposit takes.
    pub(super) fn serves(&self, tracked: &TrackedDeposit, rounds: &Rounds, lead: u64) -> bool {
        let terms = &tracked.record.deposit;
        let needed = self.limits.cutoff.saturating_add(lead);
        !is_past_cutoff(terms, needed, self.now)
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

fn has_finally_never_opened(tracked: &TrackedDeposit) -> bool {
    tracked.record.settled && tracked.record.state == DepositState::NeverOpened
}

fn total(counted: &[(u64, u128)]) -> Option<Amount> {
    let mut amounts = counted.iter().map(|(_, amount)| Amount::new(*amount));
    amounts.try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount))
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod short_rounds;
#[cfg(test)]
mod tests;
