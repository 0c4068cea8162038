//! Packed redemptions, the form that the bank takes. The interface has the layout, at `struct Redemption`.

use alloy_primitives::{Address, B128, B256, Bytes, U256, aliases::U40, keccak256};

use crate::{Deposit, Outcome, Redemption};

/// Bytes of the part that every redemption has.
const FIXED: usize = 220;
/// Bytes of a node's hash.
const HASH: usize = 32;
/// Bytes of a sum in full.
const SUM: usize = 16;
/// Bytes of a level of a proof in `Redemption`: the sibling's hash and its sum in full.
const LEVEL: usize = HASH + SUM;
/// Bytes of anchor, step, k and x.
const STREAM: usize = 82;
/// Bytes of a signature: r, s, v.
const SIGNATURE: usize = 65;
/// The largest number of levels of a proof.
const MAX_DEPTH: usize = 40;

/// The byte `form`: the bytes of each sibling's sum less one, and the parts that follow the siblings.
mod form {
    pub(super) const SUM_BYTES: u8 = 0x0f;
    pub(super) const TOKEN: u8 = 0x10;
    pub(super) const TO: u8 = 0x20;
    pub(super) const STREAM: u8 = 0x40;
    pub(super) const RESERVED: u8 = 0x80;
}

/// The reason why a redemption cannot be packed, and so cannot be sent to a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The siblings are not 48 bytes a level.
    #[error("{0} bytes of siblings are not a whole number of levels of {LEVEL} bytes")]
    RaggedSiblings(usize),
    /// The number of levels does not fit one byte; the bank accepts 40 levels.
    #[error("the proof has {0} levels, at most {max} can be packed", max = u8::MAX)]
    TooManyLevels(usize),
    /// The cheque's signature is not r, s and v in 65 bytes.
    #[error("the cheque's signature has {0} bytes, a signature has {SIGNATURE}")]
    SignatureLength(usize),
}

/// The reason why bytes are no packed redemption: exactly the reasons for which the bank answers
/// [`UnpackError::outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The bytes end before the announced parts.
    #[error("the packed redemption has {length} bytes, at least {least} are announced")]
    TooShort {
        /// The number of bytes.
        length: usize,
        /// The announced number of bytes, as far as read.
        least: usize,
    },
    /// The byte `form` has bit 7 set.
    #[error("the packed redemption announces an unknown part, in form {0:#04x}")]
    UnknownForm(u8),
    /// The proof leads to no root: it is too deep, has path bits beyond its levels, or its sum is too large.
    #[error(
        "the proof has more than {MAX_DEPTH} levels, path bits beyond its levels, or a sum of 2^128 or more"
    )]
    BadProof,
}

impl UnpackError {
    /// Returns the bank's answer to the bytes.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::TooShort { .. } | Self::UnknownForm(_) => Outcome::Malformed,
            Self::BadProof => Outcome::BadProof,
        }
    }
}

impl Redemption {
    /// Returns the bytes that `redeem`, `redeemBatch` and `outcomeOf` take.
    ///
    /// Omits the deposit's amount and root, which the bank computes from the proof; token and `to` if they are zero; the
    /// stream if `anchor`, `step`, `k` and `x` are all zero; and the leading zeros that all sums have. Does not check
    /// whether the proof leads to amount and root, nor whether the bank would pay.
    ///
    /// # Errors
    ///
    /// [`PackError`] if a part does not fit the packed form.
    pub fn pack(&self) -> Result<Bytes, PackError> {
        let (siblings, []) = self.siblings.as_chunks::<LEVEL>() else {
            return Err(PackError::RaggedSiblings(self.siblings.len()));
        };
        let depth =
            u8::try_from(siblings.len()).map_err(|_| PackError::TooManyLevels(siblings.len()))?;
        if self.signature.len() != SIGNATURE {
            return Err(PackError::SignatureLength(self.signature.len()));
        }
        let zeros = siblings.iter().map(leading_zeros).min();
        let sum_from = HASH + zeros.unwrap_or(SUM - 1);
        // At most 16 bytes.
        let mut form = (LEVEL - 1 - sum_from) as u8;
        for (is_there, bit) in [
            (!self.deposit.token.is_zero(), form::TOKEN),
            (!self.to.is_zero(), form::TO),
            (self.has_stream(), form::STREAM),
        ] {
            form |= if is_there { bit } else { 0 };
        }

        let parts = FIXED + self.siblings.len() + 2 * Address::len_bytes() + STREAM;
        let mut packed = Vec::with_capacity(parts + self.consent.len());
        let d = &self.deposit;
        packed.extend_from_slice(d.payer.as_slice());
        packed.extend_from_slice(d.signer.as_slice());
        packed.extend_from_slice(&d.lane.to_be_bytes());
        packed.extend_from_slice(&d.minPayout.to_be_bytes());
        packed.extend_from_slice(&d.drawTime.to_be_bytes());
        packed.extend_from_slice(&d.redeemUntil.to_be_bytes());

        packed.extend_from_slice(self.payee.as_slice());
        packed.extend_from_slice(&self.allowance.to_be_bytes());
        packed.extend_from_slice(self.salt.as_slice());
        packed.extend_from_slice(&self.path.to_be_bytes::<5>());
        packed.extend_from_slice(&self.spent.to_be_bytes());
        packed.extend_from_slice(&self.signature);
        packed.extend_from_slice(&[depth, form]);

        for sibling in siblings {
            packed.extend_from_slice(&sibling[..HASH]);
            packed.extend_from_slice(&sibling[sum_from..]);
        }
        if form & form::TOKEN != 0 {
            packed.extend_from_slice(d.token.as_slice());
        }
        if form & form::TO != 0 {
            packed.extend_from_slice(self.to.as_slice());
        }
        if form & form::STREAM != 0 {
            packed.extend_from_slice(self.anchor.as_slice());
            packed.extend_from_slice(&self.step.to_be_bytes());
            packed.extend_from_slice(&self.k.to_be_bytes());
            packed.extend_from_slice(self.x.as_slice());
        }
        packed.extend_from_slice(&self.consent);
        Ok(packed.into())
    }

    /// Reads packed bytes as the bank does; `consent` is the rest. Computes the deposit's amount and root from the proof.
    /// Does not check the other fields.
    ///
    /// Packing the result gives the same bytes again, except for zeros that [`Redemption::pack`] omits.
    ///
    /// # Errors
    ///
    /// [`UnpackError`] if the bank would answer `Malformed` or `BadProof`.
    pub fn unpack(packed: &[u8]) -> Result<Self, UnpackError> {
        let mut rest = Unread {
            bytes: packed,
            length: packed.len(),
        };
        let payer = rest.address()?;
        let signer = rest.address()?;
        let lane = u64::from_be_bytes(rest.array()?);
        let min_payout = u128::from_be_bytes(rest.array()?);
        let draw_time = u64::from_be_bytes(rest.array()?);
        let redeem_until = u64::from_be_bytes(rest.array()?);
        let payee = rest.address()?;
        let allowance = u128::from_be_bytes(rest.array()?);
        let salt = B128::from(rest.array()?);
        let path = U40::from_be_bytes::<5>(rest.array()?);
        let spent = u128::from_be_bytes(rest.array()?);
        let signature = rest.bytes(SIGNATURE)?;
        let [depth, form] = rest.array()?;
        if form & form::RESERVED != 0 {
            return Err(UnpackError::UnknownForm(form));
        }

        let siblings = rest.siblings(depth.into(), usize::from(form & form::SUM_BYTES) + 1)?;
        let mut address = |bit| {
            if form & bit == 0 {
                Ok(Address::ZERO)
            } else {
                rest.address()
            }
        };
        let token = address(form::TOKEN)?;
        let to = address(form::TO)?;
        let (anchor, step, k, x) = if form & form::STREAM == 0 {
            (B256::ZERO, 0, 0, B256::ZERO)
        } else {
            (
                rest.word()?,
                u128::from_be_bytes(rest.array()?),
                u16::from_be_bytes(rest.array()?),
                rest.word()?,
            )
        };
        let consent = Bytes::copy_from_slice(rest.bytes);
        let (root, amount) = root_and_sum(payee, allowance, salt, path, &siblings)?;
        Ok(Self {
            deposit: Deposit {
                payer,
                signer,
                token,
                lane,
                amount,
                minPayout: min_payout,
                drawTime: draw_time,
                redeemUntil: redeem_until,
                root,
            },
            payee,
            allowance,
            salt,
            path,
            spent,
            signature,
            to,
            siblings: siblings.into(),
            anchor,
            step,
            k,
            x,
            consent,
        })
    }

    const fn has_stream(&self) -> bool {
        !self.anchor.const_is_zero() || self.step != 0 || self.k != 0 || !self.x.const_is_zero()
    }
}

/// Counts the zero bytes before a level's sum, of which the last byte always counts as a part.
fn leading_zeros(level: &[u8; LEVEL]) -> usize {
    level[HASH..LEVEL - 1]
        .iter()
        .take_while(|byte| **byte == 0)
        .count()
}

/// Walks a proof from its leaf to the root, and returns the root's hash and sum (SPEC section 5).
fn root_and_sum(
    payee: Address,
    allowance: u128,
    salt: B128,
    path: U40,
    siblings: &[u8],
) -> Result<(B256, u128), UnpackError> {
    let (levels, _) = siblings.as_chunks::<LEVEL>();
    let path: u64 = path.to();
    if levels.len() > MAX_DEPTH || path >> levels.len() != 0 {
        return Err(UnpackError::BadProof);
    }
    let leaf = [payee.as_slice(), &allowance.to_be_bytes(), salt.as_slice()];
    let mut hash = keccak256(leaf.concat());
    let mut total = U256::from(allowance);
    for (level, sibling) in levels.iter().enumerate() {
        let (_, sum) = sibling.split_at(HASH);
        let node = [hash.as_slice(), &total.to_be_bytes::<32>()[SUM..]].concat();
        hash = keccak256(if path >> level & 1 == 1 {
            [sibling.as_slice(), &node].concat()
        } else {
            [&node, sibling.as_slice()].concat()
        });
        // At most 41 sums below 2^128.
        total += U256::from_be_slice(sum);
    }
    let sum = u128::try_from(total).map_err(|_| UnpackError::BadProof)?;
    Ok((hash, sum))
}

/// The unread bytes, and the length of the whole.
struct Unread<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl Unread<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnpackError> {
        let (read, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or_else(|| self.too_short(N))?;
        self.bytes = rest;
        Ok(*read)
    }

    fn bytes(&mut self, number: usize) -> Result<Bytes, UnpackError> {
        let (read, rest) = self
            .bytes
            .split_at_checked(number)
            .ok_or_else(|| self.too_short(number))?;
        self.bytes = rest;
        Ok(Bytes::copy_from_slice(read))
    }

    /// Reads siblings whose sums have `width` bytes, and writes each sum in full.
    fn siblings(&mut self, depth: usize, width: usize) -> Result<Vec<u8>, UnpackError> {
        let packed = self.bytes(depth * (HASH + width))?;
        let mut siblings = Vec::with_capacity(depth * LEVEL);
        for sibling in packed.chunks_exact(HASH + width) {
            let (hash, sum) = sibling.split_at(HASH);
            siblings.extend_from_slice(hash);
            siblings.resize(siblings.len() + SUM - width, 0);
            siblings.extend_from_slice(sum);
        }
        Ok(siblings)
    }

    fn address(&mut self) -> Result<Address, UnpackError> {
        Ok(self.array()?.into())
    }

    fn word(&mut self) -> Result<B256, UnpackError> {
        Ok(self.array()?.into())
    }

    /// The error of a read of `wanted` bytes with fewer left.
    fn too_short(&self, wanted: usize) -> UnpackError {
        UnpackError::TooShort {
            length: self.length,
            least: (self.length - self.bytes.len() + wanted).max(FIXED),
        }
    }
}

#[cfg(test)]
mod tests;
