//! Signatures at the edges of validity, against the contract's rule: v = 27 or 28 recovers the key.

use super::*;
use crate::protocol::signature::tests::{ORDER, key, one_v_recovers, with_byte};
use alloy_primitives::{U256, hex};
use k256::{
    AffinePoint, EncodedPoint, ProjectivePoint, Scalar,
    elliptic_curve::{
        PrimeField,
        sec1::{FromEncodedPoint, ToEncodedPoint},
    },
};
use proptest::prelude::*;

const PRIME: U256 = U256::from_be_bytes(hex!(
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"
));

fn signature(r: U256, s: U256, v: u8) -> Signature {
    let mut bytes = [v; 65];
    bytes[..32].copy_from_slice(&r.to_be_bytes::<32>());
    bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    Signature::from_bytes(bytes)
}

fn scalar(number: U256) -> Scalar {
    Scalar::from_repr(number.to_be_bytes::<32>().into()).unwrap()
}

/// The key for which (r, s) signs `digest` with the point R: Q = (s R - digest G) / r. Its secret is unknown, and its
/// address is in no earlier digest, so the test shows a trap rather than an attack.
fn key_of(point: AffinePoint, r: U256, s: U256, digest: B256) -> PublicKey {
    let digest = scalar(U256::from_be_bytes(digest.0) % ORDER);
    let sum = ProjectivePoint::from(point) * scalar(s) - ProjectivePoint::GENERATOR * digest;
    let key = (sum * scalar(r).invert().unwrap()).to_affine();
    let mut xy = [0; 64];
    xy.copy_from_slice(&key.to_encoded_point(false).as_bytes()[1..]);
    PublicKey::from_xy(xy)
}

/// The point with even y at the smallest possible coordinate from x on.
fn point_from(mut x: U256) -> (U256, AffinePoint) {
    loop {
        let mut bytes = [2; 33];
        bytes[1..].copy_from_slice(&x.to_be_bytes::<32>());
        let encoded = EncodedPoint::from_bytes(bytes).unwrap();
        if let Some(point) = AffinePoint::from_encoded_point(&encoded).into_option() {
            return (x, point);
        }
        x += U256::from(1);
    }
}

#[test]
fn treats_r_below_prime_less_order_as_ambiguous() {
    assert_eq!(U256::from_be_bytes(AMBIGUOUS_R.0), PRIME - ORDER);
}

#[test]
fn rejects_r_whose_point_lies_beyond_the_order() {
    let digest = B256::repeat_byte(5);
    let (x, point) = point_from(ORDER + U256::from(1)); // r is not zero
    let (r, s) = (x - ORDER, U256::from(7));
    let key = key_of(point, r, s, digest);
    for v in [27, 28] {
        let signature = signature(r, s, v);
        // Both backends verify the signature, but the bank rejects it.
        assert!(backend::verify(key.as_xy(), &digest.0, &signature.0[..64]));
        assert!(pure::verify(key.as_xy(), &digest.0, &signature.0[..64]));
        assert!(!one_v_recovers(&key, digest, &signature));
        assert!(!key.verifies(digest, &signature));
        assert_eq!(signature.with_recovery_id_for(digest, &key), None);
    }
}

#[test]
fn accepts_small_r_that_is_its_points_x() {
    let digest = B256::repeat_byte(5);
    let (r, point) = point_from(U256::from(1));
    let s = U256::from(7);
    let key = key_of(point, r, s, digest);
    for v in [27, 28] {
        assert!(key.verifies(digest, &signature(r, s, v)));
    }
    let needed = signature(r, s, 28).with_recovery_id_for(digest, &key);
    assert_eq!(needed, Some(signature(r, s, 27)));
}

#[test]
fn rejects_keys_off_the_curve() {
    let digest = B256::repeat_byte(5);
    let signature = key().sign(digest);
    for xy in [[0; 64], [0xff; 64], [1; 64]] {
        assert!(!PublicKey::from_xy(xy).verifies(digest, &signature));
        assert!(!pure::verify(&xy, &digest.0, &signature.0[..64]));
    }
}

/// Numbers near every bound of r and s, and arbitrary ones.
fn number() -> impl Strategy<Value = U256> {
    let half = U256::from_be_bytes(MAX_S.0);
    let bounds = vec![
        U256::ZERO,
        PRIME - ORDER,
        half,
        ORDER,
        PRIME,
        U256::MAX - U256::from(3),
    ];
    prop_oneof![
        (prop::sample::select(bounds), 0u64..4, any::<bool>()).prop_map(|(bound, by, up)| {
            let by = U256::from(by);
            if up {
                bound.saturating_add(by)
            } else {
                bound.saturating_sub(by)
            }
        }),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn verifies_exactly_the_signatures_that_a_v_recovers(
        r in number(), s in number(), v in 26u8..30, digest: [u8; 32], honest: (bool, bool)
    ) {
        let digest = B256::from(digest);
        let own = key().sign(digest);
        let mut signature = signature(r, s, v);
        if honest.0 {
            signature.0[..32].copy_from_slice(&own.0[..32]);
        }
        if honest.1 {
            signature.0[32..64].copy_from_slice(&own.0[32..64]);
        }
        let right_form = v == 27 || v == 28;
        let mut keys = vec![key().public_key()];
        // Keys for which r and s are right.
        keys.extend([27, 28].iter().filter_map(|v| recover(digest, &with_byte(signature, 64, *v)).ok()));
        for key in keys {
            let recovers = one_v_recovers(&key, digest, &signature);
            prop_assert_eq!(key.verifies(digest, &signature), right_form && recovers);
            prop_assert_eq!(signature.with_recovery_id_for(digest, &key).is_some(), recovers);
            let low = signature.0[32..64] <= MAX_S[..];
            let by_pure = low && pure::verify(key.as_xy(), &digest.0, &signature.0[..64]);
            let by_backend = low && backend::verify(key.as_xy(), &digest.0, &signature.0[..64]);
            prop_assert_eq!(by_pure, by_backend);
            prop_assert!(by_pure || !recovers);
        }
    }
}
