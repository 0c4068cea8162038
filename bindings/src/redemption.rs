//! Packed redemptions, the form that the bank takes. The interface has the layout, at `struct Redemption`.

use alloy_primitives::{Address, B128, B256, Bytes, aliases::U40};

use crate::{Deposit, Redemption};

/// Bytes of the part that every redemption has.
const FIXED: usize = 310;
/// Bytes per level of a proof: the sibling's hash and sum.
const LEVEL: usize = 48;
/// Bytes of anchor, step, k and x.
const STREAM: usize = 82;
/// Bytes of a signature: r, s, v.
const SIGNATURE: usize = 65;

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
    /// The header's length does not fit two bytes.
    #[error("the header has {0} bytes, at most {max} can be packed", max = u16::MAX)]
    HeaderTooLong(usize),
}

/// The reason why bytes are no packed redemption: exactly the reasons for which the bank answers `Malformed`.
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
    /// The bytes announce more than one stream.
    #[error("the packed redemption announces {0} streams, a cheque opens at most one")]
    TooManyStreams(u8),
}

impl Redemption {
    /// Returns the bytes that `redeem`, `redeemBatch` and `outcomeOf` take.
    ///
    /// Omits the stream if `anchor`, `step`, `k` and `x` are all zero. Does not check whether the bank would pay.
    ///
    /// # Errors
    ///
    /// [`PackError`] if a part does not fit the packed form.
    pub fn pack(&self) -> Result<Bytes, PackError> {
        if !self.siblings.len().is_multiple_of(LEVEL) {
            return Err(PackError::RaggedSiblings(self.siblings.len()));
        }
        let levels = self.siblings.len() / LEVEL;
        let depth = u8::try_from(levels).map_err(|_| PackError::TooManyLevels(levels))?;
        if self.signature.len() != SIGNATURE {
            return Err(PackError::SignatureLength(self.signature.len()));
        }
        let header = u16::try_from(self.header.len())
            .map_err(|_| PackError::HeaderTooLong(self.header.len()))?;

        let streamed = self.has_stream();
        let length = FIXED
            + self.siblings.len()
            + if streamed { STREAM } else { 0 }
            + self.header.len()
            + self.consent.len();
        let mut packed = Vec::with_capacity(length);
        let d = &self.deposit;
        packed.extend_from_slice(d.payer.as_slice());
        packed.extend_from_slice(d.signer.as_slice());
        packed.extend_from_slice(d.token.as_slice());
        packed.extend_from_slice(&d.lane.to_be_bytes());
        packed.extend_from_slice(&d.amount.to_be_bytes());
        packed.extend_from_slice(&d.minPayout.to_be_bytes());
        packed.extend_from_slice(&d.drawBlock.to_be_bytes());
        packed.extend_from_slice(&d.lastRedeemBlock.to_be_bytes());
        packed.extend_from_slice(d.root.as_slice());

        packed.extend_from_slice(self.payee.as_slice());
        packed.extend_from_slice(&self.allowance.to_be_bytes());
        packed.extend_from_slice(self.salt.as_slice());
        packed.extend_from_slice(&self.path.to_be_bytes::<5>());
        packed.extend_from_slice(&self.spent.to_be_bytes());
        packed.extend_from_slice(&self.signature);
        packed.extend_from_slice(self.to.as_slice());

        packed.extend_from_slice(&[depth, u8::from(streamed)]);
        packed.extend_from_slice(&header.to_be_bytes());

        packed.extend_from_slice(&self.siblings);
        if streamed {
            packed.extend_from_slice(self.anchor.as_slice());
            packed.extend_from_slice(&self.step.to_be_bytes());
            packed.extend_from_slice(&self.k.to_be_bytes());
            packed.extend_from_slice(self.x.as_slice());
        }
        packed.extend_from_slice(&self.header);
        packed.extend_from_slice(&self.consent);
        Ok(packed.into())
    }

    /// Reads packed bytes as the bank does; `consent` is the rest. Does not check the fields.
    ///
    /// Packing the result gives the same bytes again, except that a stream of zeros is omitted.
    ///
    /// # Errors
    ///
    /// [`UnpackError`] if the bank would answer `Malformed`.
    pub fn unpack(packed: &[u8]) -> Result<Self, UnpackError> {
        let mut rest = Unread {
            bytes: packed,
            length: packed.len(),
        };
        let deposit = Deposit {
            payer: rest.address()?,
            signer: rest.address()?,
            token: rest.address()?,
            lane: u64::from_be_bytes(rest.array()?),
            amount: u128::from_be_bytes(rest.array()?),
            minPayout: u128::from_be_bytes(rest.array()?),
            drawBlock: u64::from_be_bytes(rest.array()?),
            lastRedeemBlock: u64::from_be_bytes(rest.array()?),
            root: rest.word()?,
        };
        let payee = rest.address()?;
        let allowance = u128::from_be_bytes(rest.array()?);
        let salt = B128::from(rest.array()?);
        let path = U40::from_be_bytes::<5>(rest.array()?);
        let spent = u128::from_be_bytes(rest.array()?);
        let signature = rest.bytes(SIGNATURE)?;
        let to = rest.address()?;
        let [depth, streams] = rest.array()?;
        let header = u16::from_be_bytes(rest.array()?);
        if streams > 1 {
            return Err(UnpackError::TooManyStreams(streams));
        }

        let siblings = rest.bytes(LEVEL * usize::from(depth))?;
        let (anchor, step, k, x) = if streams == 1 {
            (
                rest.word()?,
                u128::from_be_bytes(rest.array()?),
                u16::from_be_bytes(rest.array()?),
                rest.word()?,
            )
        } else {
            (B256::ZERO, 0, 0, B256::ZERO)
        };
        let header = rest.bytes(usize::from(header))?;
        Ok(Self {
            deposit,
            payee,
            allowance,
            salt,
            path,
            spent,
            signature,
            to,
            siblings,
            anchor,
            step,
            k,
            x,
            header,
            consent: Bytes::copy_from_slice(rest.bytes),
        })
    }

    const fn has_stream(&self) -> bool {
        !self.anchor.const_is_zero() || self.step != 0 || self.k != 0 || !self.x.const_is_zero()
    }
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
