//! Real rounds of drand's quicknet: core and contract read the published seeds in them, and in nothing else.

use crate::evm::{Evm, Revert, recordSeedCall, shown};
use alloy_primitives::{Address, B256, Bytes};
use cheque::Beacon;
use cheque_bindings::QUICKNET;
use serde::Deserialize;
use std::collections::BTreeSet;

/// A round as drand published it, and its signature uncompressed.
#[derive(Deserialize)]
struct Round {
    round: u64,
    signature: Bytes,
    proof: Bytes,
    seed: B256,
}

#[derive(Deserialize)]
struct Published {
    rounds: Vec<Round>,
}

fn published() -> Vec<Round> {
    let text = include_str!("../../../contracts/test/vectors/quicknet.json");
    let published: Published = serde_json::from_str(text).unwrap();
    assert!(published.rounds.len() >= 4);
    published.rounds
}

fn record(chain: &mut Evm, draw_time: u64, proof: &Bytes) -> Result<B256, Revert> {
    let record = recordSeedCall {
        drawTime: draw_time,
        proof: proof.clone(),
    };
    chain.send(Address::ZERO, 0, &record)
}

#[test]
fn reads_the_published_seeds_of_real_rounds() {
    let quicknet = Beacon::quicknet();
    assert_eq!(quicknet.parameters(), QUICKNET);
    let mut chain = Evm::drawing_from(quicknet.clone(), 2_400);
    let mut signs = BTreeSet::new();
    for real in published() {
        signs.insert(real.signature[0] & 0x20);
        let draw_time = quicknet.time_of(real.round).unwrap();
        let verified = quicknet.verify(real.round, &real.signature).unwrap();
        assert_eq!(verified.seed().0, real.seed);
        assert_eq!(verified.proof().as_bytes()[..], real.proof);
        let read = shown(&quicknet, draw_time, &real.proof).unwrap();
        assert_eq!(read.0, real.seed);
        assert_eq!(record(&mut chain, draw_time, &real.proof), Ok(real.seed));
        assert_eq!(chain.recorded(draw_time), real.seed);
    }
    assert_eq!(signs.len(), 2, "points with a small and with a large y");
}

/// The code of the bank needs no more than its documents say.
#[test]
fn runs_at_the_level_of_cancun_with_eip_2537() {
    let quicknet = Beacon::quicknet();
    let mut chain = Evm::at_cancun_with_eip_2537(quicknet.clone(), 2_400);
    // TLOAD is an opcode of Cancun, CLZ is the first newer one.
    let (tload, clz) = ([0x5f, 0x5c, 0x00], [0x5f, 0x1e, 0x00]);
    assert!(chain.runs(&tload) && !chain.runs(&clz));
    for real in published() {
        let draw_time = quicknet.time_of(real.round).unwrap();
        let mut wrong = real.proof.to_vec();
        wrong[20] ^= 1;
        let refused = record(&mut chain, draw_time, &wrong.into());
        assert!(matches!(refused, Err(Revert::InvalidSeedProof(_))));
        assert_eq!(record(&mut chain, draw_time, &real.proof), Ok(real.seed));
        assert_eq!(chain.recorded(draw_time), real.seed);
    }
}

#[test]
fn takes_no_real_round_for_another_or_for_another_beacon() {
    let quicknet = Beacon::quicknet();
    let mut chain = Evm::drawing_from(quicknet.clone(), 2_400);
    let mut local = Evm::new(1);
    let rounds = published();
    for real in &rounds {
        for other in &rounds {
            if other.round == real.round {
                continue;
            }
            let draw_time = quicknet.time_of(other.round).unwrap();
            assert_eq!(shown(&quicknet, draw_time, &real.proof), None);
            let refused = record(&mut chain, draw_time, &real.proof);
            assert!(matches!(refused, Err(Revert::InvalidSeedProof(_))));
        }
        // The number of the round is the whole message, so the key alone tells beacons apart.
        let draw_time = local.beacon.time_of(real.round).unwrap();
        assert_eq!(shown(&local.beacon, draw_time, &real.proof), None);
        let refused = record(&mut local, draw_time, &real.proof);
        assert!(matches!(refused, Err(Revert::InvalidSeedProof(_))));
    }
}
