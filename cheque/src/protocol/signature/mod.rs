//! secp256k1 signatures over 32-byte digests, in Ethereum's form: r ‖ s ‖ v, v in {27, 28}, low s only (SPEC section
//! 2).
//!
//! Two backends do the arithmetic: libsecp256k1 (feature `libsecp256k1`, the default) and k256 (pure Rust). Both accept
//! the same signatures, and make the same ones (deterministic nonces, RFC 6979).

#[cfg(feature = "libsecp256k1")]
mod libsecp256k1;
#[cfg(any(test, not(feature = "libsecp256k1")))]
mod pure;

#[cfg(feature = "libsecp256k1")]
use crate::protocol::signature::libsecp256k1 as backend;
#[cfg(not(feature = "libsecp256k1"))]
use crate::protocol::signature::pure as backend;

use crate::protocol::hash::keccak;
use alloy_primitives::{Address, B256, b256};
use std::fmt;

/// Half the order of the curve's group: the bound on `s` that excludes the mirror image of a signature (EIP-2).
const MAX_S: B256 = b256!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

/// The field's prime less the group order n. An r below it may stand for two points: x = r and x = r + n. Recovery with
/// v in {27, 28} finds the first only; plain verification accepts both.
const AMBIGUOUS_R: B256 = b256!("000000000000000000000000000000014551231950b75fc4402da1722fc9baee");

/// A signature in the form of the wire and the contract: r (32 bytes), s (32), v (1).
///
/// Holds any bytes: only [`recover`] and [`PublicKey::verifies`] check them. A receiver that knows the key relies on r
/// and s, and takes v as a hint: see [`Signature::with_recovery_id_for`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 65]);

impl Signature {
    /// Wraps bytes without a check.
    pub const fn from_bytes(bytes: [u8; 65]) -> Self {
        Self(bytes)
    }

    /// Returns r ‖ s ‖ v.
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// Sets the v with which the contract recovers `signer` from `digest`, whatever the present v. `None` if neither v
    /// does. Costs one recovery if the present v is right, else two.
    pub fn with_recovery_id_for(&self, digest: B256, signer: &PublicKey) -> Option<Self> {
        // Tries the present v first.
        let order = if self.0[64] == 28 { [28, 27] } else { [27, 28] };
        order
            .map(|v| {
                let mut bytes = self.0;
                bytes[64] = v;
                Self(bytes)
            })
            .into_iter()
            .find(|candidate| recover(digest, candidate).as_ref() == Ok(signer))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", alloy_primitives::hex::encode(self.0))
    }
}

/// The reason why bytes are not a signature over a digest, or not a secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The recovery byte is neither 27 nor 28.
    #[error("the signature's v is {0}, not 27 or 28")]
    WrongV(u8),
    /// The signature is a mirror image, which the contract rejects (EIP-2).
    #[error("the signature's s is in the upper half of the group order")]
    HighS,
    /// No key makes this signature.
    #[error("no key makes this signature")]
    NoKey,
    /// The secret key is zero or not below the group order.
    #[error("the secret key is not in the range of the curve's group")]
    SecretKeyOutOfRange,
}

/// A public key, a point of the curve: x (32 bytes) ‖ y (32 bytes).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 64]);

impl PublicKey {
    /// Computes the key's address: the last 20 bytes of keccak256(x ‖ y).
    pub fn address(&self) -> Address {
        Address::from_word(keccak([&self.0]))
    }

    /// True if the holder of this key signed `digest`, that is, if the contract recovers the key with v = 27 or 28.
    ///
    /// Does not check that v is the right one of the two: [`Signature::with_recovery_id_for`] finds the right v. Costs
    /// about four fifths of [`recover`].
    pub fn verifies(&self, digest: B256, signature: &Signature) -> bool {
        if check_form(signature).is_err() {
            return false;
        }
        if signature.0[..32] < AMBIGUOUS_R[..] {
            // No honest signature has such an r by chance. Recovery takes r for x, as the contract does.
            return signature.with_recovery_id_for(digest, self).is_some();
        }
        backend::verify(&self.0, &digest.0, &signature.0[..64])
    }

    pub(crate) const fn from_xy(xy: [u8; 64]) -> Self {
        Self(xy)
    }

    pub(crate) const fn as_xy(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(of {})", self.address())
    }
}

/// Recovers the key that made `signature` over `digest`.
///
/// Accepts the same signatures as the contract: v in {27, 28}, 0 < s <= n/2, 0 < r < n, and a key on the curve. Almost
/// any bytes yield some key, so the caller must compare the key with the expected one.
///
/// # Errors
///
/// [`SignatureError`] names the first condition that fails.
pub fn recover(digest: B256, signature: &Signature) -> Result<PublicKey, SignatureError> {
    let v = check_form(signature)?;
    backend::recover(&digest.0, &signature.0[..64], v - 27)
        .map(PublicKey)
        .ok_or(SignatureError::NoKey)
}

/// Checks that v is 27 or 28 and that s is low, and returns v.
fn check_form(signature: &Signature) -> Result<u8, SignatureError> {
    let (s, v) = (&signature.0[32..64], signature.0[64]);
    if v != 27 && v != 28 {
        return Err(SignatureError::WrongV(v));
    }
    if s > &MAX_S[..] {
        return Err(SignatureError::HighS);
    }
    Ok(v)
}

/// The secret key of a signer, which can write cheques. A drop does not reliably erase the secret from memory.
#[derive(Clone)]
pub struct SigningKey {
    secret: backend::Secret,
    address: Address,
}

impl SigningKey {
    /// Makes the key of a secret number (big-endian).
    ///
    /// # Errors
    ///
    /// [`SignatureError::SecretKeyOutOfRange`] for zero and for numbers from the group order on.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, SignatureError> {
        let secret = backend::secret(secret).ok_or(SignatureError::SecretKeyOutOfRange)?;
        let address = PublicKey(backend::public_key(&secret)).address();
        Ok(Self { secret, address })
    }

    /// Returns the address of the key.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Computes the public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(backend::public_key(&self.secret))
    }

    /// Signs a digest, always with the same signature (RFC 6979). Does not know the meaning of the digest.
    pub fn sign(&self, digest: B256) -> Signature {
        Signature(backend::sign(&self.secret, &digest.0))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.address)
    }
}

#[cfg(test)]
mod edges;
#[cfg(test)]
mod tests;
