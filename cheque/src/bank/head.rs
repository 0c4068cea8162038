//! Heads of a chain, and the rules by which a head is believed.

use crate::protocol::chain_profile::ChainProfile;
use alloy_primitives::B256;
use std::sync::{Arc, Mutex, PoisonError};

/// The newest block that a node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its time, seconds since 1970.
    pub time: u64,
    /// Its hash.
    pub hash: B256,
}

/// How many seconds of the chain's time a newer word does not count against what was seen before. After that it does, so
/// that a lie which was believed once does not stop everything for ever.
const MEMORY: u64 = 3600;

/// Why a head is not acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadCheckError {
    /// The node is behind or ahead of the clock, or the clock is wrong.
    #[error(
        "the newest block is of time {time}, the clock says {now}; they may differ by {limit} s"
    )]
    OffClock {
        /// Time of the newest block, seconds since 1970.
        time: u64,
        /// Time of the clock, seconds since 1970.
        now: u64,
        /// The largest difference, in seconds.
        limit: u64,
    },
    /// The chain is shorter than it was, by more than a reorganisation explains.
    #[error(
        "the newest block is {number} and was {before}: the node is behind, or follows another fork; more than {depth} blocks \
         are not taken back"
    )]
    WentBack {
        /// The newest block now.
        number: u64,
        /// The newest block before.
        before: u64,
        /// By how many blocks a chain may become shorter.
        depth: u64,
    },
    /// The chain has grown faster than its blocks come.
    #[error(
        "the newest block is {number} and was {before}, {seconds} s of the chain earlier: at most {most} more are plausible"
    )]
    TooFast {
        /// The newest block now.
        number: u64,
        /// The newest block before.
        before: u64,
        /// The seconds between their times.
        seconds: u64,
        /// How many blocks fit into them, with a margin.
        most: u64,
    },
    /// The chain was reorganised during the look, or different nodes answer under one URL.
    #[error("block {number} was replaced while it was looked at: look again")]
    Moved {
        /// The block that was the newest one.
        number: u64,
    },
    /// Blocks that counted as confirmed were replaced. What is not final is looked at anew.
    #[error(
        "up to {replaced} blocks were replaced since they were dealt with, and {confirmations} count as confirmed: ask for more \
         confirmations"
    )]
    Reorganised {
        /// How many blocks were replaced, at the most.
        replaced: u64,
        /// How deep a block has to be to count as confirmed, by the profile.
        confirmations: u64,
    },
}

/// The newest head that was believed, shared by the clones of a reader.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadMemory(Arc<Mutex<Option<Head>>>);

impl HeadMemory {
    pub(crate) fn newest(&self) -> Option<Head> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the highest one, so that a chain cannot be walked back step by step.
    pub(crate) fn remember(&self, head: Head) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let higher =
            |old: Head| head.number >= old.number || head.time >= old.time.saturating_add(MEMORY);
        if newest.is_none_or(higher) {
            *newest = Some(head);
        }
    }
}

/// Whether a head is as new as the clock says it should be.
pub(crate) fn check_clock(
    head: &Head,
    now: u64,
    profile: &ChainProfile,
) -> Result<(), HeadCheckError> {
    match profile.stale_after {
        Some(limit) if head.time.abs_diff(now) > limit => Err(HeadCheckError::OffClock {
            time: head.time,
            now,
            limit,
        }),
        _ => Ok(()),
    }
}

/// Whether a head can follow on the highest one before.
pub(crate) fn check_step(
    before: Option<&Head>,
    head: &Head,
    profile: &ChainProfile,
) -> Result<(), HeadCheckError> {
    let (Some(before), Some(_)) = (before, profile.stale_after) else {
        return Ok(());
    };
    let depth = profile.confirmations;
    let forgotten = head.time >= before.time.saturating_add(MEMORY);
    if before.number.saturating_sub(head.number) > depth && !forgotten {
        return Err(HeadCheckError::WentBack {
            number: head.number,
            before: before.number,
            depth,
        });
    }
    let seconds = head.time.saturating_sub(before.time);
    // Twice as many as there should be: block times get shorter by upgrades, and not by much at once.
    let most = (seconds / profile.block_time.max(1))
        .saturating_mul(2)
        .saturating_add(depth);
    if head.number.saturating_sub(before.number) > most {
        return Err(HeadCheckError::TooFast {
            number: head.number,
            before: before.number,
            seconds,
            most,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64, time: u64) -> Head {
        Head {
            number,
            time,
            hash: B256::ZERO,
        }
    }

    fn step(before: Head, head: Head) -> Result<(), HeadCheckError> {
        check_step(Some(&before), &head, ChainProfile::of(1).unwrap())
    }

    const SEEN: Head = Head {
        number: 1_000,
        time: 100_000,
        hash: B256::ZERO,
    };

    #[test]
    fn a_head_may_go_back_by_the_confirmations_and_no_further() {
        assert_eq!(step(SEEN, at(988, SEEN.time)), Ok(()));
        let back = HeadCheckError::WentBack {
            number: 987,
            before: 1_000,
            depth: 12,
        };
        assert_eq!(step(SEEN, at(987, SEEN.time + 12)), Err(back));
        assert_eq!(step(SEEN, at(987, SEEN.time + MEMORY - 1)), Err(back));
        assert_eq!(step(SEEN, at(987, SEEN.time + MEMORY)), Ok(()));
    }

    #[test]
    fn a_chain_grows_at_twice_its_pace_at_the_most() {
        // Ten blocks' time, doubled, and twelve.
        let later = SEEN.time + 120;
        assert_eq!(step(SEEN, at(1_032, later)), Ok(()));
        let fast = HeadCheckError::TooFast {
            number: 1_033,
            before: 1_000,
            seconds: 120,
            most: 32,
        };
        assert_eq!(step(SEEN, at(1_033, later)), Err(fast));
        // Whatever the clock has done meanwhile.
        assert!(step(SEEN, at(u64::MAX, u64::MAX)).is_err());
        assert!(step(SEEN, at(1_013, 0)).is_err());
        assert_eq!(step(SEEN, at(1_012, 0)), Ok(()));
    }

    #[test]
    fn a_chain_without_a_limit_of_staleness_is_believed() {
        let local = ChainProfile::of(31_337).unwrap();
        assert_eq!(check_step(Some(&SEEN), &at(0, 0), local), Ok(()));
        assert_eq!(check_clock(&at(0, 0), 1_000_000, local), Ok(()));
    }

    #[test]
    fn a_head_is_as_new_as_the_clock_within_the_limit_on_both_sides() {
        let mainnet = ChainProfile::of(1).unwrap();
        for (time, fits) in [(939, false), (940, true), (1_060, true), (1_061, false)] {
            let checked = check_clock(&at(1, time), 1_000, mainnet);
            assert_eq!(checked.is_ok(), fits, "{time}");
        }
    }

    #[test]
    fn the_highest_head_is_remembered_until_it_is_old() {
        let memory = HeadMemory::default();
        for (head, kept) in [
            (at(10, 100), at(10, 100)),
            (at(9, 200), at(10, 100)),
            (at(12, 90), at(12, 90)),
            (at(3, 90 + MEMORY - 1), at(12, 90)),
            (at(3, 90 + MEMORY), at(3, 90 + MEMORY)),
        ] {
            memory.remember(head);
            assert_eq!(memory.newest(), Some(kept));
        }
    }
}
