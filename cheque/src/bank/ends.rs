//! The ends of deposits, and the searches for them that a reader and its clones have made.

use crate::{
    bank::head::Head,
    protocol::{amount::Amount, terms::DepositId},
};
use alloy_primitives::{Address, B256};
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The number of deposits whose search is remembered, 200 bytes each.
const MAX_ENDS: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// The number of pairs of blocks that are known to be of one chain.
const MAX_PAIRS: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// How long a search that found nothing is believed: a node may index events late, or lack some.
const NOTHING_LIFE: Duration = Duration::from_secs(600);

/// How long a node's limit on blocks is remembered, so that a passing failure does not make all later searches long.
const LIMIT_LIFE: Duration = Duration::from_secs(3_600);

/// The end of a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A payee won and redeemed.
    Redeemed {
        /// The winner.
        payee: Address,
        /// The payout, in token units.
        payout: Amount,
        /// The number of the block with the redemption.
        block: u64,
    },
    /// The deposit returned to the payer's purse.
    Reclaimed {
        /// The number of the block with the reclaim.
        block: u64,
    },
}

/// The end of a deposit, as far as it was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SearchedEnd {
    /// The first searched block.
    pub(super) from: u64,
    /// The last searched block. The result holds for chains with this block.
    pub(super) to: Head,
    pub(super) found: Option<Closed>,
}

/// What earlier searches have found. Shared by the clones of a reader.
#[derive(Clone, Debug)]
pub(super) struct Searches(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    ends: LruCache<DepositId, (SearchedEnd, Instant)>,
    /// Pairs of an older block and a newer one of the same chain.
    pairs: LruCache<(B256, B256), ()>,
    /// The number of blocks of which the node tells the events at once, if it was found to have a limit.
    limit: Option<(u64, Instant)>,
}

impl Default for Searches {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            ends: LruCache::new(MAX_ENDS),
            pairs: LruCache::new(MAX_PAIRS),
            limit: None,
        })))
    }
}

impl Searches {
    /// Returns the last search for the end of a deposit, if it began at `from` or before. Forgets an old search that found
    /// nothing.
    pub(super) fn end_of(&self, id: DepositId, from: u64, now: Instant) -> Option<SearchedEnd> {
        let mut state = self.state();
        let (searched, at) = *state.ends.get(&id)?;
        let is_old = now.saturating_duration_since(at) >= NOTHING_LIFE;
        if searched.found.is_none() && is_old {
            state.ends.pop(&id);
            return None;
        }
        (searched.from <= from).then_some(searched)
    }

    /// Remembers a search. One that continues another that found nothing is as old as that one.
    pub(super) fn keep_end(&self, id: DepositId, searched: SearchedEnd, now: Instant) {
        let mut state = self.state();
        let before = state.ends.get(&id).copied();
        let at =
            before.filter(|(before, _)| before.from == searched.from && before.found.is_none());
        state.ends.put(id, (searched, at.map_or(now, |(_, at)| at)));
    }

    /// Forgets the search for the end of a deposit.
    pub(super) fn forget_end(&self, id: DepositId) {
        self.state().ends.pop(&id);
    }

    /// True if an older block is known to be in the chain of a newer one.
    pub(super) fn is_in_chain(&self, older: &Head, newer: &Head) -> bool {
        older.hash == newer.hash || self.state().pairs.contains(&(older.hash, newer.hash))
    }

    /// Remembers that an older block is in the chain of a newer one.
    pub(super) fn keep_in_chain(&self, older: &Head, newer: &Head) {
        self.state().pairs.put((older.hash, newer.hash), ());
    }

    /// Returns the number of blocks to ask for at once.
    pub(super) fn limit(&self, now: Instant) -> u64 {
        let limit = self.state().limit;
        let young = limit.filter(|(_, at)| now.saturating_duration_since(*at) < LIMIT_LIFE);
        young.map_or(u64::MAX, |(blocks, _)| blocks)
    }

    /// Remembers the number of blocks that the node answers for at once, after it has refused more.
    pub(super) fn keep_limit(&self, blocks: u64, now: Instant) {
        self.state().limit = Some((blocks, now));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics with the lock held, and every state is a good one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: DepositId = DepositId(B256::repeat_byte(1));
    const SECOND: Duration = Duration::from_secs(1);

    fn searched(from: u64, to: u64, found: Option<Closed>) -> SearchedEnd {
        let to = Head {
            number: to,
            time: to,
            hash: B256::with_last_byte(1),
        };
        SearchedEnd { from, to, found }
    }

    #[test]
    fn forgets_a_search_without_result_after_ten_minutes() {
        let (searches, now) = (Searches::default(), Instant::now());
        let first = searched(10, 20, None);
        searches.keep_end(ID, first, now);
        assert_eq!(searches.end_of(ID, 10, now), Some(first));
        assert_eq!(searches.end_of(ID, 9, now), None, "not searched");
        // A look at each new block does not make the old part of the search younger.
        let later = searched(10, 30, None);
        searches.keep_end(ID, later, now + NOTHING_LIFE - SECOND);
        assert_eq!(
            searches.end_of(ID, 10, now + NOTHING_LIFE - SECOND),
            Some(later)
        );
        assert_eq!(searches.end_of(ID, 10, now + NOTHING_LIFE), None);
    }

    #[test]
    fn remembers_what_was_found() {
        let (searches, now) = (Searches::default(), Instant::now());
        let end = searched(10, 20, Some(Closed::Reclaimed { block: 15 }));
        searches.keep_end(ID, end, now);
        assert_eq!(searches.end_of(ID, 10, now + 10 * NOTHING_LIFE), Some(end));
        searches.forget_end(ID);
        assert_eq!(searches.end_of(ID, 10, now), None);
    }

    #[test]
    fn forgets_the_limit_of_a_node_after_an_hour() {
        let (searches, now) = (Searches::default(), Instant::now());
        assert_eq!(searches.limit(now), u64::MAX);
        searches.keep_limit(10, now);
        assert_eq!(searches.limit(now + LIMIT_LIFE - SECOND), 10);
        assert_eq!(searches.limit(now + LIMIT_LIFE), u64::MAX);
    }
}
