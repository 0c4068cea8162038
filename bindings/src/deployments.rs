//! Addresses of deployed banks.

use alloy_primitives::{Address, B256, ChainId, address, b256, hex};

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

/// The keccak256 of the code that creates the pinned bank: [`QUICKNET`] with [`MIN_LEAD`]. With it anybody can check
/// [`PINNED_BANK`] by EIP-1014.
pub const PINNED_INIT_CODE_HASH: B256 =
    b256!("d94907595d1800a49ca857c0e9ba6a43fc346f0bd575817f71b128369b3b948e");

/// The address of the pinned bank, the same on all public chains: the [`create2_address`](crate::create2_address) of
/// [`QUICKNET`] with [`MIN_LEAD`]. Does not tell whether the bank is deployed.
pub const PINNED_BANK: Address = address!("359ea3c78AC11707Ddd457a3d3169d20dc1bBCa7");

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

/// The verified banks on public chains, each deployed at the [`create2_address`](crate::create2_address) of its settings with the bytecode of
/// the release of this crate that lists the bank first. The address commits to the code, so no other contract can be
/// there.
///
/// Empty: no bank has been deployed on a public chain yet. [`default_deployment`] has the address of the
/// pinned bank.
pub const VERIFIED: &[Deployment] = &[];

/// Returns the [`VERIFIED`] bank on a chain, if there is one.
#[must_use]
pub fn verified_deployment(chain_id: ChainId) -> Option<&'static Deployment> {
    VERIFIED
        .iter()
        .find(|deployment| deployment.chain_id == chain_id)
}

/// Returns the pinned bank on a chain, deployed or not: [`QUICKNET`] with [`MIN_LEAD`], at [`PINNED_BANK`]. `None` for
/// [`LOCAL_CHAIN`], whose banks have a beacon of their own.
///
/// Does not check that the chain has the precompiles and the finality that these settings need, nor that the bank
/// exists: look for code at the address before sending money.
#[must_use]
pub fn default_deployment(chain_id: ChainId) -> Option<Deployment> {
    (chain_id != LOCAL_CHAIN).then_some(Deployment {
        chain_id,
        bank: PINNED_BANK,
        min_lead: MIN_LEAD,
        beacon: QUICKNET,
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;
    use crate::{CREATE2_DEPLOYER, CREATE2_SALT, create2_address, creation_code};

    #[test]
    fn pinned_bank_is_quicknet_with_the_pinned_lead() {
        let code = creation_code(2_400, &QUICKNET);
        assert_eq!(keccak256(&code), PINNED_INIT_CODE_HASH);
        let address = CREATE2_DEPLOYER.create2(CREATE2_SALT, PINNED_INIT_CODE_HASH);
        assert_eq!(address, PINNED_BANK);
        assert_eq!(create2_address(MIN_LEAD, &QUICKNET), PINNED_BANK);
    }

    #[test]
    fn creation_code_ends_with_the_settings_in_abi_form() {
        let code = creation_code(MIN_LEAD, &QUICKNET);
        let arguments = &code[crate::BYTECODE.len()..];
        let word = |number: u64| B256::left_padding_from(&number.to_be_bytes());
        let head = [
            word(2_400),
            word(128),
            word(1_692_803_367),
            word(3),
            word(192),
        ];
        assert_eq!(arguments[..160], head.concat());
        assert_eq!(arguments[160..], QUICKNET.public_key);
    }

    #[test]
    fn all_public_chains_have_the_pinned_bank() {
        for chain in [1, 8453, 42_161] {
            let deployment = default_deployment(chain).unwrap();
            assert_eq!((deployment.chain_id, deployment.bank), (chain, PINNED_BANK));
            assert_eq!(
                (deployment.min_lead, deployment.beacon),
                (MIN_LEAD, QUICKNET)
            );
        }
        assert_eq!(default_deployment(LOCAL_CHAIN), None);
    }

    #[test]
    fn address_depends_on_every_setting() {
        let mut other_key = QUICKNET;
        other_key.public_key[191] ^= 1;
        let mut other_genesis = QUICKNET;
        other_genesis.genesis += 1;
        let mut other_period = QUICKNET;
        other_period.period += 1;
        for (min_lead, beacon) in [
            (MIN_LEAD + 1, QUICKNET),
            (MIN_LEAD, other_key),
            (MIN_LEAD, other_genesis),
            (MIN_LEAD, other_period),
        ] {
            assert_ne!(create2_address(min_lead, &beacon), PINNED_BANK);
        }
    }
}
