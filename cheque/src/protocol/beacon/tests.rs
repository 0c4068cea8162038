//! Verification on real rounds of quicknet and on thousands of wrong ones, by both backends.

use super::*;
use crate::protocol::beacon::local::LocalBeacon;
use alloy_primitives::{U512, b256};
use proptest::prelude::*;
use serde_json::Value;

/// A real round: number, signature, uncompressed signature, randomness.
type RealRound = (u64, Vec<u8>, Vec<u8>, Vec<u8>);

fn real_rounds() -> Vec<RealRound> {
    let text = include_str!("../../../../contracts/test/vectors/quicknet.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let rounds = file["rounds"].as_array().unwrap();
    let read = rounds.iter().map(|round| {
        (
            round["round"].as_u64().unwrap(),
            bytes(&round["signature"]),
            bytes(&round["proof"]),
            bytes(&round["seed"]),
        )
    });
    read.collect()
}

fn local(secret: u8) -> LocalBeacon {
    LocalBeacon::new(&[secret; 32], 1_000, 5).unwrap()
}

/// The verdict of one backend on bytes that have a valid encoding.
macro_rules! verdict {
    ($backend:ident, $key:expr, $round:expr, $signature:expr) => {{
        let invalid = |reason| InvalidRound::Signature {
            round: $round,
            reason,
        };
        let key = $backend::key($key).unwrap();
        $backend::point($signature)
            .map_err(invalid)
            .and_then(|point| {
                if $backend::verify(&key, &message($round), &point) {
                    Ok($backend::uncompressed(&point))
                } else {
                    Err(InvalidRound::WrongSignature { round: $round })
                }
            })
    }};
}

/// Verifies with the beacon, and checks that the other backend agrees about reason and point.
fn verified(beacon: &Beacon, round: u64, signature: &[u8]) -> Result<BeaconRound, InvalidRound> {
    let result = beacon.verify(round, signature);
    if let Ok(bytes) = check_encoding::<G1>(signature) {
        let expected = result.map(|round| *round.proof().as_bytes());
        assert_eq!(
            verdict!(pure, &beacon.public_key.0, round, &bytes),
            expected
        );
    }
    result
}

fn signature_error(round: u64, reason: PointError) -> Result<BeaconRound, InvalidRound> {
    Err(InvalidRound::Signature { round, reason })
}

#[test]
fn verifies_real_rounds_of_quicknet() {
    let quicknet = Beacon::quicknet();
    let rounds = real_rounds();
    assert!(rounds.len() >= 4);
    for (round, signature, uncompressed, randomness) in rounds {
        let verified = verified(&quicknet, round, &signature).unwrap();
        assert_eq!(verified.round(), round);
        assert_eq!(verified.time(), quicknet.time_of(round).unwrap());
        assert_eq!(verified.signature().as_slice(), signature);
        assert_eq!(verified.proof().as_bytes().as_slice(), uncompressed);
        assert_eq!(verified.seed().0.as_slice(), randomness);
    }
}

#[test]
fn knows_the_terms_of_quicknet() {
    let text = include_str!("../../../../contracts/test/vectors/quicknet.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let quicknet = Beacon::quicknet();
    assert_eq!(
        hex::encode_prefixed(quicknet.public_key()),
        file["publicKeyCompressed"]
    );
    assert_eq!(quicknet.genesis(), file["genesis"]);
    assert_eq!(quicknet.period(), file["period"]);
    assert_eq!(quicknet.chain_hash().to_string(), file["chainHash"]);
}

#[test]
fn refuses_every_bit_flip_of_a_real_signature() {
    let quicknet = Beacon::quicknet();
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    let rounds = real_rounds();
    for (round, signature, ..) in &rounds {
        for bit in 0..8 * G1 {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            let error = verified(&quicknet, *round, &flipped).unwrap_err();
            *reasons.entry(format!("{error:?}")).or_default() += 1;
        }
    }
    // The flags, large coordinates, no point, no member of the subgroup; and y's other sign, which is a signature's mirror.
    for reason in [
        "NotCompressed",
        "Identity",
        "NotCanonical",
        "OffCurve",
        "OutsideSubgroup",
        "WrongSignature",
    ] {
        assert!(
            reasons.keys().any(|found| found.contains(reason)),
            "{reason}"
        );
    }
    assert_eq!(reasons.values().sum::<usize>(), rounds.len() * 384);
}

#[test]
fn refuses_signatures_of_other_rounds_and_keys() {
    let quicknet = Beacon::quicknet();
    let rounds = real_rounds();
    for (round, ..) in &rounds {
        for (other, signature, ..) in &rounds {
            assert_eq!(
                verified(&quicknet, *round, signature).is_ok(),
                round == other
            );
        }
        let forged = local(7).sign(*round);
        let wrong = Err(InvalidRound::WrongSignature { round: *round });
        assert_eq!(verified(&quicknet, *round, &forged), wrong);
    }
    let (mine, other) = (local(7), local(8));
    for round in 1..200 {
        let signature = mine.sign(round);
        assert!(mine.beacon().verify(round, &signature).is_ok());
        for (beacon, round) in [(&mine, round + 1), (&mine, round + 256), (&other, round)] {
            assert_eq!(
                beacon.beacon().verify(round, &signature),
                Err(InvalidRound::WrongSignature { round })
            );
        }
    }
}

#[test]
fn refuses_every_other_length() {
    let (round, signature, uncompressed, _) = real_rounds().remove(0);
    let doubled = [signature.clone(), signature.clone(), uncompressed].concat();
    for found in (0..doubled.len()).filter(|length| *length != G1) {
        assert_eq!(
            verified(&Beacon::quicknet(), round, &doubled[..found]),
            signature_error(
                round,
                PointError::Length {
                    found,
                    expected: G1
                }
            )
        );
    }
}

#[test]
fn refuses_identity_and_uncompressed_forms() {
    let beacon = local(7);
    let mut bytes = beacon.sign(1);
    for flags in 0..8_u8 {
        bytes[0] = (bytes[0] & 0x1f) | (flags << 5);
        let reason = match flags {
            0..4 => PointError::NotCompressed,
            6 | 7 => PointError::Identity,
            _ => continue,
        };
        assert_eq!(
            verified(beacon.beacon(), 1, &bytes),
            signature_error(1, reason)
        );
    }
    let mut identity = [0; G1];
    for first in [0xc0, 0xe0] {
        identity[0] = first;
        let expected = signature_error(1, PointError::Identity);
        assert_eq!(verified(beacon.beacon(), 1, &identity), expected);
    }
}

#[test]
fn refuses_coordinates_from_the_prime_on() {
    let prime = U512::from_be_slice(&hex!(
        "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
    ));
    let limit = U512::from(1) << 381;
    let encoded = |x: U512, sign: u8| {
        let mut bytes: [u8; G1] = x.to_be_bytes::<64>()[16..].try_into().unwrap();
        bytes[0] |= 0x80 | sign;
        bytes
    };
    let beacon = local(7);
    let mut second_forms = 0;
    for round in 1..100 {
        let mut x = beacon.sign(round);
        let sign = x[0] & 0x20;
        x[0] &= 0x1f;
        let second = U512::from_be_slice(&x) + prime;
        if second < limit {
            second_forms += 1;
            let form = encoded(second, sign);
            let expected = signature_error(round, PointError::NotCanonical);
            assert_eq!(verified(beacon.beacon(), round, &form), expected);
        }
    }
    assert!(second_forms > 10, "{second_forms}");
    let one = U512::from(1);
    for x in [prime, prime + one, limit - one] {
        let expected = signature_error(1, PointError::NotCanonical);
        assert_eq!(verified(beacon.beacon(), 1, &encoded(x, 0)), expected);
    }
    let below = verified(beacon.beacon(), 1, &encoded(prime - one, 0)).unwrap_err();
    assert_ne!(Err(below), signature_error(1, PointError::NotCanonical));
}

#[test]
fn refuses_curve_points_outside_of_the_subgroup() {
    // (0, 2) and (0, -2) have order 3.
    for first in [0x80, 0xa0] {
        let mut bytes = [0; G1];
        bytes[0] = first;
        let expected = signature_error(9, PointError::OutsideSubgroup);
        assert_eq!(verified(&Beacon::quicknet(), 9, &bytes), expected);
    }
}

#[test]
fn refuses_keys_that_are_no_points_of_the_subgroup() {
    let key = QUICKNET_KEY;
    let refused = |key: &[u8]| match Beacon::new(key, 0, 3).unwrap_err() {
        InvalidBeacon::PublicKey(reason) => reason,
        other => panic!("{other}"),
    };
    for found in [0, 48, 95, 192] {
        let length = PointError::Length {
            found,
            expected: G2,
        };
        assert_eq!(refused(&vec![key[0]; found]), length);
    }
    let mut identity = [0; G2];
    identity[0] = 0xc0;
    assert_eq!(refused(&identity), PointError::Identity);
    let mut plain = key;
    plain[0] &= 0x7f;
    assert_eq!(refused(&plain), PointError::NotCompressed);
    for (at, first) in [(0, 0x9f), (48, 0xff)] {
        let mut large = key;
        large[at] = first;
        large[at + 1] = 0xff;
        assert_eq!(refused(&large), PointError::NotCanonical);
    }
    let mut found = std::collections::HashSet::new();
    for last in 0..40 {
        let mut other = key;
        other[G2 - 1] = last;
        if other != key {
            let reason = refused(&other);
            assert_eq!(pure::key(&other).err(), Some(reason));
            found.insert(format!("{reason:?}"));
        }
    }
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(Beacon::new(&key, 0, 0), Err(InvalidBeacon::ZeroPeriod));
}

#[test]
fn refuses_secret_keys_outside_of_the_group() {
    let order = b256!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
    for secret in [[0; 32], order.0, [0xff; 32]] {
        assert_eq!(
            LocalBeacon::new(&secret, 0, 1).unwrap_err(),
            InvalidBeacon::SecretKeyOutOfRange
        );
        assert!(pure::secret(&secret).is_none());
    }
    let mut largest = order.0;
    largest[31] = 0;
    assert!(LocalBeacon::new(&largest, 0, 1).is_ok());
}

#[test]
fn tells_beacons_apart_by_every_term() {
    let beacon = local(7);
    let same = LocalBeacon::new(&[7; 32], 1_000, 5).unwrap();
    assert_eq!(beacon.beacon(), same.beacon());
    let others = [
        ([8; 32], 1_000, 5),
        ([7; 32], 1_001, 5),
        ([7; 32], 1_000, 6),
    ];
    for (secret, genesis, period) in others {
        let other = LocalBeacon::new(&secret, genesis, period).unwrap();
        assert_ne!(beacon.beacon(), other.beacon());
        assert_ne!(beacon.beacon().chain_hash(), other.beacon().chain_hash());
    }
}

#[test]
fn keeps_secret_keys_out_of_debug_output() {
    assert!(!format!("{:?}", local(7)).contains("070707"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn refuses_random_bytes_without_a_panic(
        bytes: [u8; 32], tail: [u8; 16], first: u8, round in 1_u64..9
    ) {
        let mut signature = [0; G1];
        signature[..32].copy_from_slice(&bytes);
        signature[32..].copy_from_slice(&tail);
        // Three of four have an encoding that is worth a look at the curve.
        signature[0] = if first < 0x40 { first } else { 0x80 | (first & 0x3f) };
        prop_assert!(verified(&Beacon::quicknet(), round, &signature).is_err());
    }
}

#[cfg(feature = "blst")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn signs_alike_with_both_backends(secret: [u8; 32], round: u64) {
        let (Some(a), Some(b)) = (with_blst::secret(&secret), pure::secret(&secret)) else {
            prop_assert!(with_blst::secret(&secret).is_none() && pure::secret(&secret).is_none());
            return Ok(());
        };
        let key = with_blst::public_key(&a);
        prop_assert_eq!(key, pure::public_key(&b));
        let (a_key, b_key) = (with_blst::key(&key).unwrap(), pure::key(&key).unwrap());
        prop_assert_eq!(with_blst::uncompressed_key(&a_key), pure::uncompressed_key(&b_key));
        let signature = with_blst::sign(&a, &message(round));
        prop_assert_eq!(signature, pure::sign(&b, &message(round)));
        prop_assert!(verdict!(with_blst, &key, round, &signature).is_ok());
        prop_assert!(verdict!(pure, &key, round, &signature).is_ok());
    }
}
