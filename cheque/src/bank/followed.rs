//! The heads that a reader and its clones have followed.

use crate::bank::head::{FinalBlock, Head, MEMORY, is_expired};
use alloy_primitives::B256;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest number of blocks kept: those of 68 minutes, if a head is followed each second.
const MAX_BLOCKS: usize = 4_096;

/// The number of heads whose look-ups are kept.
const MAX_RESULTS: usize = 8;

/// The newest head on the clock and the blocks before it, shared by the clones of a reader.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The highest head that was on the clock, or the newest one after that has expired.
    newest: Option<Head>,
    /// Followed heads and blocks found by a search, by ascending number and time. Blocks of an abandoned fork may be
    /// among them.
    blocks: Vec<Head>,
    /// The blocks found for a head (its hash) and an age in seconds, newest last.
    found: Vec<((B256, u64), Head)>,
    /// The final blocks found for a head, newest last.
    finals: Vec<(B256, FinalBlock)>,
    /// The own clock at the last answer of a node with its `finalized` block.
    final_tag_at: Option<u64>,
}

impl Followed {
    /// Returns the newest head that was on the clock.
    pub(super) fn newest(&self) -> Option<Head> {
        self.state().newest
    }

    /// Remembers a head that is on the clock. Keeps the higher of two heads, so that a node cannot lower it step by step,
    /// unless that has expired.
    pub(super) fn remember(&self, head: Head, clock: u64) {
        let newest = &mut self.state().newest;
        if newest.is_none_or(|old| head.number >= old.number || is_expired(&old, clock)) {
            *newest = Some(head);
        }
    }

    /// Adds a head as the newest block. Drops the blocks that it replaces, and those older than `span` seconds except for
    /// the newest of them.
    pub(super) fn push(&self, head: Head, span: u64) {
        let mut state = self.state();
        let blocks = &mut state.blocks;
        blocks.retain(|block| block.number < head.number && block.time <= head.time);
        blocks.push(head);
        let oldest = head.time.saturating_sub(span);
        let old = blocks.partition_point(|block| block.time < oldest);
        let surplus = blocks.len().saturating_sub(MAX_BLOCKS);
        blocks.drain(..old.saturating_sub(1).max(surplus));
    }

    /// Adds a block found by a search. Does nothing if the number is known, or the time does not fit in between.
    pub(super) fn insert(&self, block: Head) {
        let mut state = self.state();
        let blocks = &mut state.blocks;
        let place = blocks.partition_point(|other| other.number < block.number);
        let (before, after) = blocks.split_at(place);
        let fits_before = before.last().is_none_or(|last| last.time <= block.time);
        let fits_after = after
            .first()
            .is_none_or(|next| next.number > block.number && next.time >= block.time);
        if fits_before && fits_after && blocks.len() < MAX_BLOCKS {
            blocks.insert(place, block);
        }
    }

    /// Returns the newest block of time `target` or before and number `below` or less, and the block after it.
    pub(super) fn around(&self, below: u64, target: u64) -> Option<(Head, Option<Head>)> {
        let state = self.state();
        let blocks = &state.blocks;
        let place = blocks.partition_point(|block| block.time <= target && block.number <= below);
        let low = blocks.get(place.checked_sub(1)?)?;
        let next = blocks.get(place).filter(|next| next.number <= below);
        Some((*low, next.copied()))
    }

    /// Forgets a block of an abandoned fork, and all after it up to `below`, which may belong to that fork.
    pub(super) fn forget(&self, block: &Head, below: u64) {
        let abandoned = |other: &Head| other.number >= block.number && other.number < below;
        self.state().blocks.retain(|other| !abandoned(other));
    }

    /// Returns the block found for a head and an age before.
    pub(super) fn found(&self, head: B256, age: u64) -> Option<Head> {
        let state = self.state();
        let found = state.found.iter().find(|(key, _)| *key == (head, age));
        found.map(|(_, block)| *block)
    }

    /// Keeps the block found for a head and an age.
    pub(super) fn keep_found(&self, head: B256, age: u64, block: Head) {
        keep(&mut self.state().found, (head, age), block);
    }

    /// Returns the final block found for a head before.
    pub(super) fn final_of(&self, head: B256) -> Option<FinalBlock> {
        let state = self.state();
        let found = state.finals.iter().find(|(key, _)| *key == head);
        found.map(|(_, block)| *block)
    }

    /// Keeps the final block found for a head.
    pub(super) fn keep_final(&self, head: B256, block: FinalBlock) {
        keep(&mut self.state().finals, head, block);
    }

    /// Remembers that a node named its `finalized` block.
    pub(super) fn keep_final_tag(&self, clock: u64) {
        self.state().final_tag_at = Some(clock);
    }

    /// True if a node named its `finalized` block, and that counts.
    pub(super) fn had_final_tag(&self, clock: u64) -> bool {
        let at = self.state().final_tag_at;
        at.is_some_and(|at| clock.abs_diff(at) < MEMORY)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics with the lock held, and every state is a good one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a result, in place of the oldest if there are many.
fn keep<K, V>(results: &mut Vec<(K, V)>, key: K, value: V) {
    if results.len() >= MAX_RESULTS {
        results.remove(0);
    }
    results.push((key, value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::head::MEMORY;

    fn at(number: u64, time: u64) -> Head {
        Head {
            number,
            time,
            hash: B256::left_padding_from(&number.to_be_bytes()),
        }
    }

    #[test]
    fn keeps_highest_head_until_it_expires() {
        let followed = Followed::default();
        for (head, clock, kept) in [
            (at(10, 100), 100, at(10, 100)),
            (at(9, 200), 200, at(10, 100)),
            (at(12, 90), 100, at(12, 90)),
            (at(3, 95), 90 + MEMORY - 1, at(12, 90)),
            (at(3, 95), 90 + MEMORY, at(3, 95)),
        ] {
            followed.remember(head, clock);
            assert_eq!(followed.newest(), Some(kept));
        }
    }

    #[test]
    fn drops_replaced_blocks_and_those_beyond_the_span() {
        let followed = Followed::default();
        let numbers = || -> Vec<u64> {
            let state = followed.state();
            state.blocks.iter().map(|block| block.number).collect()
        };
        for number in 1..=20 {
            followed.push(at(number, number * 10), 60);
        }
        // Block 13 is the newest that is older than the span.
        assert_eq!(numbers(), (13..=20).collect::<Vec<_>>());
        followed.push(at(17, 175), 60);
        assert_eq!(numbers(), [13, 14, 15, 16, 17]);
        // A fork with lower times: its blocks are older than those of the same height before.
        followed.push(at(18, 142), 60);
        assert_eq!(numbers(), [13, 14, 18]);
    }

    #[test]
    fn finds_the_pair_of_blocks_around_a_time() {
        let followed = Followed::default();
        // Five blocks share a second.
        for number in 1..=20 {
            followed.push(at(number, number / 5), 60);
        }
        assert_eq!(followed.around(20, 2), Some((at(14, 2), Some(at(15, 3)))));
        assert_eq!(followed.around(12, 2), Some((at(12, 2), None)));
        assert_eq!(followed.around(20, 9), Some((at(20, 4), None)));
        followed.forget(&at(14, 2), 18);
        assert_eq!(followed.around(20, 2), Some((at(13, 2), Some(at(18, 3)))));
        followed.insert(at(15, 3));
        assert_eq!(followed.around(20, 2), Some((at(13, 2), Some(at(15, 3)))));
        // Blocks of another fork do not fit.
        for stranger in [at(14, 1), at(14, 4), at(15, 2)] {
            followed.insert(stranger);
            assert_eq!(followed.around(20, 2), Some((at(13, 2), Some(at(15, 3)))));
        }
    }

    #[test]
    fn finds_nothing_before_the_first_block() {
        let followed = Followed::default();
        assert_eq!(followed.around(9, 9), None);
        followed.push(at(5, 50), 60);
        assert_eq!(followed.around(9, 49), None);
    }

    #[test]
    fn bounds_blocks_and_results() {
        let followed = Followed::default();
        for number in 0..2 * MAX_BLOCKS as u64 {
            followed.push(at(number, 1), 60);
            followed.keep_found(at(number, 1).hash, 1, at(0, 0));
        }
        assert_eq!(followed.state().blocks.len(), MAX_BLOCKS);
        assert_eq!(followed.state().found.len(), MAX_RESULTS);
    }
}
