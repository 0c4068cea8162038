//! The chains that are supported, and what is different about each.

use cheque_bindings::SeedSource;

/// What payers and payees have to know about a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainProfile {
    /// The EIP-155 id.
    pub chain_id: u64,
    /// What people call it.
    pub name: &'static str,
    /// Seconds between blocks.
    pub block_time: u64,
    /// Draw blocks are multiples of this, so that one recorded seed serves everybody.
    pub grid: u64,
    /// How deep `open` must be before a payee counts on it; 1 = mined.
    pub confirmations: u64,
    /// How deep a block must be so that it is never replaced any more. Ethereum finalizes a block 64 to 95 slots after it;
    /// a block of an OP-stack chain is final some time after the layer-1 block that holds it, for which half an hour is
    /// usual.
    pub final_depth: u64,
    /// Payees take no payment within this many blocks of the draw.
    pub cutoff: u64,
    /// The `minLead` of the bank that the tools deploy, in blocks.
    pub min_lead: u64,
    /// The shortest redemption window a payee accepts, in blocks: 24 hours where the chain remembers block hashes for
    /// that long, else 4 hours.
    pub min_window: u64,
    /// How old the view of the chain may be when a payment is judged, in seconds. `None`: not checked.
    pub stale_after: Option<u64>,
    /// Where a layer 2 takes its randomness from an older block of its layer 1: how long before a block's time its seed
    /// may be public, in seconds. Zero elsewhere.
    pub early_seed: u64,
    /// Where a bank on this chain takes its seeds from.
    pub seed_source: SeedSource,
}

/// A block of an OP-stack chain copies its `mixHash` from a layer-1 block that may be older by the largest sequencer
/// drift (1800 s); the rest are the 128 layer-1 blocks that a payee keeps from a draw there (1536 s).
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

/// A chain that is not in [`PROFILES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "chain {0} is not supported: a draw is only as fair as the chain's randomness, and how this chain makes its \
     PREVRANDAO and when it becomes public has not been examined"
)]
pub struct UnsupportedChain(pub u64);

impl ChainProfile {
    /// The profile of a chain.
    pub fn of(chain_id: u64) -> Result<&'static Self, UnsupportedChain> {
        PROFILES
            .iter()
            .find(|profile| profile.chain_id == chain_id)
            .ok_or(UnsupportedChain(chain_id))
    }

    /// The first block of the chain's grid that is not before `block`.
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
    fn the_shortest_window_fits_into_what_the_chain_remembers() {
        for profile in PROFILES {
            assert!(profile.min_window <= HISTORY_WINDOW, "{}", profile.name);
        }
    }

    #[test]
    fn what_is_final_is_confirmed_and_can_still_be_redeemed() {
        for profile in PROFILES {
            assert!(profile.confirmations < profile.final_depth);
            assert!(profile.final_depth < HISTORY_WINDOW, "{}", profile.name);
        }
    }

    #[test]
    fn draw_blocks_round_up_to_the_grid() {
        let mainnet = ChainProfile::of(1).unwrap();
        assert_eq!(mainnet.on_grid(600), Some(600));
        assert_eq!(mainnet.on_grid(601), Some(900));
        assert_eq!(mainnet.on_grid(u64::MAX), None);
    }
}
