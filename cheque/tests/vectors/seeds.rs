//! Checks seeds.json: rounds of beacons, times with and without a round, and signatures of no round.

use crate::file::{Int, vectors};
use alloy_primitives::{B256, Bytes};
use cheque::{Beacon, InvalidRound, PointError, ScheduleError, Seed};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seeds {
    pub(crate) beacons: Vec<Described>,
    rounds: Vec<Round>,
    schedule: Vec<Scheduled>,
    refused_proofs: Vec<RefusedProof>,
    refused_signatures: Vec<RefusedSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Described {
    public_key_compressed: Bytes,
    genesis: Int<u64>,
    period: Int<u64>,
}

impl Described {
    pub(crate) fn beacon(&self) -> Beacon {
        Beacon::new(&self.public_key_compressed, self.genesis.0, self.period.0).unwrap()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    beacon: Int<usize>,
    draw_time: Int<u64>,
    round: Int<u64>,
    signature: Bytes,
    proof: Bytes,
    seed: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scheduled {
    beacon: Int<usize>,
    draw_time: Int<u64>,
    round: Int<u64>,
    refusal: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefusedProof {
    name: String,
    beacon: Int<usize>,
    draw_time: Int<u64>,
    proof: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefusedSignature {
    name: String,
    beacon: Int<usize>,
    draw_time: Int<u64>,
    reason: String,
    signature: Bytes,
}

pub(crate) fn seeds() -> Seeds {
    vectors!("seeds")
}

impl Seeds {
    fn beacon(&self, number: Int<usize>) -> Beacon {
        self.beacons[number.0].beacon()
    }
}

#[test]
fn verifies_rounds_of_quicknet_and_of_a_known_key() {
    let vectors = seeds();
    assert_eq!(vectors.beacons[0].beacon(), Beacon::quicknet());
    assert!(vectors.rounds.len() > 10);
    for v in &vectors.rounds {
        let beacon = vectors.beacon(v.beacon);
        assert_eq!(beacon.round_at(v.draw_time.0), Ok(v.round.0));
        let round = beacon.verify(v.round.0, &v.signature).unwrap();
        assert_eq!(round.time(), v.draw_time.0);
        assert_eq!(round.proof().as_bytes()[..], v.proof[..]);
        assert_eq!(round.seed(), Seed(v.seed));
    }
    let is_larger = |v: &&Round| v.signature[0] & 0x20 != 0;
    let larger = vectors.rounds.iter().filter(is_larger).count();
    assert!(
        0 < larger && larger < vectors.rounds.len(),
        "y of either sign"
    );
}

#[test]
fn finds_round_of_time_on_schedule_only() {
    let vectors = seeds();
    assert!(!vectors.schedule.is_empty());
    for v in &vectors.schedule {
        let beacon = vectors.beacon(v.beacon);
        let found = beacon.round_at(v.draw_time.0);
        let as_expected = match v.refusal.as_str() {
            "" => found == Ok(v.round.0) && beacon.time_of(v.round.0) == Ok(v.draw_time.0),
            "before_genesis" => matches!(found, Err(ScheduleError::BeforeGenesis { .. })),
            "off_schedule" => matches!(found, Err(ScheduleError::OffSchedule { .. })),
            refusal => panic!("unknown refusal {refusal}"),
        };
        assert!(as_expected, "{}: {found:?}", v.draw_time.0);
    }
}

#[test]
fn refuses_wrong_signatures_with_expected_reason() {
    let vectors = seeds();
    assert!(vectors.refused_signatures.len() > 30);
    for v in &vectors.refused_signatures {
        let beacon = vectors.beacon(v.beacon);
        let round = beacon.round_at(v.draw_time.0).unwrap();
        let found = beacon.verify(round, &v.signature).expect_err(&v.name);
        let as_expected = match (v.reason.as_str(), found) {
            ("wrong_signature", InvalidRound::WrongSignature { .. }) => true,
            (reason, InvalidRound::Signature { reason: found, .. }) => names(reason, found),
            _ => false,
        };
        assert!(as_expected, "{} is {}, not {found:?}", v.name, v.reason);
    }
}

fn names(reason: &str, found: PointError) -> bool {
    match reason {
        "length" => matches!(found, PointError::Length { .. }),
        "not_compressed" => found == PointError::NotCompressed,
        "identity" => found == PointError::Identity,
        "not_canonical" => found == PointError::NotCanonical,
        "off_curve" => found == PointError::OffCurve,
        "outside_subgroup" => found == PointError::OutsideSubgroup,
        _ => false,
    }
}

/// The library reads compressed signatures and makes proofs, so none of its proofs is one that banks refuse. And it
/// refuses these bytes in place of a signature.
#[test]
fn makes_none_of_the_refused_proofs() {
    let vectors = seeds();
    assert!(vectors.refused_proofs.len() > 40);
    for v in &vectors.refused_proofs {
        let beacon = vectors.beacon(v.beacon);
        let round = beacon.round_at(v.draw_time.0).unwrap();
        if let Ok(verified) = beacon.verify(round, &v.proof) {
            // The compressed signature is no proof, but a signature.
            assert_eq!(v.proof.len(), 48, "{}", v.name);
            assert_ne!(verified.proof().as_bytes()[..], v.proof[..], "{}", v.name);
        }
        let of_this_time =
            |known: &&Round| (known.beacon, known.draw_time) == (v.beacon, v.draw_time);
        for known in vectors.rounds.iter().filter(of_this_time) {
            assert_ne!(known.proof, v.proof, "{}", v.name);
        }
    }
}
