//! Compressed points of BLS12-381, as far as their bytes alone tell.
//!
//! The form of drand and of IETF's BLS drafts: the coordinate x, big-endian, with three flags in its first byte. Both
//! backends see only bytes that pass these checks, so both name the same reason for the same bytes.

use alloy_primitives::hex;

/// The length of a field element, in bytes.
pub(super) const FIELD: usize = 48;

/// The length of a compressed point of G1: a signature.
pub(crate) const G1: usize = FIELD;

/// The length of a compressed point of G2: a public key.
pub(crate) const G2: usize = 2 * FIELD;

/// The flag of a compressed point.
const COMPRESSED: u8 = 0x80;

/// The flag of the identity, the point at infinity.
const IDENTITY: u8 = 0x40;

/// All flags; the third is the sign of y.
const FLAGS: u8 = 0xe0;

/// The field's prime p.
pub(super) const PRIME: [u8; FIELD] = hex!(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
);

/// The reason why bytes are not a compressed point of the prime-order subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// The bytes have another length than a point of this group.
    #[error("it has {found} bytes, a compressed point of this group has {expected}")]
    Length {
        /// The number of bytes given.
        found: usize,
        /// 48 for a signature, 96 for a public key.
        expected: usize,
    },
    /// The flag of compressed points is missing.
    #[error("its first bit does not mark a compressed point")]
    NotCompressed,
    /// The point is the identity, or claims to be.
    #[error("it is the identity, which every message and key would fit")]
    Identity,
    /// A coordinate is not below the field's prime: another form of a point that has one already.
    #[error("a coordinate is not below the field's prime")]
    NotCanonical,
    /// No point of the curve has this coordinate.
    #[error("no point of the curve has this coordinate")]
    OffCurve,
    /// The point lies outside of the subgroup of prime order.
    #[error("the point lies outside of the prime-order subgroup")]
    OutsideSubgroup,
}

/// Checks length, flags and coordinates of a compressed point of `N` bytes. Does not check that the point is on the
/// curve or in the subgroup.
///
/// # Errors
///
/// [`PointError`] names the first condition that fails.
pub(super) fn check_encoding<const N: usize>(bytes: &[u8]) -> Result<[u8; N], PointError> {
    let bytes: [u8; N] = bytes.try_into().map_err(|_| PointError::Length {
        found: bytes.len(),
        expected: N,
    })?;
    if bytes[0] & COMPRESSED == 0 {
        return Err(PointError::NotCompressed);
    }
    if bytes[0] & IDENTITY != 0 {
        return Err(PointError::Identity);
    }
    let mut coordinates = bytes;
    coordinates[0] &= !FLAGS;
    if coordinates
        .chunks_exact(FIELD)
        .any(|part| part >= &PRIME[..])
    {
        return Err(PointError::NotCanonical);
    }
    Ok(bytes)
}
