//! Heads of a chain, and the rules for a head to act upon.

use crate::protocol::chain_profile::ChainProfile;
use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider},
    transports::TransportResult,
};
use alloy_primitives::{B256, U64};
use serde::Deserialize;

/// A node's newest block, or an older block by number, time and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number.
    pub number: u64,
    /// The time, in seconds since 1970.
    pub time: u64,
    /// The hash.
    pub hash: B256,
}

/// The newest final block, as of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalBlock {
    /// The number.
    pub number: u64,
    /// The time, in seconds since 1970.
    pub time: u64,
    /// The hash.
    pub hash: B256,
    /// True if the node named the block (tag `finalized`). Else the block is as old as the profile's `finality` demands,
    /// and its age tells nothing about the chain.
    pub tagged: bool,
}

impl FinalBlock {
    pub(super) const fn new(block: &Head, tagged: bool) -> Self {
        Self {
            number: block.number,
            time: block.time,
            hash: block.hash,
            tagged,
        }
    }
}

/// The fields of a block that count here. Nodes leave out or null others, such as `nonce` and `uncles`.
#[derive(Debug, Deserialize)]
pub(super) struct BlockFields {
    number: U64,
    timestamp: U64,
    hash: B256,
}

impl From<BlockFields> for Head {
    fn from(block: BlockFields) -> Self {
        Self {
            number: block.number.to(),
            time: block.timestamp.to(),
            hash: block.hash,
        }
    }
}

/// Reads number, time and hash of a block, and nothing else of it: nodes differ in other fields. `None` if the node has no
/// block of this number or tag. Does not check the block; [`Reader::checked_head`](crate::bank::Reader::checked_head) does.
///
/// # Errors
///
/// If the node fails or refuses the request.
pub async fn read_block(
    provider: &DynProvider,
    block: BlockNumberOrTag,
) -> TransportResult<Option<Head>> {
    let asked = provider.raw_request("eth_getBlockByNumber".into(), (block, false));
    let found: Option<BlockFields> = asked.await?;
    Ok(found.map(Head::from))
}

/// How long a head constrains later heads, in seconds of the own clock. What a node said once stops nothing for longer.
pub(super) const MEMORY: u64 = 3_600;

/// How much older than the newest head a lower head may be, beyond the time to confirm, in seconds.
const MAX_BACK: u64 = 60;

/// The reason why a head is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadCheckError {
    /// The newest block is in the future: the clock is slow, or the node wrong.
    #[error(
        "the newest block has time {time}, more than {limit} s ahead of this machine's clock at {clock}; set the clock, or \
         use another node"
    )]
    Ahead {
        /// The time of the newest block, in seconds since 1970.
        time: u64,
        /// This machine's clock, in seconds since 1970.
        clock: u64,
        /// The largest lead, in seconds.
        limit: u64,
    },
    /// The newest block is old: the node is behind, the chain makes no blocks, or the clock is fast.
    #[error(
        "the newest block has time {time}, more than {limit} s before this machine's clock at {clock}; check node and clock, \
         or wait for a block"
    )]
    Behind {
        /// The time of the newest block, in seconds since 1970.
        time: u64,
        /// This machine's clock, in seconds since 1970.
        clock: u64,
        /// The largest age, in seconds.
        limit: u64,
    },
    /// The chain has become shorter, by more than a reorganisation explains.
    #[error(
        "the newest block is {number}, more than {limit} s older than block {before} seen earlier: the node is behind or \
         follows another fork; wait, or use another node"
    )]
    WentBack {
        /// The number of the newest block now.
        number: u64,
        /// The number of the newest block before.
        before: u64,
        /// The largest difference of the times of the two blocks, in seconds.
        limit: u64,
    },
    /// The chain was reorganised between two requests, or several nodes answer under the same URL.
    #[error("block {number} was replaced while the chain was read; retry")]
    Moved {
        /// The number of the block, the newest at the first request.
        number: u64,
    },
    /// A final block was replaced. Followers look again at all that they had settled since.
    #[error(
        "blocks from {from} on were replaced, although time {final_time} counted as final; everything settled since time \
         {since_time} is looked at again"
    )]
    Reorganised {
        /// The lowest block that may have been replaced.
        from: u64,
        /// The time of the last block known to be in both chains, in seconds since 1970; zero if none is known.
        since_time: u64,
        /// The time of the newest block that had counted as final.
        final_time: u64,
    },
}

/// Checks the head's time against the clock, by the profile's bounds.
pub(crate) fn check_clock(
    head: &Head,
    clock: u64,
    profile: &ChainProfile,
) -> Result<(), HeadCheckError> {
    let Some(bounds) = profile.freshness else {
        return Ok(());
    };
    let time = head.time;
    if time.saturating_sub(clock) > bounds.max_ahead {
        let limit = bounds.max_ahead;
        return Err(HeadCheckError::Ahead { time, clock, limit });
    }
    if clock.saturating_sub(time) > bounds.max_head_age {
        let limit = bounds.max_head_age;
        return Err(HeadCheckError::Behind { time, clock, limit });
    }
    Ok(())
}

/// Checks if a head can follow the newest head of before. Any higher number can: chains pause, and jump.
///
/// `before` was on the clock when it was remembered, so its time tells since when it is remembered.
pub(super) fn check_back(
    before: Option<&Head>,
    head: &Head,
    clock: u64,
    profile: &ChainProfile,
) -> Result<(), HeadCheckError> {
    let (Some(before), Some(_)) = (before, profile.freshness) else {
        return Ok(());
    };
    let limit = profile.confirm.saturating_add(MAX_BACK);
    let went_back = head.number < before.number && before.time.saturating_sub(head.time) > limit;
    if went_back && !is_expired(before, clock) {
        return Err(HeadCheckError::WentBack {
            number: head.number,
            before: before.number,
            limit,
        });
    }
    Ok(())
}

/// True if a node at `head` may not have come to `block` yet, which another answer has shown: the block is above the head,
/// and not much later.
pub(crate) fn is_behind(head: &Head, block: (u64, u64), profile: &ChainProfile) -> bool {
    let (number, time) = block;
    let limit = profile.confirm.saturating_add(MAX_BACK);
    // Times do not decrease along a chain, so a head that is later than a higher block is of another fork.
    number > head.number && time >= head.time && time - head.time <= limit
}

/// True if a remembered head no longer constrains others.
pub(super) const fn is_expired(head: &Head, clock: u64) -> bool {
    clock.abs_diff(head.time) >= MEMORY
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

    const SEEN: Head = Head {
        number: 1_000,
        time: 100_000,
        hash: B256::ZERO,
    };

    fn step(head: Head, clock: u64) -> Result<(), HeadCheckError> {
        check_back(Some(&SEEN), &head, clock, ChainProfile::of(1).unwrap())
    }

    #[test]
    fn limits_step_back_by_the_times_of_blocks() {
        let clock = SEEN.time;
        assert_eq!(step(at(999, SEEN.time - 204), clock), Ok(()));
        let back = HeadCheckError::WentBack {
            number: 999,
            before: 1_000,
            limit: 204,
        };
        assert_eq!(step(at(999, SEEN.time - 205), clock), Err(back));
        assert_eq!(step(at(1_000, SEEN.time - 205), clock), Ok(()));
    }

    #[test]
    fn tells_a_node_that_is_behind_from_another_fork() {
        let mainnet = ChainProfile::of(1).unwrap();
        let behind = |number, time| is_behind(&SEEN, (number, time), mainnet);
        assert!(behind(1_001, SEEN.time) && behind(1_001, SEEN.time + 204));
        assert!(!behind(1_001, SEEN.time - 1) && !behind(1_001, SEEN.time + 205));
        assert!(!behind(1_000, SEEN.time));
    }

    #[test]
    fn accepts_any_growth() {
        for head in [
            at(1_001, SEEN.time),
            at(1_005, SEEN.time),
            at(u64::MAX, SEEN.time + 1),
            at(1_001, SEEN.time + 3_600),
        ] {
            assert_eq!(step(head, head.time), Ok(()), "{head:?}");
        }
    }

    #[test]
    fn forgets_a_head_after_an_hour_of_the_own_clock() {
        let low = at(1, SEEN.time - 300);
        assert!(step(low, SEEN.time + MEMORY - 1).is_err());
        assert_eq!(step(low, SEEN.time + MEMORY), Ok(()));
        // The clock was fast when the head was remembered, and was set back.
        assert!(step(low, SEEN.time - MEMORY + 1).is_err());
        assert_eq!(step(low, SEEN.time - MEMORY), Ok(()));
    }

    #[test]
    fn accepts_any_head_without_bounds_on_the_clocks() {
        let local = ChainProfile::of(31_337).unwrap();
        assert_eq!(check_back(Some(&SEEN), &at(0, 0), SEEN.time, local), Ok(()));
        assert_eq!(check_clock(&at(0, 0), 1_000_000, local), Ok(()));
    }

    #[test]
    fn limits_distance_to_clock_to_the_second() {
        let mainnet = ChainProfile::of(1).unwrap();
        let (clock, time) = (1_000, 1_011);
        let ahead = HeadCheckError::Ahead {
            time,
            clock,
            limit: 10,
        };
        assert_eq!(check_clock(&at(1, time), clock, mainnet), Err(ahead));
        let time = 939;
        let behind = HeadCheckError::Behind {
            time,
            clock,
            limit: 60,
        };
        assert_eq!(check_clock(&at(1, time), clock, mainnet), Err(behind));
        for time in [940, 1_000, 1_010] {
            assert_eq!(check_clock(&at(1, time), clock, mainnet), Ok(()));
        }
    }
}
