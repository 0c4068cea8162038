//! The pinned bank with the real beacon's rounds, and a chain without the precompiles that it needs.

use crate::node::{Node, World, secret, signer};
use alloy::providers::Provider;
use alloy_primitives::{B256, U256, hex};
use cheque::{
    Beacon, BeaconRound,
    bank::{BankError, Reader},
    node::NodeError,
    tx::{Call, TxError, Wallet},
};
use cheque_bindings::{CREATE2_DEPLOYER, MIN_LEAD, PINNED_BANK, QUICKNET, create2_input};

/// The real rounds that all implementations verify, with the published randomness.
fn rounds() -> Vec<(BeaconRound, B256)> {
    let text = include_str!("../../../contracts/test/vectors/quicknet.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
    let rounds = vectors["rounds"].as_array().unwrap().iter().map(|vector| {
        let number = vector["round"].as_u64().unwrap();
        let round = Beacon::quicknet().verify(number, &bytes(&vector["signature"]));
        (round.unwrap(), B256::from_slice(&bytes(&vector["seed"])))
    });
    rounds.collect()
}

fn deploy() -> Call {
    Call {
        to: CREATE2_DEPLOYER,
        input: create2_input(MIN_LEAD, &QUICKNET),
        value: U256::ZERO,
    }
}

#[tokio::test]
async fn pinned_bank_records_real_rounds_of_quicknet() {
    let world = World::new().await;
    let account = world.account(7).await;
    account.wallet.send(&deploy()).await.unwrap();
    let bank = Reader::open(world.node.provider.clone(), PINNED_BANK);
    let bank = bank.await.unwrap();
    assert_eq!(*bank.beacon(), Beacon::quicknet());
    assert_eq!(bank.min_lead(), 2_400);
    let rounds = rounds();
    assert!(rounds.len() > 5, "{} rounds", rounds.len());
    for (round, randomness) in &rounds {
        let time = round.time();
        assert_eq!(bank.recorded_seed(time).await.unwrap(), None);
        let record = bank.record_seed(round).await.unwrap();
        account.wallet.send(&record.unwrap()).await.unwrap();
        let recorded = bank.recorded_seed(time).await.unwrap().unwrap();
        assert_eq!(recorded, round.seed());
        assert_eq!(recorded.0, *randomness, "not drand's randomness");
        assert!(bank.record_seed(round).await.unwrap().is_none());
    }
    // A round proves no other time.
    let round = &rounds[0].0;
    let other_time = round.time() + 300;
    let mut wrong = Call::record_seed(bank.bank(), round);
    let mut input = wrong.input.to_vec();
    // Behind the selector, the time.
    input[4..36].copy_from_slice(&U256::from(other_time).to_be_bytes::<32>());
    wrong.input = input.into();
    let refused = account.wallet.send(&wrong).await.unwrap_err();
    assert!(refused.to_string().contains("proof"), "{refused}");
    assert_eq!(bank.recorded_seed(other_time).await.unwrap(), None);
}

#[tokio::test]
async fn bank_is_refused_without_precompiles() {
    // The last hardfork without EIP-2537.
    let node = Node::of_hardfork("cancun", &[]).await;
    node.endow(secret(7).1).await;
    let wallet = Wallet::new(node.provider.clone(), signer(7), 31_337);
    let refused = wallet.send(&deploy()).await.unwrap_err();
    assert!(
        matches!(refused, TxError::Node(NodeError::Reverted(_))),
        "{refused:?}"
    );
    let code = node.provider.get_code_at(PINNED_BANK).await.unwrap();
    assert!(code.is_empty(), "the bank was deployed");
    let missing = Reader::open(node.provider.clone(), PINNED_BANK).await;
    assert!(matches!(missing, Err(BankError::NoBank { .. })));
}
