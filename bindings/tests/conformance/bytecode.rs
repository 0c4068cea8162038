//! The embedded bytecode is the compiled bytecode, and is deployed at the predicted address.

use alloy_primitives::{Bytes, U256, address, b256, keccak256};
use cheque_bindings::{
    BYTECODE, CREATE2_DEPLOYER, IChequeBank, SeedSource, create2_address, create2_input,
};

use crate::artifacts::artifact;
use crate::chain::{Chain, DEPLOYER_CODE};

#[test]
fn embedded_bytecode_is_what_the_sources_compile_to() {
    let artifact = artifact("ChequeBank");
    let compiled = artifact["bytecode"]["object"]
        .as_str()
        .expect("out/ holds no bytecode; run `forge build --force`");
    let compiled: Bytes = compiled.parse().expect("the bytecode needs no linking");
    assert!(
        BYTECODE == compiled,
        "the embedded bytecode ({} bytes, hash {}) differs from the compiled bytecode ({} bytes, hash {}); run `make bytecode`",
        BYTECODE.len(),
        keccak256(&BYTECODE),
        compiled.len(),
        keccak256(&compiled),
    );
}

#[test]
fn deployer_puts_banks_at_the_predicted_addresses() {
    // The code hash of the deployer on mainnet, from block explorers.
    let hash = b256!("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989");
    assert_eq!(keccak256(DEPLOYER_CODE), hash);

    let mut chain = Chain::new();
    let anyone = address!("a11ce00000000000000000000000000000000001");
    for (min_lead, source) in [
        (128, SeedSource::PrevRandao),
        (4, SeedSource::PrevRandao),
        (100_000, SeedSource::BlockHash),
    ] {
        let bank = create2_address(min_lead, source);
        let answer = chain
            .send(
                anyone,
                CREATE2_DEPLOYER,
                U256::ZERO,
                create2_input(min_lead, source),
            )
            .expect("the constructor accepts the settings");
        assert_eq!(answer[..], bank[..]);

        assert_eq!(chain.view(bank, IChequeBank::minLeadCall {}), min_lead);
        assert_eq!(chain.view(bank, IChequeBank::seedSourceCall {}), source);
    }
}
