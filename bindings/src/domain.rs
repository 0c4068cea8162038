//! The EIP-712 domain of a bank.

use std::borrow::Cow;

use alloy_primitives::{Address, ChainId, U256};
use alloy_sol_types::Eip712Domain;

/// The `name` of every bank's EIP-712 domain.
pub const NAME: &str = "ChequeBank";

/// The `version` of every bank's EIP-712 domain.
pub const VERSION: &str = "1";

/// Returns the EIP-712 domain of the bank at address `bank` on chain `chain_id`.
///
/// Signatures (cheques, Open, Consent, Withdraw, Fund) are made and checked under the current chain id, deposit ids
/// under the chain id as of the bank's deployment. The two differ only after a chain split that changed the id.
///
/// Does not check that a bank exists at this address.
#[must_use]
pub const fn domain(chain_id: ChainId, bank: Address) -> Eip712Domain {
    Eip712Domain::new(
        Some(Cow::Borrowed(NAME)),
        Some(Cow::Borrowed(VERSION)),
        Some(U256::from_limbs([chain_id, 0, 0, 0])),
        Some(bank),
        None,
    )
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, keccak256};
    use alloy_sol_types::SolValue;

    use super::*;

    #[test]
    fn domain_separator_is_the_hash_of_name_version_chain_and_bank() {
        let bank = address!("00112233445566778899aabbccddeeff00112233");
        let by_hand = keccak256(
            (
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
                ),
                keccak256("ChequeBank"),
                keccak256("1"),
                U256::from(560_048),
                bank,
            )
                .abi_encode(),
        );
        assert_eq!(domain(560_048, bank).separator(), by_hand);
    }
}
