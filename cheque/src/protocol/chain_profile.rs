//! The supported chains, and the properties in which they differ.

use cheque_bindings::SeedSource;

/// The properties of a chain that payers and payees rely on. Does not check them against the chain.
///
/// Plain data, exhaustive by design. Fields may be added, so derive a profile of your own from a similar chain's:
///
/// ```
/// use cheque::ChainProfile;
///
/// let patient = ChainProfile { confirmations: 30, ..*ChainProfile::of(1)? };
/// # assert_eq!(patient.cutoff, 128);
/// # Ok::<(), cheque::UnsupportedChain>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainProfile {
    /// The EIP-155 id.
    pub chain_id: u64,
    /// The usual name.
    pub name: &'static str,
    /// Seconds between blocks.
    pub block_time: u64,
    /// The divisor of draw blocks, in blocks, so that a recorded seed serves many deposits.
    pub grid: u64,
    /// The depth of `open` from which a payee counts on it, in blocks; 1 = mined.
    pub confirmations: u64,
    /// The depth from which a block is never replaced, in blocks. Ethereum finalizes a block 64 to 95 slots after it. A
    /// block of an OP-stack chain is final some time after the layer-1 block that holds it, usually within half an
    /// hour.
    pub final_depth: u64,
    /// The number of blocks before the draw in which payees take no payment.
    pub cutoff: u64,
    /// The `minLead` of banks that the tools deploy, in blocks.
    pub min_lead: u64,
    /// The shortest redemption window that a payee accepts, in blocks: 24 hours on chains that remember block hashes so
    /// long, else 4 hours.
    pub min_window: u64,
    /// The largest difference between the head's time and the clock at a judgement, in seconds. `None`: not checked.
    pub stale_after: Option<u64>,
    /// The time by which a block's seed may be public before the block, in seconds. Positive on a layer 2 with
    /// randomness from older blocks of its layer 1, zero elsewhere.
    pub early_seed: u64,
    /// The source of seeds of banks on this chain.
    pub seed_source: SeedSource,
}

/// A block of an OP-stack chain copies its `mixHash` from a layer-1 block that may be older by the largest sequencer
/// drift (1800 s). The second term is a payee's cutoff on layer 1: 128 blocks of 12 s (1536 s).
const OP_STACK_EARLY_SEED: u64 = 1800 + 128 * 12;

const L1: ChainProfile = ChainProfile {
    chain_id: 1,
    name: "mainnet",
    block_time: 12,
    grid: 300,
    confirmations: 12,
    final_depth: 96,
    cutoff: 128,
    min_lead: 128,
    min_window: 24 * 3600 / 12,
    stale_after: Some(60),
    early_seed: 0,
    seed_source: SeedSource::PrevRandao,
};

const OP_STACK: ChainProfile = ChainProfile {
    chain_id: 10,
    name: "op-mainnet",
    block_time: 2,
    confirmations: 30,
    final_depth: 1800 / 2,
    min_window: 4 * 3600 / 2,
    early_seed: OP_STACK_EARLY_SEED,
    ..L1
};

const LOCAL: ChainProfile = ChainProfile {
    chain_id: 31_337,
    name: "local",
    block_time: 1,
    grid: 1,
    confirmations: 1,
    final_depth: 64,
    cutoff: 8,
    min_lead: 4,
    min_window: 8,
    stale_after: None,
    ..L1
};

/// All supported chains.
pub const PROFILES: &[ChainProfile] = &[
    L1,
    chain(L1, 11_155_111, "sepolia"),
    chain(L1, 560_048, "hoodi"),
    OP_STACK,
    chain(OP_STACK, 11_155_420, "op-sepolia"),
    chain(OP_STACK, 8453, "base"),
    chain(OP_STACK, 84_532, "base-sepolia"),
    LOCAL,
];

const fn chain(like: ChainProfile, chain_id: u64, name: &'static str) -> ChainProfile {
    ChainProfile {
        chain_id,
        name,
        ..like
    }
}

/// A chain without a profile in [`PROFILES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "chain {0} is not supported: a draw is only as fair as the chain's randomness, and nobody has examined how this \
     chain makes its PREVRANDAO and when it becomes public"
)]
pub struct UnsupportedChain(pub u64);

impl ChainProfile {
    /// Returns the profile of a chain by its EIP-155 id.
    ///
    /// # Errors
    ///
    /// [`UnsupportedChain`] if the chain has no profile.
    pub fn of(chain_id: u64) -> Result<&'static Self, UnsupportedChain> {
        PROFILES
            .iter()
            .find(|profile| profile.chain_id == chain_id)
            .ok_or(UnsupportedChain(chain_id))
    }

    /// Returns the first multiple of the grid at or after `block`; `None` above `u64::MAX`.
    pub fn on_grid(&self, block: u64) -> Option<u64> {
        block.checked_next_multiple_of(self.grid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::draw::HISTORY_WINDOW;

    #[test]
    fn knows_exactly_the_supported_chains() {
        for id in [1, 11_155_111, 560_048, 10, 11_155_420, 8453, 84_532, 31_337] {
            assert_eq!(ChainProfile::of(id).map(|profile| profile.chain_id), Ok(id));
        }
        assert_eq!(PROFILES.len(), 8);
        assert_eq!(ChainProfile::of(42_161), Err(UnsupportedChain(42_161)));
    }

    #[test]
    fn fits_shortest_windows_into_the_chains_memory() {
        for profile in PROFILES {
            assert!(profile.min_window <= HISTORY_WINDOW, "{}", profile.name);
        }
    }

    #[test]
    fn orders_confirmed_final_and_redeemable_depths() {
        for profile in PROFILES {
            assert!(profile.confirmations < profile.final_depth);
            assert!(profile.final_depth < HISTORY_WINDOW, "{}", profile.name);
        }
    }

    #[test]
    fn rounds_draw_blocks_up_to_the_grid() {
        let mainnet = ChainProfile::of(1).unwrap();
        assert_eq!(mainnet.on_grid(600), Some(600));
        assert_eq!(mainnet.on_grid(601), Some(900));
        assert_eq!(mainnet.on_grid(u64::MAX), None);
    }
}
