//! What is known of the purses of the deposits at stake.
//!
//! Nothing closes a deposit before its draw. So a purse that held a deposit at a block holds it until the draw, in every
//! chain with that block. It is read once, and again only after a reorganisation of confirmed blocks.

use crate::{
    bank::purses::PurseKey,
    payee::exposure::{ExposureIndex, ExposureKey, Sight, next_of},
    protocol::terms::DepositId,
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Deposit;
use std::collections::BTreeSet;

impl ExposureIndex {
    /// The block at which the purse of a deposit was seen to hold it. `None` if the purse is to be read.
    pub(in crate::payee) fn sight(&self, id: DepositId, terms: &Deposit) -> Option<Sight> {
        let entry = self.deposits.get(&(ExposureKey::of(terms), id))?;
        (entry.open_at != u64::MAX).then_some(Sight {
            open_at: entry.open_at,
            generation: self.generation,
        })
    }

    /// True if the bank was seen to hold a deposit of the signer that is at stake.
    pub(in crate::payee) fn has_held(&self, signer: Address) -> bool {
        let of = |token, id| (ExposureKey { signer, token }, DepositId(id));
        let first = of(Address::ZERO, B256::ZERO);
        let last = of(Address::repeat_byte(0xff), B256::repeat_byte(0xff));
        let mut entries = self.deposits.range(first..=last);
        entries.any(|(_, entry)| entry.open_at != u64::MAX || entry.won)
    }

    /// Counts the times at which all purses became unread.
    pub(in crate::payee) const fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of deposits drawn after `now` whose purses are to be read.
    pub(in crate::payee) fn count_unread(&self, now: u64) -> usize {
        let keys = self.unread.keys();
        keys.filter(|key| self.is_before_draw(key, now)).count()
    }

    /// Up to `max` deposits drawn after `now` whose purses are to be read. Later calls return the next.
    pub(in crate::payee) fn unread(
        &mut self,
        now: u64,
        max: usize,
    ) -> Vec<(ExposureKey, DepositId, PurseKey)> {
        // Of the others, the draw decides, and the purse of a win is read after it. Keeps them: `now` may be that of a fast
        // clock.
        self.unread_at = now;
        let keys = next_of(&self.unread, self.handed_out.0, max, |key| {
            self.is_before_draw(key, now)
        });
        self.handed_out.0 = keys.last().copied().or(self.handed_out.0);
        let unread = keys.into_iter().filter_map(|(key, id)| {
            let entry = self.deposits.get(&(key, id))?;
            Some((key, id, (entry.payer, key.token, entry.lane)))
        });
        unread.collect()
    }

    fn is_before_draw(&self, key: &(ExposureKey, DepositId), now: u64) -> bool {
        let entry = self.deposits.get(key);
        entry.is_some_and(|entry| entry.draw_time > now)
    }

    /// Records that a purse was read in a generation. `open_at` is the lowest block at which it held the deposit.
    pub(in crate::payee) fn record_purse(
        &mut self,
        (key, id): (ExposureKey, DepositId),
        open_at: Option<u64>,
        generation: u64,
    ) {
        if generation != self.generation {
            return;
        }
        let Some(entry) = self.deposits.get_mut(&(key, id)) else {
            return;
        };
        match open_at {
            Some(open_at) => {
                entry.open_at = entry.open_at.min(open_at);
                self.unread.remove(&(key, id));
            }
            None if entry.open_at == u64::MAX && !entry.won => {
                self.unread.insert((key, id), true);
            }
            None => {}
        }
    }

    /// The deposits before their draw that the bank was found not to hold.
    pub(in crate::payee) fn missing(&self) -> BTreeSet<DepositId> {
        let missing = self.unread.iter().filter(|(key, missing)| {
            let entry = self.deposits.get(*key);
            **missing && entry.is_some_and(|entry| entry.draw_time > self.unread_at)
        });
        missing.map(|((_, id), _)| *id).collect()
    }

    /// Moves the newest final block on.
    pub(in crate::payee) fn set_final(&mut self, number: u64) {
        self.final_number = self.final_number.max(number);
    }

    /// Forgets what blocks above `kept` have shown of purses, after a reorganisation of confirmed blocks. `final_number` is
    /// the newest final block now.
    pub(in crate::payee) fn forget_purses(&mut self, kept: u64, final_number: u64) {
        self.generation += 1;
        self.final_number = final_number;
        let gone = self.deposits.iter_mut();
        for (key, entry) in gone.filter(|(_, entry)| entry.open_at > kept) {
            entry.open_at = u64::MAX;
            if !entry.won {
                self.unread.insert(*key, false);
            }
        }
    }
}
