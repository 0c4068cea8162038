//! Exposure: the totals that signers have paid in deposits that are neither redeemed nor known to be lost.
//!
//! A payment is counted before its write, and taken back if nothing was written. So two payments at the same time never
//! exceed a limit together, and no lock is held while a payment is judged or written.

use crate::{
    bank::purses::PurseKey,
    payee::exposure::in_flight::InFlight,
    protocol::{amount::Amount, receive::position::Position, terms::DepositId},
};
use alloy_primitives::{Address, B256, U256};
use cheque_bindings::Deposit;
use std::collections::{BTreeMap, BTreeSet};

mod in_flight;
pub(super) mod purses;
pub(super) mod reservation;

/// The deposits whose totals are at stake, with a sum for each signer and token.
///
/// Uses trees, because a hash table is half empty right after it grows: a million deposits would take twice the memory.
#[derive(Debug, Default)]
pub(super) struct ExposureIndex {
    /// Ordered by key, so the deposits of a key are neighbours.
    deposits: BTreeMap<(ExposureKey, DepositId), Entry>,
    /// The sum of totals of each key with at least two deposits. Most signers have one deposit.
    sums: BTreeMap<ExposureKey, U256>,
    /// The number of deposits whose draw is not decided, by draw time and last time to redeem.
    draws: BTreeMap<(u64, u64), usize>,
    /// The open wins.
    wins: BTreeMap<DepositId, ExposureKey>,
    /// The totals of payments that are being written.
    in_flight: BTreeMap<DepositId, InFlight>,
    /// The deposits whose purse is to be read. True if the purse was read, and did not hold the deposit.
    unread: BTreeMap<(ExposureKey, DepositId), bool>,
    /// The time at which purses to read were handed out last.
    unread_at: u64,
    /// The last deposit of `unread` and of `wins` that was handed out.
    handed_out: (Option<(ExposureKey, DepositId)>, Option<DepositId>),
    /// The number of the newest final block.
    final_number: u64,
    /// Counts the times at which all purses became unread.
    generation: u64,
}

/// The common properties of the deposits in a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExposureKey {
    signer: Address,
    token: Address,
}

/// A deposit of the index.
#[derive(Clone, Copy, Debug)]
struct Entry {
    payer: Address,
    lane: u64,
    draw_time: u64,
    redeem_until: u64,
    /// The lowest block whose state is known to hold the deposit. Nothing closes a deposit before its draw, so the state
    /// of all later blocks holds it, too. [`u64::MAX`]: no such block is known.
    open_at: u64,
    /// The largest total of payments stored or being written.
    total: Amount,
    /// True once this payee is known to have won.
    won: bool,
}

/// The sums of a signer's totals in other deposits of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// The sum of all totals, at most [`Amount::MAX`].
    pub(super) exposure: Amount,
    /// The part in deposits that are not settled, at most [`Amount::MAX`].
    pub(super) unsettled: Amount,
}

/// The block at which a payment's purse was seen to hold the deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    /// The lowest such block.
    pub(super) open_at: u64,
    /// The generation of the index at that time.
    pub(super) generation: u64,
}

impl ExposureIndex {
    /// Adds a stored position, unless its window is over at `head_time`. Idempotent.
    pub(super) fn load(&mut self, position: &Position, head_time: u64) {
        let (id, terms) = (position.deposit_id(), position.deposit());
        if terms.redeemUntil < head_time {
            return;
        }
        if let Some(in_flight) = self.in_flight.get_mut(&id) {
            in_flight.store(position.total());
        }
        self.raise(id, terms, position.total(), None);
    }

    /// The sums of the other deposits with the signer and token of this deposit.
    ///
    /// Looks at each of them for the unsettled part, which only a payment from an unsettled deposit needs: `settled` is
    /// true if this deposit is settled, and the unsettled part then zero.
    pub(super) fn of_others(&self, id: DepositId, terms: &Deposit, settled: bool) -> Sums {
        let key = ExposureKey::of(terms);
        let own = self.deposits.get(&(key, id));
        let exposure = self.sum(key) - own.map_or(U256::ZERO, |own| own.total.to_u256());
        let mut unsettled = U256::ZERO;
        if !settled {
            for (other, entry) in self.entries(key) {
                if other != id && entry.open_at > self.final_number {
                    unsettled += entry.total.to_u256();
                }
            }
        }
        Sums {
            exposure: saturated(exposure),
            unsettled: saturated(unsettled),
        }
    }

    /// True if the final block is not before a block that held the deposit.
    pub(super) const fn is_settled(&self, open_at: u64) -> bool {
        open_at <= self.final_number
    }

    /// Removes a deposit: it is redeemed, lost, missed, or no longer in the store.
    pub(super) fn remove(&mut self, id: DepositId, terms: &Deposit) {
        self.remove_of(ExposureKey::of(terms), id);
    }

    /// The draw times up to `now` with undecided draws, oldest first.
    pub(super) fn due(&self, now: u64) -> Vec<u64> {
        let due = self.draws.range(..=(now, u64::MAX));
        let mut due: Vec<_> = due.map(|((time, _), _)| *time).collect();
        due.dedup();
        due
    }

    /// True if a payment of the deposit is being written.
    pub(super) fn is_in_flight(&self, id: DepositId) -> bool {
        self.in_flight.contains_key(&id)
    }

    /// The deposits with an undecided draw at `draw_time`. Omits those with a payment that is being written, because it may
    /// turn a loss into a win. Looks at all deposits, and so is for a time whose seed is known.
    pub(super) fn drawn_at(&self, draw_time: u64) -> Vec<(ExposureKey, DepositId)> {
        let drawn = self.deposits.iter();
        drawn
            .filter(|(_, entry)| entry.draw_time == draw_time && !entry.won)
            .map(|(key, _)| *key)
            .filter(|(_, id)| !self.is_in_flight(*id))
            .collect()
    }

    /// Records the outcome of a draw.
    pub(super) fn decide(&mut self, (key, id): (ExposureKey, DepositId), wins: bool) {
        if !wins {
            return self.remove_of(key, id);
        }
        if let Some(entry) = self.deposits.get_mut(&(key, id))
            && !entry.won
        {
            entry.won = true;
            let draw = (entry.draw_time, entry.redeem_until);
            self.unread.remove(&(key, id));
            self.wins.insert(id, key);
            self.count_draw(draw, false);
        }
    }

    /// Removes the deposits whose window is over at `head_time`, won or undecided: no payment of theirs is at stake.
    pub(super) fn remove_over(&mut self, head_time: u64) {
        let is_over = |(key, id): &(ExposureKey, DepositId)| {
            let entry = self.deposits.get(&(*key, *id));
            entry.is_some_and(|entry| entry.redeem_until < head_time) && !self.is_in_flight(*id)
        };
        let wins = self.wins.iter().map(|(id, key)| (*key, *id));
        let mut over: Vec<_> = wins.filter(&is_over).collect();
        if self.draws.keys().any(|(_, last)| *last < head_time) {
            over.extend(self.deposits.keys().copied().filter(is_over));
        }
        for (key, id) in over {
            self.remove_of(key, id);
        }
    }

    /// Up to `max` open wins with their purses. Later calls return the next.
    pub(super) fn open_wins(&mut self, max: usize) -> Vec<(ExposureKey, DepositId, PurseKey)> {
        let ids = next_of(&self.wins, self.handed_out.1, max, |_| true);
        self.handed_out.1 = ids.last().copied().or(self.handed_out.1);
        let wins = ids.into_iter().filter_map(|id| {
            let key = *self.wins.get(&id)?;
            let entry = self.deposits.get(&(key, id))?;
            Some((key, id, (entry.payer, key.token, entry.lane)))
        });
        wins.collect()
    }

    /// Removes a win whose purse no longer holds the deposit.
    pub(super) fn close(&mut self, (key, id): (ExposureKey, DepositId)) {
        self.remove_of(key, id);
    }

    /// Adds a deposit, or raises its total. `sight` is the block at which its purse held the deposit, if known.
    fn raise(&mut self, id: DepositId, terms: &Deposit, total: Amount, sight: Option<Sight>) {
        let key = ExposureKey::of(terms);
        let before = self.sum(key);
        let seen = sight.filter(|sight| sight.generation == self.generation);
        let open_at = seen.map_or(u64::MAX, |sight| sight.open_at);
        let old = self.deposits.get(&(key, id)).copied();
        let entry = match old {
            Some(old) => Entry {
                total: old.total.max(total),
                open_at: old.open_at.min(open_at),
                ..old
            },
            None => Entry {
                payer: terms.payer,
                lane: terms.lane,
                draw_time: terms.drawTime,
                redeem_until: terms.redeemUntil,
                open_at,
                total,
                won: false,
            },
        };
        if entry.open_at == u64::MAX && !entry.won {
            self.unread.entry((key, id)).or_insert(false);
        } else {
            self.unread.remove(&(key, id));
        }
        if old.is_none() {
            self.count_draw((terms.drawTime, terms.redeemUntil), true);
        }
        self.deposits.insert((key, id), entry);
        // Cannot overflow: totals are below 2^128, and there are fewer than 2^128 deposits.
        let counted = old.map_or(U256::ZERO, |old| old.total.to_u256());
        self.store_sum(key, before - counted + entry.total.to_u256());
    }

    /// Lowers the total of a deposit, after a payment that was not written.
    fn lower(&mut self, key: ExposureKey, id: DepositId, total: Amount) {
        let before = self.sum(key);
        if let Some(entry) = self.deposits.get_mut(&(key, id)) {
            let counted = std::mem::replace(&mut entry.total, total);
            self.store_sum(key, before - counted.to_u256() + total.to_u256());
        }
    }

    fn remove_of(&mut self, key: ExposureKey, id: DepositId) {
        let before = self.sum(key);
        if let Some(entry) = self.deposits.remove(&(key, id)) {
            self.unread.remove(&(key, id));
            self.wins.remove(&id);
            if !entry.won {
                self.count_draw((entry.draw_time, entry.redeem_until), false);
            }
            self.store_sum(key, before - entry.total.to_u256());
        }
    }

    /// Counts one undecided draw more or less.
    fn count_draw(&mut self, draw: (u64, u64), more: bool) {
        let count = self.draws.entry(draw).or_default();
        *count = if more {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        if *count == 0 {
            self.draws.remove(&draw);
        }
    }

    fn sum(&self, key: ExposureKey) -> U256 {
        let stored = self.sums.get(&key).copied();
        stored.unwrap_or_else(|| {
            let entries = self.entries(key);
            entries.map(|(_, entry)| entry.total.to_u256()).sum()
        })
    }

    fn store_sum(&mut self, key: ExposureKey, sum: U256) {
        if self.entries(key).nth(1).is_some() {
            self.sums.insert(key, sum);
        } else {
            self.sums.remove(&key);
        }
    }

    fn entries(&self, key: ExposureKey) -> impl Iterator<Item = (DepositId, &Entry)> {
        let first = (key, DepositId(B256::ZERO));
        let last = (key, DepositId(B256::repeat_byte(0xff)));
        let entries = self.deposits.range(first..=last);
        entries.map(|((_, id), entry)| (*id, entry))
    }
}

impl ExposureKey {
    pub(super) const fn of(terms: &Deposit) -> Self {
        Self {
            signer: terms.signer,
            token: terms.token,
        }
    }
}

fn saturated(sum: U256) -> Amount {
    u128::try_from(sum).map_or(Amount::MAX, Amount::new)
}

/// Up to `max` wanted keys of a map in turn: those after `last`, then those from the start.
fn next_of<K: Copy + Ord, V>(
    map: &BTreeMap<K, V>,
    last: Option<K>,
    max: usize,
    wanted: impl Fn(&K) -> bool,
) -> Vec<K> {
    let mut keys: Vec<K> = match last {
        Some(last) => {
            let after = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            let after = map.range(after).map(|(key, _)| *key);
            after.filter(&wanted).take(max).collect()
        }
        None => Vec::new(),
    };
    let taken: BTreeSet<K> = keys.iter().copied().collect();
    let rest = map.keys().filter(|key| !taken.contains(key) && wanted(key));
    keys.extend(rest.take(max - keys.len()).copied());
    keys
}

#[cfg(test)]
mod tests;
