use super::*;
use alloy_primitives::{U256, address, hex};
use proptest::prelude::*;

pub(super) const ORDER: U256 = U256::from_be_bytes(hex!(
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
));

pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

pub(super) fn with_byte(signature: Signature, index: usize, byte: u8) -> Signature {
    let mut bytes = *signature.as_bytes();
    bytes[index] = byte;
    Signature::from_bytes(bytes)
}

#[test]
fn derives_the_address_of_the_first_development_account() {
    let secret = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    assert_eq!(
        SigningKey::from_bytes(&secret).unwrap().address(),
        address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
    );
}

#[test]
fn refuses_secret_keys_outside_the_group() {
    for secret in [U256::ZERO, ORDER, U256::MAX] {
        assert_eq!(
            SigningKey::from_bytes(&secret.to_be_bytes()).unwrap_err(),
            SignatureError::SecretKeyOutOfRange
        );
    }
    let largest = ORDER - U256::from(1);
    assert!(SigningKey::from_bytes(&largest.to_be_bytes()).is_ok());
}

#[test]
fn accepts_only_v_27_and_28_of_a_known_key() {
    let digest = B256::repeat_byte(1);
    let signature = key().sign(digest);
    for v in 0..=255 {
        let altered = with_byte(signature, 64, v);
        let known = v == 27 || v == 28;
        assert_eq!(key().public_key().verifies(digest, &altered), known);
        if !known {
            assert_eq!(recover(digest, &altered), Err(SignatureError::WrongV(v)));
        }
    }
}

#[test]
fn finds_the_recovering_v_from_any_given_v() {
    let digest = B256::repeat_byte(1);
    let (signature, key) = (key().sign(digest), key().public_key());
    for v in [0, 26, 27, 28, 29, 255] {
        let altered = with_byte(signature, 64, v);
        assert_eq!(altered.with_recovery_id_for(digest, &key), Some(signature));
    }
    let other = B256::repeat_byte(2);
    assert_eq!(signature.with_recovery_id_for(other, &key), None);
}

#[test]
fn refuses_the_mirror_image_of_a_signature() {
    let digest = B256::repeat_byte(2);
    let mut bytes = *key().sign(digest).as_bytes();
    let s = U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
    bytes[64] = 27 + 28 - bytes[64];
    let mirror = Signature::from_bytes(bytes);
    assert_eq!(recover(digest, &mirror), Err(SignatureError::HighS));
}

#[test]
fn refuses_r_and_s_of_zero_and_r_beyond_the_group() {
    let digest = B256::repeat_byte(3);
    let signature = *key().sign(digest).as_bytes();
    for (range, value) in [(0..32, U256::ZERO), (32..64, U256::ZERO), (0..32, ORDER)] {
        let mut bytes = signature;
        bytes[range].copy_from_slice(&value.to_be_bytes::<32>());
        let altered = Signature::from_bytes(bytes);
        assert_eq!(recover(digest, &altered), Err(SignatureError::NoKey));
    }
}

#[test]
fn keeps_secrets_out_of_debug_output() {
    assert!(!format!("{:?}", key()).contains("0707"));
}

/// The contract's rule, which [`PublicKey::verifies`] must follow: v = 27 or v = 28 recovers the key.
pub(super) fn one_v_recovers(key: &PublicKey, digest: B256, signature: &Signature) -> bool {
    [27, 28]
        .iter()
        .any(|v| recover(digest, &with_byte(*signature, 64, *v)).as_ref() == Ok(key))
}

proptest! {
    #[test]
    fn refuses_a_signature_changed_anywhere_but_in_v(
        digest: [u8; 32], index in 0usize..64, flip in 1u8..
    ) {
        let digest = B256::from(digest);
        let signature = key().sign(digest);
        let altered = with_byte(signature, index, signature.as_bytes()[index] ^ flip);
        prop_assert!(key().public_key().verifies(digest, &signature));
        prop_assert!(!key().public_key().verifies(digest, &altered));
    }
}

#[cfg(feature = "libsecp256k1")]
proptest! {
    #[test]
    fn signs_alike_with_both_backends(secret: [u8; 32], digest: [u8; 32]) {
        let (Some(a), Some(b)) = (libsecp256k1::secret(&secret), pure::secret(&secret)) else {
            return Ok(());
        };
        prop_assert_eq!(libsecp256k1::public_key(&a), pure::public_key(&b));
        prop_assert_eq!(libsecp256k1::sign(&a, &digest), pure::sign(&b, &digest));
    }

    #[test]
    fn verifies_and_recovers_alike_with_both_backends(
        secret in 1u8..=0xfe, digest: [u8; 32], index in 0usize..64, flip in 0u8.., parity in 0u8..2
    ) {
        let signer = libsecp256k1::secret(&[secret; 32]).unwrap();
        let mut signature = libsecp256k1::sign(&signer, &digest);
        signature[index] ^= flip;
        let xy = libsecp256k1::public_key(&signer);
        prop_assert_eq!(
            libsecp256k1::verify(&xy, &digest, &signature[..64]),
            pure::verify(&xy, &digest, &signature[..64])
        );
        // The backends differ on high s, refused by `recover` before it calls them.
        prop_assume!(signature[32..64] <= MAX_S[..]);
        prop_assert_eq!(
            libsecp256k1::recover(&digest, &signature[..64], parity),
            pure::recover(&digest, &signature[..64], parity)
        );
    }
}
