//! The embedded bytecode is the compiled bytecode, and is deployed at the predicted address.

use alloy_primitives::{Bytes, U256, address, b256, keccak256};
use cheque_bindings::{
    BYTECODE, BeaconParameters, CREATE2_DEPLOYER, IChequeBank, IDrandBank, MIN_LEAD, PINNED_BANK,
    QUICKNET, create2_address, create2_input,
};

use crate::artifacts::artifact;
use crate::chain::{Chain, DEPLOYER_CODE};

#[test]
fn embedded_bytecode_is_what_the_sources_compile_to() {
    let artifact = artifact("DrandBank");
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
    let slow = BeaconParameters {
        genesis: 1,
        period: u64::MAX,
        ..QUICKNET
    };
    for (min_lead, beacon) in [(MIN_LEAD, QUICKNET), (1, QUICKNET), (2_592_000, slow)] {
        let bank = create2_address(min_lead, &beacon);
        let answer = chain
            .send(
                anyone,
                CREATE2_DEPLOYER,
                U256::ZERO,
                create2_input(min_lead, &beacon),
            )
            .expect("the constructor accepts the settings");
        assert_eq!(answer[..], bank[..]);

        assert_eq!(chain.view(bank, IChequeBank::minLeadCall {}), min_lead);
        let key = chain.view(bank, IDrandBank::publicKeyCall {});
        assert_eq!(key[..], beacon.public_key);
        assert_eq!(chain.view(bank, IDrandBank::genesisCall {}), beacon.genesis);
        assert_eq!(chain.view(bank, IDrandBank::periodCall {}), beacon.period);
    }
    let pinned = chain.view(PINNED_BANK, IChequeBank::minLeadCall {});
    assert_eq!(pinned, 2_400);
}

#[test]
fn constructor_refuses_settings_that_no_bank_can_have() {
    let mut other_key = QUICKNET;
    other_key.public_key[191] ^= 1;
    let identity = BeaconParameters {
        public_key: [0; 192],
        ..QUICKNET
    };
    let no_genesis = BeaconParameters {
        genesis: 0,
        ..QUICKNET
    };
    let no_period = BeaconParameters {
        period: 0,
        ..QUICKNET
    };
    let anyone = address!("a11ce00000000000000000000000000000000001");
    for (min_lead, beacon) in [
        (0, QUICKNET),
        (2_592_001, QUICKNET),
        (MIN_LEAD, other_key),
        (MIN_LEAD, identity),
        (MIN_LEAD, no_genesis),
        (MIN_LEAD, no_period),
    ] {
        let input = create2_input(min_lead, &beacon);
        let sent = Chain::new().send(anyone, CREATE2_DEPLOYER, U256::ZERO, input);
        assert!(sent.is_err(), "lead {min_lead}, {beacon:?}");
    }
}
