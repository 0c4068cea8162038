//! Addresses of deployed banks.

use alloy_primitives::{Address, ChainId};

use crate::{SeedSource, create2_address};

/// The chain id of a local development node (anvil, Hardhat).
pub const LOCAL_CHAIN: ChainId = 31_337;

/// The least lead of a bank by default, in blocks.
pub const DEFAULT_MIN_LEAD: u64 = 128;

/// The least lead of a bank on [`LOCAL_CHAIN`] by default, in blocks.
pub const LOCAL_MIN_LEAD: u64 = 4;

/// A bank on a chain, and the settings it was or will be deployed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deployment {
    /// The chain's id.
    pub chain_id: ChainId,
    /// The bank's address.
    pub bank: Address,
    /// The least number of blocks between opening a deposit and its draw.
    pub min_lead: u64,
    /// The source of the randomness of draws.
    pub seed_source: SeedSource,
}

/// The verified banks on public chains, each deployed at the [`create2_address`] of its settings with the bytecode of
/// the release of this crate that lists the bank first. The address commits to the code, so no other contract can be
/// there.
///
/// Empty: no bank has been deployed on a public chain yet. [`default_deployment`] computes the address of a future
/// bank.
pub const VERIFIED: &[Deployment] = &[];

/// Returns the [`VERIFIED`] bank on a chain, if there is one.
#[must_use]
pub fn verified_deployment(chain_id: ChainId) -> Option<&'static Deployment> {
    VERIFIED
        .iter()
        .find(|deployment| deployment.chain_id == chain_id)
}

/// Returns the bank with default settings for this chain, deployed or not. Its address is computed from the bytecode,
/// and so the same on all public chains.
///
/// Does not check that the chain has the randomness and the block times that these settings suit, nor that the bank
/// exists: look for code at the address before sending money.
#[must_use]
pub fn default_deployment(chain_id: ChainId) -> Deployment {
    let min_lead = if chain_id == LOCAL_CHAIN {
        LOCAL_MIN_LEAD
    } else {
        DEFAULT_MIN_LEAD
    };
    let seed_source = SeedSource::PrevRandao;
    Deployment {
        chain_id,
        bank: create2_address(min_lead, seed_source),
        min_lead,
        seed_source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_bank_has_one_address_on_all_public_chains() {
        let mainnet = default_deployment(1);
        assert_eq!(mainnet.bank, create2_address(128, SeedSource::PrevRandao));
        assert_eq!(mainnet.bank, default_deployment(8453).bank);

        let local = default_deployment(LOCAL_CHAIN);
        assert_eq!(local.bank, create2_address(4, SeedSource::PrevRandao));
        assert_ne!(local.bank, mainnet.bank);
    }
}
