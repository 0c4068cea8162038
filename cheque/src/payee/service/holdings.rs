//! The service's memory of each deposit between two steps.
//!
//! A step looks at the deposits that have something to do: those at their cutoff, those with a draw to decide, and open
//! wins. All others cost nothing.

use crate::{
    bank::purses::PurseKey,
    payee::{
        pending::PendingTx,
        service::{
            plan::RedeemableWin,
            report::LastError,
            state::{EndedBy, HoldingState, MissReason},
        },
    },
    protocol::terms::DepositId,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

/// All deposits in the store, by id, and the work on them.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    deposits: BTreeMap<DepositId, Tracked>,
    /// The deposits that can be paid from, or could be if they were confirmed, with the time of their cutoff.
    cutoffs: BTreeSet<(u64, DepositId)>,
    /// The deposits past their cutoff with an undecided draw, by draw time.
    draws: BTreeSet<(u64, DepositId)>,
    /// The deposits that the bank was found not to hold.
    unconfirmed: BTreeSet<DepositId>,
    /// The wins whose end is not final.
    pub(super) wins: BTreeMap<DepositId, Win>,
    /// The deposits whose state is final, by the last time to redeem.
    ended: BTreeSet<(u64, DepositId)>,
    /// The deposits in each state, by name.
    by_state: BTreeMap<&'static str, BTreeSet<DepositId>>,
    /// The deposits to read from the store.
    pub(super) news: BTreeSet<DepositId>,
    /// The draw times whose seeds are known to be recorded.
    pub(super) recorded: BTreeSet<u64>,
    /// The stuck transactions of the wallet.
    pub(super) stuck: Vec<PendingTx>,
    /// Counts the looks at wins.
    pub(super) looks: u64,
}

/// The memory of one deposit. Small, because there may be a million.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) draw_time: u64,
    pub(super) redeem_until: u64,
    pub(super) state: HoldingState,
    /// True if the window of an open win is about to close, and a warning is logged.
    pub(super) closing: bool,
    pub(super) last_error: Option<Box<LastError>>,
}

/// A won deposit.
#[derive(Clone, Debug)]
pub(super) struct Win {
    pub(super) win: RedeemableWin,
    pub(super) purse: PurseKey,
    /// The newest head at which its purse was seen to hold it.
    pub(super) open_at: Option<u64>,
    /// The number of the last look. Zero: a look is due, whatever the state.
    pub(super) looked: u64,
}

impl Holdings {
    pub(super) fn get(&self, id: DepositId) -> Option<&Tracked> {
        self.deposits.get(&id)
    }

    /// The state of a deposit, if known.
    pub(super) fn state(&self, id: DepositId) -> Option<HoldingState> {
        self.get(id).map(|tracked| tracked.state)
    }

    pub(super) fn len(&self) -> usize {
        self.deposits.len()
    }

    /// Replaces the memory of a deposit, and returns the old one.
    pub(super) fn put(&mut self, id: DepositId, tracked: Tracked) -> Option<Tracked> {
        let before = self.remove_entry(id);
        let (draw, until) = (tracked.draw_time, tracked.redeem_until);
        match tracked.state {
            HoldingState::Receiving { until } => {
                self.cutoffs.insert((until, id));
            }
            HoldingState::Unconfirmed => {
                self.cutoffs.insert((draw, id));
                self.unconfirmed.insert(id);
            }
            HoldingState::PastCutoff { .. }
            | HoldingState::Drawn { .. }
            | HoldingState::Missed(MissReason::NoSeed { .. }) => {
                self.draws.insert((draw, id));
            }
            HoldingState::NotDrawn => {
                self.ended.insert((until, id));
                self.wins.remove(&id);
            }
            _ => {}
        }
        let in_state = self.by_state.entry(tracked.state.name());
        in_state.or_default().insert(id);
        self.news.remove(&id);
        self.deposits.insert(id, tracked);
        before
    }

    /// Forgets a deposit.
    pub(super) fn remove(&mut self, id: DepositId) {
        self.remove_entry(id);
        self.wins.remove(&id);
        self.news.remove(&id);
    }

    fn remove_entry(&mut self, id: DepositId) -> Option<Tracked> {
        let before = self.deposits.remove(&id)?;
        match before.state {
            HoldingState::Receiving { until } => {
                self.cutoffs.remove(&(until, id));
            }
            HoldingState::Unconfirmed => {
                self.cutoffs.remove(&(before.draw_time, id));
                self.unconfirmed.remove(&id);
            }
            _ => {
                self.draws.remove(&(before.draw_time, id));
                self.ended.remove(&(before.redeem_until, id));
            }
        }
        if let Some(in_state) = self.by_state.get_mut(before.state.name()) {
            in_state.remove(&id);
        }
        Some(before)
    }

    /// The deposits before their draw whose state may change at `now`: those at their cutoff, and those that were or are
    /// `missing` at the confirmed block.
    pub(super) fn at_cutoff(&self, now: u64, missing: &BTreeSet<DepositId>) -> Vec<DepositId> {
        let due = self.cutoffs.iter().take_while(|(time, _)| *time <= now);
        let due: BTreeSet<_> = due.map(|(_, id)| *id).collect();
        let moved = self.unconfirmed.symmetric_difference(missing);
        due.into_iter().chain(moved.copied()).collect()
    }

    /// The deposits with an undecided draw at `now` or before, by draw time.
    pub(super) fn undecided(&self, now: u64) -> impl Iterator<Item = (u64, DepositId)> {
        let draws = self.draws.iter().take_while(move |(time, _)| *time <= now);
        draws.copied()
    }

    /// The next draw time after `now`.
    pub(super) fn next_draw(&self, now: u64) -> Option<u64> {
        let past_cutoff = self.draws.iter().map(|(time, _)| *time);
        let past_cutoff = past_cutoff.filter(|time| *time > now).min();
        let first = self.cutoffs.iter().find_map(|(_, id)| {
            let draw_time = self.get(*id)?.draw_time;
            (draw_time > now).then_some(draw_time)
        });
        past_cutoff.into_iter().chain(first).min()
    }

    /// The time since which the redemption of a deposit is pending, if it is stuck.
    pub(super) fn stuck_since(&self, id: DepositId) -> Option<u64> {
        let redeems = |tx: &&PendingTx| tx.deposits().contains(&id);
        self.stuck.iter().find(redeems).map(|tx| tx.since)
    }

    /// Up to `max` wins to look at: first those of `urgent`, then those with the oldest look.
    ///
    /// An end in a block up to `confirmed` needs no look, until a reorganisation asks for it. A missing deposit does: the
    /// node may have its events by now.
    pub(super) fn wins_to_look_at(
        &self,
        urgent: &BTreeSet<DepositId>,
        confirmed: &EndedBy,
        max: usize,
    ) -> Vec<DepositId> {
        let mut wins: Vec<_> = self
            .wins
            .iter()
            .filter(|(id, win)| {
                win.looked == 0
                    || self.state(**id).is_none_or(|state| {
                        matches!(state, HoldingState::NotOnChain { .. })
                            || !state.has_ended(confirmed)
                    })
            })
            .map(|(id, win)| (!urgent.contains(id), win.looked, *id))
            .collect();
        wins.sort_unstable();
        wins.truncate(max);
        wins.into_iter().map(|(_, _, id)| id).collect()
    }

    /// Makes a look at all wins due, because blocks were replaced.
    pub(super) fn look_again(&mut self) {
        for win in self.wins.values_mut() {
            win.looked = 0;
            win.open_at = None;
        }
        self.recorded.clear();
    }

    /// The deposits that had a final end on the chain. A reorganisation of final blocks may have undone it.
    pub(super) fn ended_on_chain(&self) -> Vec<DepositId> {
        let ended = self.ended.iter().map(|(_, id)| *id);
        ended
            .filter(|id| self.state(*id) != Some(HoldingState::NotDrawn))
            .collect()
    }

    /// Takes the deposits out of the daily work whose end is final. Skips deposits with an error or a pending redemption.
    pub(super) fn settle(&mut self, at: &EndedBy, pending: &BTreeSet<DepositId>) {
        let unmoved = |id: &DepositId| !pending.contains(id);
        let wins = self.wins.keys().filter(|id| unmoved(id));
        let without_seed = self.draws.iter().map(|(_, id)| id).filter(|id| unmoved(id));
        let candidates = wins.chain(without_seed).copied();
        let is_final = |id: &DepositId| {
            self.get(*id).is_some_and(|tracked| match tracked.state {
                HoldingState::Missed(MissReason::NoSeed { .. }) => tracked.redeem_until < at.time,
                // Only by a look at this head: there may have been none since the first.
                HoldingState::NotOnChain { .. } if !self.was_looked_at(id) => false,
                state => state.has_ended(at) && tracked.last_error.is_none(),
            })
        };
        let settled: Vec<_> = candidates.filter(is_final).collect();
        for id in settled {
            self.wins.remove(&id);
            if let Some(tracked) = self.deposits.get(&id) {
                self.draws.remove(&(tracked.draw_time, id));
                self.ended.insert((tracked.redeem_until, id));
            }
        }
    }

    /// True if the last step looked at a win.
    fn was_looked_at(&self, id: &DepositId) -> bool {
        let win = self.wins.get(id);
        win.is_some_and(|win| win.looked == self.looks)
    }

    /// Up to `max` settled deposits that could be redeemed until a time before `time`.
    pub(super) fn ended_before(&self, time: u64, max: usize) -> Vec<DepositId> {
        let old = self.ended.iter().take_while(|(until, _)| *until < time);
        old.take(max).map(|(_, id)| *id).collect()
    }

    /// The lowest draw time of all deposits.
    pub(super) fn oldest_draw(&self) -> Option<u64> {
        let draws = self.deposits.values().map(|tracked| tracked.draw_time);
        draws.min()
    }

    /// The open wins whose window is about to close, with the last time to redeem.
    pub(super) fn count_closing(&self) -> u32 {
        let closing = self.wins.keys().filter(|id| {
            let tracked = self.get(**id);
            tracked.is_some_and(|tracked| tracked.closing)
        });
        u32::try_from(closing.count()).unwrap_or(u32::MAX)
    }

    /// Marks an open win as about to close, or not. Returns true if the mark is new.
    pub(super) fn set_closing(&mut self, id: DepositId, closing: bool) -> bool {
        let tracked = self.deposits.get_mut(&id);
        tracked.is_some_and(|tracked| {
            let before = std::mem::replace(&mut tracked.closing, closing);
            closing && !before
        })
    }

    /// The number of deposits in a state.
    pub(super) fn count_in(&self, state: &str) -> usize {
        self.by_state.get(state).map_or(0, BTreeSet::len)
    }

    /// Up to `max` deposits after an id, in the order of ids: all, or those in a state.
    pub(super) fn page(
        &self,
        state: Option<&str>,
        after: Option<DepositId>,
        max: usize,
    ) -> Vec<DepositId> {
        let range = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        );
        match state {
            None => {
                let ids = self.deposits.range(range).map(|(id, _)| *id);
                ids.take(max).collect()
            }
            Some(state) => {
                let in_state = self.by_state.get(state).into_iter();
                let ids = in_state.flat_map(|ids| ids.range(range)).copied();
                ids.take(max).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests;
