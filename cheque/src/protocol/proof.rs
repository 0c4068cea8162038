//! Proofs of payment on the wire: a type byte, then an RLP list (SPEC section 14).
//!
//! | type | proof | list |
//! |---|---|---|
//! | 0x01 | opening | chainId, bank, (deposit fields), allowance, salt, path, ((siblingHash, siblingSum), ...), payee, spent, anchor, step, signature |
//! | 0x02 | cheque | depositId, spent, anchor, step, signature |
//! | 0x03 | stream step | depositId, k, x |
//!
//! Integers are minimal and big-endian, byte strings have a fixed length; an anchor of zero is the empty string. Every
//! proof has exactly one encoding, and other bytes are an error. As text, a proof is unpadded base64url (RFC 4648,
//! section 5).

use crate::protocol::{
    allowance::proof::{AllowanceProof, Sibling},
    amount::Amount,
    cheque::SignedCheque,
    signature::Signature,
    stream::MAX_STEPS,
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B128, B256, FixedBytes};
use alloy_rlp::{BufMut, Decodable, Encodable, Header, RlpDecodable, RlpEncodable};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cheque_bindings::Deposit;
use std::{fmt, str::FromStr};

const OPENING: u8 = 0x01;
const CHEQUE: u8 = 0x02;
const STEP: u8 = 0x03;

/// A proof of payment, from a payer to a payee.
///
/// Untrusted until [`receive_payment`](crate::receive_payment) has accepted it: decoding checks the form only.
/// Exhaustive by design: a further type of proof is a new version of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A cheque with the terms and the allowance proof. The first proof of each (deposit, payee) must be an opening.
    Opening(Box<Opening>),
    /// A later cheque.
    Cheque(DepositId, SignedCheque),
    /// `k` steps of the stream of the newest cheque: x = x_{n-k}.
    Step {
        /// The deposit.
        deposit: DepositId,
        /// The number of steps paid, counted from the anchor; 1 to [`MAX_STEPS`].
        k: u32,
        /// x_{n-k}.
        x: B256,
    },
}

/// A cheque with the deposit's terms and the payee's allowance. Plain data, exhaustive by design: the fields are those
/// of the wire format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The bank that holds the deposit.
    pub bank: Bank,
    /// The deposit's terms.
    pub deposit: Deposit,
    /// The payee's leaf and its path to the root.
    pub allowance: AllowanceProof,
    /// The payee.
    pub payee: Address,
    /// The cheque.
    pub cheque: SignedCheque,
}

/// The reason why bytes or a text are not a proof of payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The input is empty.
    #[error("the proof is empty")]
    Empty,
    /// This version does not know the type of proof.
    #[error("unknown type of proof {0:#04x}")]
    UnknownType(u8),
    /// The bytes are not the type's list in its canonical form.
    #[error("the proof is malformed: {0}")]
    Malformed(alloy_rlp::Error),
    /// More bytes follow the proof.
    #[error("{0} bytes follow the proof")]
    TrailingBytes(usize),
    /// The number of steps is not 1 to [`MAX_STEPS`].
    #[error("a stream has 1 to {MAX_STEPS} steps, the proof shows {0}")]
    StepsOutOfRange(u64),
    /// The text is not canonical unpadded base64url.
    #[error("the text is not unpadded base64url: {0}")]
    Text(base64::DecodeError),
}

impl Proof {
    /// Returns the id of the deposit. For an opening, computes the id from the terms.
    pub fn deposit_id(&self) -> DepositId {
        match self {
            Self::Opening(opening) => opening.bank.deposit_id(&opening.deposit),
            Self::Cheque(deposit, _) | Self::Step { deposit, .. } => *deposit,
        }
    }

    /// Encodes the proof.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        match self {
            Self::Opening(opening) => {
                out.push(OPENING);
                OpeningFields::from(&**opening).encode(&mut out);
            }
            Self::Cheque(deposit, cheque) => {
                out.push(CHEQUE);
                ChequeFields {
                    deposit: deposit.0,
                    spent: cheque.spent.get(),
                    anchor: Anchor(cheque.anchor),
                    step: cheque.step.get(),
                    signature: cheque.signature.as_bytes().into(),
                }
                .encode(&mut out);
            }
            Self::Step { deposit, k, x } => {
                out.push(STEP);
                StepFields {
                    deposit: deposit.0,
                    k: u64::from(*k),
                    x: *x,
                }
                .encode(&mut out);
            }
        }
        out
    }

    /// Decodes a proof. Accepts exactly the encodings of [`Proof::encode`]. Does not check that the proof pays
    /// anything.
    ///
    /// # Errors
    ///
    /// [`WireError`] names the first fault of the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let (&kind, mut rest) = bytes.split_first().ok_or(WireError::Empty)?;
        let proof = match kind {
            OPENING => OpeningFields::decode(&mut rest)?.into(),
            CHEQUE => ChequeFields::decode(&mut rest)?.into(),
            STEP => StepFields::decode(&mut rest)?.try_into()?,
            unknown => return Err(WireError::UnknownType(unknown)),
        };
        if rest.is_empty() {
            Ok(proof)
        } else {
            Err(WireError::TrailingBytes(rest.len()))
        }
    }
}

/// Writes the text form.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl FromStr for Proof {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(WireError::Text)?;
        Self::decode(&bytes)
    }
}

impl From<alloy_rlp::Error> for WireError {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Malformed(error)
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct OpeningFields {
    chain_id: u64,
    bank: Address,
    deposit: DepositFields,
    allowance: u128,
    salt: B128,
    path: u64,
    siblings: Vec<SiblingFields>,
    payee: Address,
    spent: u128,
    anchor: Anchor,
    step: u128,
    signature: FixedBytes<65>,
}

/// The terms, in the order of the hashed struct.
#[derive(RlpEncodable, RlpDecodable)]
pub(crate) struct DepositFields {
    payer: Address,
    signer: Address,
    token: Address,
    lane: u64,
    amount: u128,
    min_payout: u128,
    draw_time: u64,
    redeem_until: u64,
    root: B256,
}

#[derive(RlpEncodable, RlpDecodable)]
pub(crate) struct SiblingFields {
    hash: B256,
    sum: u128,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ChequeFields {
    deposit: B256,
    spent: u128,
    anchor: Anchor,
    step: u128,
    signature: FixedBytes<65>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StepFields {
    deposit: B256,
    k: u64,
    x: B256,
}

/// The encoding of an anchor: 32 bytes, or the empty string for zero.
pub(crate) struct Anchor(pub(crate) B256);

impl Encodable for Anchor {
    fn encode(&self, out: &mut dyn BufMut) {
        if self.0.is_zero() {
            [0; 0].as_slice().encode(out);
        } else {
            self.0.encode(out);
        }
    }

    fn length(&self) -> usize {
        if self.0.is_zero() { 1 } else { self.0.length() }
    }
}

impl Decodable for Anchor {
    fn decode(rest: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let bytes = Header::decode_bytes(rest, false)?;
        if bytes.is_empty() {
            return Ok(Self(B256::ZERO));
        }
        let anchor = B256::try_from(bytes).map_err(|_| alloy_rlp::Error::UnexpectedLength)?;
        if anchor.is_zero() {
            return Err(alloy_rlp::Error::Custom(
                "an anchor of zero must be the empty string",
            ));
        }
        Ok(Self(anchor))
    }
}

impl From<&Sibling> for SiblingFields {
    fn from(sibling: &Sibling) -> Self {
        Self {
            hash: sibling.hash,
            sum: sibling.sum.get(),
        }
    }
}

impl From<SiblingFields> for Sibling {
    fn from(fields: SiblingFields) -> Self {
        Self {
            hash: fields.hash,
            sum: Amount::new(fields.sum),
        }
    }
}

impl From<&Opening> for OpeningFields {
    fn from(opening: &Opening) -> Self {
        Self {
            chain_id: opening.bank.chain_id(),
            bank: opening.bank.address(),
            deposit: (&opening.deposit).into(),
            allowance: opening.allowance.allowance.get(),
            salt: opening.allowance.salt,
            path: opening.allowance.path,
            siblings: opening.allowance.siblings.iter().map(Into::into).collect(),
            payee: opening.payee,
            spent: opening.cheque.spent.get(),
            anchor: Anchor(opening.cheque.anchor),
            step: opening.cheque.step.get(),
            signature: opening.cheque.signature.as_bytes().into(),
        }
    }
}

impl From<OpeningFields> for Proof {
    fn from(fields: OpeningFields) -> Self {
        Self::Opening(Box::new(Opening {
            bank: Bank::new(fields.chain_id, fields.bank),
            deposit: fields.deposit.into(),
            allowance: AllowanceProof {
                allowance: Amount::new(fields.allowance),
                salt: fields.salt,
                path: fields.path,
                siblings: fields.siblings.into_iter().map(Into::into).collect(),
            },
            payee: fields.payee,
            cheque: signed_cheque(fields.spent, fields.anchor, fields.step, fields.signature),
        }))
    }
}

impl From<ChequeFields> for Proof {
    fn from(fields: ChequeFields) -> Self {
        Self::Cheque(
            DepositId(fields.deposit),
            signed_cheque(fields.spent, fields.anchor, fields.step, fields.signature),
        )
    }
}

impl TryFrom<StepFields> for Proof {
    type Error = WireError;

    fn try_from(fields: StepFields) -> Result<Self, WireError> {
        match u32::try_from(fields.k) {
            Ok(k) if (1..=MAX_STEPS).contains(&k) => Ok(Self::Step {
                deposit: DepositId(fields.deposit),
                k,
                x: fields.x,
            }),
            _ => Err(WireError::StepsOutOfRange(fields.k)),
        }
    }
}

fn signed_cheque(
    spent: u128,
    anchor: Anchor,
    step: u128,
    signature: FixedBytes<65>,
) -> SignedCheque {
    SignedCheque {
        spent: Amount::new(spent),
        anchor: anchor.0,
        step: Amount::new(step),
        signature: Signature::from_bytes(signature.0),
    }
}

impl From<&Deposit> for DepositFields {
    fn from(deposit: &Deposit) -> Self {
        Self {
            payer: deposit.payer,
            signer: deposit.signer,
            token: deposit.token,
            lane: deposit.lane,
            amount: deposit.amount,
            min_payout: deposit.minPayout,
            draw_time: deposit.drawTime,
            redeem_until: deposit.redeemUntil,
            root: deposit.root,
        }
    }
}

impl From<DepositFields> for Deposit {
    fn from(fields: DepositFields) -> Self {
        Self {
            payer: fields.payer,
            signer: fields.signer,
            token: fields.token,
            lane: fields.lane,
            amount: fields.amount,
            minPayout: fields.min_payout,
            drawTime: fields.draw_time,
            redeemUntil: fields.redeem_until,
            root: fields.root,
        }
    }
}

#[cfg(test)]
mod tests;
