//! What is to be done, as a function of what is in the store. No IO: that makes it the same after a crash.

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
    /// What all payees were paid, where that matters: of active and pending deposits.
    pub(super) spent: Amount,
    /// What the wallet has sent to open it and is not known to be over.
    pub(super) opening: Option<TxRecord>,
    /// The same for what takes it back.
    pub(super) reclaim: Option<TxRecord>,
}

/// All that decisions depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    /// The newest block.
    pub(super) head: u64,
    /// The payer's cutoff, in blocks.
    pub(super) cutoff: u64,
    /// The blocks of a day.
    pub(super) day: u64,
    /// The wallet's account.
    pub(super) account: Address,
    /// Who signs the cheques.
    pub(super) signer: Address,
    /// Everything in the store, in the order of ids.
    pub(super) deposits: &'a [TrackedDeposit],
}

/// What is done for a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Open it, or find out what became of its opening.
    Open(DepositId),
    /// Take it back.
    Reclaim(DepositId),
    /// Find out what became of its opening, which is of no use any more, and cancel it if it waits: all that the wallet
    /// sends later waits for it.
    CancelOpening(DepositId),
    /// The same for what was to take it back, and perhaps did.
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

/// Whether another round is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoundNeed {
    /// Not yet: this deposit serves.
    Serves(DepositId),
    /// Not any more: this deposit is stored and not active yet, whether or not it was sent.
    Coming(DepositId),
    /// Yes. The purse of `expired` is free for it.
    Another {
        /// A deposit to reclaim in the same transaction.
        expired: Option<DepositId>,
    },
}

/// A round that would cost more in a day than the owner allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget of a day is {budget}: the deposits since block {since} come to {used}, and the next is {amount}{}",
    until(.free_at)
)]
pub(super) struct OverBudget {
    budget: Amount,
    used: Amount,
    amount: Amount,
    /// The window begins with this block.
    since: u64,
    /// The first block at which the deposit would be within the budget, as things stand now. `None`: never.
    free_at: Option<u64>,
}

fn until(free_at: &Option<u64>) -> String {
    match free_at {
        Some(block) => format!("; there is room from block {block} on"),
        None => ", which is never allowed: raise the budget or shorten the list".to_owned(),
    }
}

impl Situation<'_> {
    /// Whether another round is needed. What is pending counts as the next one whatever its fate, so that a crash or a
    /// stuck transaction never leads to two.
    pub(super) fn need(&self, rounds: &Rounds, lead: u64) -> RoundNeed {
        let of_state = |state: DepositState| {
            let mut found = self.rounds_of(rounds.token);
            found.find(move |known| known.record.state == state)
        };
        let mut active = self
            .rounds_of(rounds.token)
            .filter(|known| known.record.state == DepositState::Active);
        if let Some(known) = active.find(|known| self.serves(known, rounds, lead)) {
            return RoundNeed::Serves(known.id);
        }
        if let Some(known) = of_state(DepositState::Pending) {
            return RoundNeed::Coming(known.id);
        }
        RoundNeed::Another {
            expired: self.reopenable(rounds.token),
        }
    }

    /// What is to be done for single deposits. Where rounds follow one another, one deposit that can be taken back waits
    /// for the next round, which takes it back in the same transaction.
    ///
    /// What was sent before comes first, in the order of its nonces: it has to be with the node before another nonce is
    /// chosen, else two transactions would share one.
    pub(super) fn tasks(&self, rounds: Option<&Rounds>) -> Vec<Action> {
        let kept = rounds.and_then(|rounds| self.reopenable(rounds.token));
        let nonce = |sent: &TxRecord| sent.nonce;
        let mut tasks = Vec::new();
        for known in self.deposits {
            let opening = self.for_opening(known);
            tasks.extend(opening.map(|task| (known.opening.as_ref().map(nonce), task)));
            let reclaim = self.for_reclaim(known, kept);
            tasks.extend(reclaim.map(|task| (known.reclaim.as_ref().map(nonce), task)));
        }
        // What a node has dropped may share its nonce with what was sent later, which must not be cancelled with it.
        let wanted = tasks.iter().filter(|(_, task)| !task.cancels());
        let wanted: BTreeSet<u64> = wanted.filter_map(|(nonce, _)| *nonce).collect();
        let shared = |nonce: &Option<u64>| nonce.is_some_and(|nonce| wanted.contains(&nonce));
        tasks.retain(|(nonce, task)| !(task.cancels() && shared(nonce)));
        // Stable: the rest stays in the order of ids.
        tasks.sort_by_key(|(nonce, _)| nonce.unwrap_or(u64::MAX));
        tasks.into_iter().map(|(_, task)| task).collect()
    }

    fn for_opening(&self, known: &TrackedDeposit) -> Option<Action> {
        let pending = known.record.state == DepositState::Pending;
        if pending && self.is_own(known) && self.is_of_use(known) {
            return Some(Action::Open(known.id));
        }
        known
            .opening
            .as_ref()
            .map(|_| Action::CancelOpening(known.id))
    }

    fn for_reclaim(&self, known: &TrackedDeposit, kept: Option<DepositId>) -> Option<Action> {
        let sent = known.reclaim.is_some();
        match known.record.state {
            DepositState::Reclaimable
                if sent || (kept != Some(known.id) && !self.is_taken(known)) =>
            {
                Some(Action::Reclaim(known.id))
            }
            DepositState::Reclaimed | DepositState::Redeemed { .. } if sent => {
                Some(Action::CancelReclaim(known.id))
            }
            _ => None,
        }
    }

    /// Refuses a new deposit of `amount` that would exceed the budget of a day together with all that were stored since.
    /// A lost deposit does not count: its money never left the wallet.
    pub(super) fn check_budget(&self, rounds: &Rounds, amount: Amount) -> Result<(), OverBudget> {
        let Some(budget) = rounds.daily_budget else {
            return Ok(());
        };
        let mut counted: Vec<_> = self
            .deposits
            .iter()
            .filter(|known| self.is_own(known) && known.record.deposit.token == rounds.token)
            .filter(|known| known.record.state != DepositState::NeverOpened)
            .map(|known| (known.record.since, known.record.deposit.amount))
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
        let freed = (1..=counted.len()).find(|gone| fits(&counted[*gone..]).is_some());
        Err(OverBudget {
            budget,
            used: total(&counted).unwrap_or(Amount::MAX),
            amount,
            since: (self.head + 1).saturating_sub(self.day),
            free_at: freed.map(|gone| counted[gone - 1].0.saturating_add(self.day)),
        })
    }

    /// The deposit whose purse the next round takes over: of those that can be taken back, the one that expired first.
    pub(super) fn reopenable(&self, token: Address) -> Option<DepositId> {
        self.deposits
            .iter()
            .filter(|known| self.is_own(known) && known.record.deposit.token == token)
            .filter(|known| known.record.state == DepositState::Reclaimable)
            .filter(|known| !self.is_taken(known))
            .min_by_key(|known| (known.record.deposit.lastRedeemBlock, known.id))
            .map(|known| known.id)
    }

    /// The deposits that this payer's rounds of a token consist of.
    fn rounds_of(&self, token: Address) -> impl Iterator<Item = &TrackedDeposit> {
        self.deposits.iter().filter(move |known| {
            let terms = &known.record.deposit;
            self.is_own(known) && terms.token == token && terms.signer == self.signer
        })
    }

    fn is_own(&self, known: &TrackedDeposit) -> bool {
        known.record.deposit.payer == self.account
    }

    /// Whether cheques can still be written from a deposit, or were: what payees hold counts on its being open.
    pub(super) fn is_of_use(&self, known: &TrackedDeposit) -> bool {
        let too_late = self.head.saturating_add(self.cutoff) >= known.record.deposit.drawBlock;
        !too_late || !known.spent.is_zero()
    }

    /// Whether a deposit has cheques to give for longer than it takes to open the next one.
    fn serves(&self, known: &TrackedDeposit, rounds: &Rounds, lead: u64) -> bool {
        let terms = &known.record.deposit;
        let needed = self.cutoff.saturating_add(lead);
        self.head.saturating_add(needed) < terms.drawBlock
            && !rounds.is_nearly_spent(known.spent, Amount::new(terms.amount))
    }

    /// Whether another deposit is about to take over the purse, and the money in it.
    fn is_taken(&self, known: &TrackedDeposit) -> bool {
        let purse = |known: &TrackedDeposit| {
            let terms = &known.record.deposit;
            (terms.payer, terms.token, terms.lane)
        };
        let mut others = self.deposits.iter();
        others.any(|other| {
            other.record.state == DepositState::Pending && purse(other) == purse(known)
        })
    }
}

fn total(counted: &[(u64, u128)]) -> Option<Amount> {
    let mut amounts = counted.iter().map(|(_, amount)| Amount::new(*amount));
    amounts.try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount))
}

/// The blocks of 24 hours, rounded up: the window of the budget is never shorter.
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
