//! secp256k1 signatures over 32-byte digests, in Ethereum's form: r ‖ s ‖ v, v in {27, 28}, low s only.
//!
//! Two backends do the arithmetic: libsecp256k1 (feature `libsecp256k1`, the default) and k256 (pure Rust). Both accept
//! and refuse the same signatures, and produce the same ones (deterministic nonces, RFC 6979).

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

/// Half the order of the curve's group: the largest `s` of a signature that nobody can mirror (EIP-2).
const MAX_S: B256 = b256!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

/// The field's prime less the group order. An r below it may stand for two points: one with x = r, and one with
/// x = r + n. Only the first can be recovered with v in {27, 28}; plain verification takes both.
const AMBIGUOUS_R: B256 = b256!("000000000000000000000000000000014551231950b75fc4402da1722fc9baee");

/// A signature as it travels and as the contract takes it: r (32 bytes), s (32), v (1).
///
/// It may hold any bytes; [`recover`] and [`PublicKey::verifies`] decide whether they are a signature. Who receives one
/// of a known key relies on r and s alone, and takes v as a hint: see [`Signature::with_recovery_id_for`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 65]);

impl Signature {
    /// The signature in these bytes. Does not look at them.
    pub const fn from_bytes(bytes: [u8; 65]) -> Self {
        Self(bytes)
    }

    /// r ‖ s ‖ v.
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// This signature with the v by which the contract recovers `signer` from `digest`, whatever v it has now. `None`:
    /// with neither does it. Costs one recovery where v is right, two where it is not.
    pub fn with_recovery_id_for(&self, digest: B256, signer: &PublicKey) -> Option<Self> {
        // The one it has first.
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

/// Why bytes are no signature over a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The last byte is neither 27 nor 28.
    #[error("the signature's v is {0}, not 27 or 28")]
    WrongV(u8),
    /// The mirror image of a signature, which the contract refuses (EIP-2).
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
    /// The key's address: the last 20 bytes of keccak256(x ‖ y).
    pub fn address(&self) -> Address {
        Address::from_word(keccak([&self.0]))
    }

    /// Whether the holder of this key signed `digest`: whether the contract, with one of the two v's, would find this key.
    ///
    /// v must be 27 or 28, but need not be the right one of the two: [`Signature::with_recovery_id_for`] finds that.
    /// Costs about four fifths of [`recover`].
    pub fn verifies(&self, digest: B256, signature: &Signature) -> bool {
        if check_form(signature).is_err() {
            return false;
        }
        if signature.0[..32] < AMBIGUOUS_R[..] {
            // Nobody's signature by chance. Recovery takes r for x, as the contract does.
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

/// The key that made `signature` over `digest`.
///
/// Accepts what the contract accepts: v in {27, 28}, 0 < s <= n/2, 0 < r < n, and a key that exists.
pub fn recover(digest: B256, signature: &Signature) -> Result<PublicKey, SignatureError> {
    let v = check_form(signature)?;
    backend::recover(&digest.0, &signature.0[..64], v - 27)
        .map(PublicKey)
        .ok_or(SignatureError::NoKey)
}

/// v, if it is one of the two of Ethereum and s is low.
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

/// The secret key of a signer: whoever holds it can write cheques.
#[derive(Clone)]
pub struct SigningKey {
    secret: backend::Secret,
    address: Address,
}

impl SigningKey {
    /// The key with this secret number (big-endian).
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, SignatureError> {
        let secret = backend::secret(secret).ok_or(SignatureError::SecretKeyOutOfRange)?;
        let address = PublicKey(backend::public_key(&secret)).address();
        Ok(Self { secret, address })
    }

    /// The address of the key.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(backend::public_key(&self.secret))
    }

    /// Signs a digest. The same digest always gives the same signature.
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
