//! Addresses of deployed banks.

use alloy_primitives::{Address, ChainId, hex};

use crate::create2_address;

/// The chain id of a local development node (anvil, Hardhat).
pub const LOCAL_CHAIN: ChainId = 31_337;

/// The least time between opening a deposit and its draw at the pinned banks, in seconds: the slowest finality of the
/// chains that they are for.
pub const MIN_LEAD: u64 = 2_400;

/// The settings of a bank's beacon, as its constructor takes them. Does not check them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BeaconParameters {
    /// The beacon's public key, a point of G2 uncompressed: x.c0, x.c1, y.c0, y.c1, 48 bytes each, big-endian.
    pub public_key: [u8; 192],
    /// The time of round 1, in seconds since 1970.
    pub genesis: u64,
    /// The seconds from one round to the next.
    pub period: u64,
}

/// The public beacon of the League of Entropy, drand's network `quicknet`, with chain hash
/// `52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971`.
pub const QUICKNET: BeaconParameters = BeaconParameters {
    public_key: hex!(
        "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
        "03cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
        "0e5db2b6bfbb01c867749cadffca88b36c24f3012ba09fc4d3022c5c37dce0f977d3adb5d183c7477c442b1f04515273"
        "01a714f2edb74119a2f2b0d5a7c75ba902d163700a61bc224ededd8e63aef7be1aaf8e93d7a9718b047ccddb3eb5d68b"
    ),
    genesis: 1_692_803_367,
    period: 3,
};

/// A bank on a chain, and the settings it was or will be deployed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deployment {
    /// The chain's id.
    pub chain_id: ChainId,
    /// The bank's address.
    pub bank: Address,
    /// The least time between opening a deposit and its draw, in seconds.
    pub min_lead: u64,
    /// The source of the randomness of draws.
    pub beacon: BeaconParameters,
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

/// Returns the pinned bank on a chain, deployed or not: [`QUICKNET`] with [`MIN_LEAD`]. Its address is computed from the
/// bytecode, and so the same on all public chains. `None` for [`LOCAL_CHAIN`], whose banks have a beacon of their own.
///
/// Does not check that the chain has the precompiles and the finality that these settings need, nor that the bank
/// exists: look for code at the address before sending money.
#[must_use]
pub fn default_deployment(chain_id: ChainId) -> Option<Deployment> {
    (chain_id != LOCAL_CHAIN).then(|| Deployment {
        chain_id,
        bank: create2_address(MIN_LEAD, &QUICKNET),
        min_lead: MIN_LEAD,
        beacon: QUICKNET,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_bank_has_one_address_on_all_public_chains() {
        let mainnet = default_deployment(1).unwrap();
        assert_eq!(mainnet.bank, create2_address(2_400, &QUICKNET));
        assert_eq!(mainnet.bank, default_deployment(8453).unwrap().bank);
        assert_eq!(default_deployment(LOCAL_CHAIN), None);
    }

    #[test]
    fn address_depends_on_every_setting() {
        let bank = create2_address(MIN_LEAD, &QUICKNET);
        let mut other_key = QUICKNET;
        other_key.public_key[191] ^= 1;
        for (min_lead, beacon) in [
            (MIN_LEAD + 1, QUICKNET),
            (MIN_LEAD, other_key),
            (
                MIN_LEAD,
                BeaconParameters {
                    genesis: 1,
                    ..QUICKNET
                },
            ),
            (
                MIN_LEAD,
                BeaconParameters {
                    period: 1,
                    ..QUICKNET
                },
            ),
        ] {
            assert_ne!(create2_address(min_lead, &beacon), bank);
        }
    }
}
