//! The contract's code, and the address it is deployed at.

use alloy_primitives::{Address, B256, Bytes, address, hex};
use alloy_sol_types::SolValue;

use crate::BeaconParameters;

/// The generated file: one line, `0x` and the hex digits. `make bytecode` writes it from the contract's sources.
const HEX: &[u8] = include_str!("../bytecode/DrandBank.hex")
    .trim_ascii()
    .as_bytes();

/// `HEX` in binary. A character other than a hex digit is an error at compile time.
static CODE: [u8; HEX.len() / 2 - 1] = match hex::const_decode_to_array(HEX) {
    Ok(code) => code,
    Err(_) => panic!("bindings/bytecode/DrandBank.hex is not hexadecimal; run `make bytecode`"),
};

/// The creation bytecode of `DrandBank` as the release profile compiles it, without constructor arguments.
pub static BYTECODE: Bytes = Bytes::from_static(&CODE);

/// The deterministic deployment proxy: deploys with CREATE2, given a salt (32 bytes) followed by creation code. Has
/// this address on every chain that a bank supports, and comes with anvil.
/// Source: <https://github.com/Arachnid/deterministic-deployment-proxy>.
pub const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// The CREATE2 salt of every bank.
pub const CREATE2_SALT: B256 = B256::ZERO;

/// Returns the code that creates a bank: [`BYTECODE`] and the constructor's arguments, ABI-encoded.
///
/// `min_lead` is the least number of seconds between opening a deposit and its draw. Does not check the settings:
/// creation reverts if the constructor refuses them, a lead of 0 for example, or if the chain cannot verify the beacon.
#[must_use]
pub fn creation_code(min_lead: u64, beacon: &BeaconParameters) -> Bytes {
    let key = Bytes::copy_from_slice(&beacon.public_key);
    let arguments = (min_lead, key, beacon.genesis, beacon.period).abi_encode_params();
    [BYTECODE.as_ref(), &arguments].concat().into()
}

/// Returns the input for [`CREATE2_DEPLOYER`] to deploy a bank at [`create2_address`]: [`CREATE2_SALT`] and the
/// [`creation_code`].
///
/// The deployer reverts if the bank exists already.
#[must_use]
pub fn create2_input(min_lead: u64, beacon: &BeaconParameters) -> Bytes {
    [CREATE2_SALT.as_slice(), &creation_code(min_lead, beacon)]
        .concat()
        .into()
}

/// Returns the address of the bank with these settings when deployed through [`CREATE2_DEPLOYER`] with
/// [`CREATE2_SALT`]: the same on every chain (EIP-1014).
///
/// The address depends on [`BYTECODE`], so another release of the contract has other addresses. Does not check that
/// the bank is deployed.
#[must_use]
pub fn create2_address(min_lead: u64, beacon: &BeaconParameters) -> Address {
    CREATE2_DEPLOYER.create2_from_code(CREATE2_SALT, creation_code(min_lead, beacon))
}
