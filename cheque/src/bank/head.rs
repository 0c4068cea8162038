//! Heads of a chain, and the rules for a plausible head.

use crate::protocol::chain_profile::ChainProfile;
use alloy_primitives::B256;
use std::sync::{Arc, Mutex, PoisonError};

/// A node's newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number.
    pub number: u64,
    /// The time, in seconds since 1970.
    pub time: u64,
    /// The hash.
    pub hash: B256,
}

/// How long, in seconds of block time, the highest head seen constrains later heads. It then expires, so a bogus head cannot
/// block the client forever.
const MEMORY: u64 = 3600;

/// The reason why a head is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadCheckError {
    /// The node is behind or ahead of the clock, or the clock is wrong.
    #[error(
        "the newest block is of time {time}, but the clock says {now}, more than {limit} s apart; check the clock and the \
         node"
    )]
    OffClock {
        /// The time of the newest block, in seconds since 1970.
        time: u64,
        /// The time of the clock, in seconds since 1970.
        now: u64,
        /// The maximum difference, in seconds.
        limit: u64,
    },
    /// The chain has become shorter, by more than a reorganisation explains.
    #[error(
        "the newest block is {number} and was {before}, more than {depth} blocks higher: the node is behind or follows \
         another fork; wait, or use another node"
    )]
    WentBack {
        /// The number of the newest block now.
        number: u64,
        /// The number of the newest block before.
        before: u64,
        /// The maximum number of blocks by which a chain may become shorter.
        depth: u64,
    },
    /// The chain has grown faster than its block time allows.
    #[error(
        "the newest block is {number} and was {before}, {seconds} s of block time earlier, but at most {max} more blocks are \
         plausible; use another node"
    )]
    TooFast {
        /// The number of the newest block now.
        number: u64,
        /// The number of the newest block before.
        before: u64,
        /// The seconds between the times of the two blocks.
        seconds: u64,
        /// The maximum number of new blocks in that time, with a margin.
        max: u64,
    },
    /// The chain was reorganised between two requests, or several nodes answer under the same URL.
    #[error("block {number} was replaced while the chain was read; retry")]
    Moved {
        /// The number of the block, the newest at the first request.
        number: u64,
    },
    /// Confirmed blocks were replaced. Followers read everything again that is not yet final.
    #[error(
        "up to {replaced} processed blocks were replaced, but {confirmations} confirmations are required; require more \
         confirmations"
    )]
    Reorganised {
        /// The maximum number of replaced blocks.
        replaced: u64,
        /// The depth at which a block counts as confirmed, by the profile.
        confirmations: u64,
    },
}

/// The highest plausible head so far, shared by the clones of a reader.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadMemory(Arc<Mutex<Option<Head>>>);

impl HeadMemory {
    pub(crate) fn newest(&self) -> Option<Head> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the higher head, so that a node cannot lower it step by step. An expired head is replaced by any other.
    pub(crate) fn remember(&self, head: Head) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let higher =
            |old: Head| head.number >= old.number || head.time >= old.time.saturating_add(MEMORY);
        if newest.is_none_or(higher) {
            *newest = Some(head);
        }
    }
}

/// Checks the head's time against the clock, by the profile's limit of staleness.
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

/// Checks if a head can follow the highest head seen before.
pub(crate) fn check_step(
    before: Option<&Head>,
    head: &Head,
    profile: &ChainProfile,
) -> Result<(), HeadCheckError> {
    let (Some(before), Some(_)) = (before, profile.stale_after) else {
        return Ok(());
    };
    let depth = profile.confirmations;
    let expired = head.time >= before.time.saturating_add(MEMORY);
    if before.number.saturating_sub(head.number) > depth && !expired {
        return Err(HeadCheckError::WentBack {
            number: head.number,
            before: before.number,
            depth,
        });
    }
    let seconds = head.time.saturating_sub(before.time);
    // Twice the expected number: upgrades shorten block times, but not by much at once.
    let max = (seconds / profile.block_time.max(1))
        .saturating_mul(2)
        .saturating_add(depth);
    if head.number.saturating_sub(before.number) > max {
        return Err(HeadCheckError::TooFast {
            number: head.number,
            before: before.number,
            seconds,
            max,
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
    fn limits_step_back_to_confirmations() {
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
    fn limits_growth_to_twice_the_block_rate() {
        // Twice the ten blocks that fit, and twelve confirmations.
        let later = SEEN.time + 120;
        assert_eq!(step(SEEN, at(1_032, later)), Ok(()));
        let fast = HeadCheckError::TooFast {
            number: 1_033,
            before: 1_000,
            seconds: 120,
            max: 32,
        };
        assert_eq!(step(SEEN, at(1_033, later)), Err(fast));
        // A block's time of its own choice does not help a lying node.
        assert!(step(SEEN, at(u64::MAX, u64::MAX)).is_err());
        assert!(step(SEEN, at(1_013, 0)).is_err());
        assert_eq!(step(SEEN, at(1_012, 0)), Ok(()));
    }

    #[test]
    fn accepts_any_head_without_staleness_limit() {
        let local = ChainProfile::of(31_337).unwrap();
        assert_eq!(check_step(Some(&SEEN), &at(0, 0), local), Ok(()));
        assert_eq!(check_clock(&at(0, 0), 1_000_000, local), Ok(()));
    }

    #[test]
    fn limits_distance_to_clock_on_both_sides() {
        let mainnet = ChainProfile::of(1).unwrap();
        for (time, fits) in [(939, false), (940, true), (1_060, true), (1_061, false)] {
            let checked = check_clock(&at(1, time), 1_000, mainnet);
            assert_eq!(checked.is_ok(), fits, "{time}");
        }
    }

    #[test]
    fn keeps_highest_head_until_it_expires() {
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
