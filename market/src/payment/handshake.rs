//! Agreement on a payment module before the first payment.

use alloy_primitives::Address;
use alloy_rlp::{Bytes, RlpDecodable, RlpEncodable};

/// Version of the bytes of an offer.
const VERSION: u8 = 1;

/// Maximum length of an identity from the other end, in bytes.
const MAX_IDENTITY_BYTES: usize = 256;

/// The terms of one end of a payment module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Name and version of the module, known to both ends.
    pub identity: String,
    /// Id of the chain.
    pub chain_id: u64,
    /// Contract that holds the money, if the module uses one.
    pub bank: Option<Address>,
    /// Token of the payments (zero: the native coin).
    pub token: Address,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Wire {
    identity: String,
    chain_id: u64,
    /// An address, or empty.
    bank: Bytes,
    token: Address,
}

/// An error of reading an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The offer has another version.
    #[error(
        "the offer has version {found} and this program knows version {VERSION}; update the older program"
    )]
    Version {
        /// Version of the offer.
        found: u8,
    },
    /// The bytes do not match their version.
    #[error("these {length} bytes are no offer; check that the other end sends one")]
    Malformed {
        /// Number of bytes.
        length: usize,
    },
}

impl Offer {
    /// Returns the bytes to send to the other end: a version byte, and the RLP list of the fields in their order,
    /// with an empty string for no bank.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bank = self.bank.as_ref().map(|bank| bank.as_slice());
        let wire = Wire {
            identity: self.identity.clone(),
            chain_id: self.chain_id,
            bank: Bytes::copy_from_slice(bank.unwrap_or_default()),
            token: self.token,
        };
        let mut bytes = vec![VERSION];
        bytes.append(&mut alloy_rlp::encode(&wire));
        bytes
    }

    /// Reads the bytes of another end. Does not check the terms: see [`handshake`].
    ///
    /// # Errors
    ///
    /// [`OfferError`], also for an identity of more than 256 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OfferError> {
        let length = bytes.len();
        let malformed = OfferError::Malformed { length };
        let (&found, rest) = bytes.split_first().ok_or(malformed)?;
        if found != VERSION {
            return Err(OfferError::Version { found });
        }
        let wire = alloy_rlp::decode_exact::<Wire>(rest).map_err(|_| malformed)?;
        if wire.identity.len() > MAX_IDENTITY_BYTES {
            return Err(malformed);
        }
        let bank = match wire.bank.is_empty() {
            true => None,
            false => Some(Address::try_from(wire.bank.as_ref()).map_err(|_| malformed)?),
        };
        Ok(Self {
            identity: wire.identity,
            chain_id: wire.chain_id,
            bank,
            token: wire.token,
        })
    }
}

/// A difference that prevents payments between two ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The modules differ, or no module of this identity is registered.
    #[error("they pay by {theirs:?}, and the modules here are {ours:?}; agree on one module")]
    Module {
        /// Registered modules of this end.
        ours: Vec<String>,
        /// Module of the other end.
        theirs: String,
    },
    /// The chains differ.
    #[error("their payments are on chain {theirs}, ours on {ours}; use one chain")]
    Chain {
        /// Chain of this end.
        ours: u64,
        /// Chain of the other end.
        theirs: u64,
    },
    /// The banks differ.
    #[error("their bank is {theirs:?}, ours {ours:?}; use one bank")]
    Bank {
        /// Bank of this end.
        ours: Option<Address>,
        /// Bank of the other end.
        theirs: Option<Address>,
    },
    /// The tokens differ.
    #[error("their token is {theirs}, ours {ours}; use one token")]
    Token {
        /// Token of this end.
        ours: Address,
        /// Token of the other end.
        theirs: Address,
    },
}

/// Checks that two ends can pay each other.
///
/// # Errors
///
/// [`HandshakeError`] with the values of both ends.
pub fn handshake(ours: &Offer, theirs: &Offer) -> Result<(), HandshakeError> {
    if ours.identity != theirs.identity {
        return Err(HandshakeError::Module {
            ours: vec![ours.identity.clone()],
            theirs: theirs.identity.clone(),
        });
    }
    if ours.chain_id != theirs.chain_id {
        let (ours, theirs) = (ours.chain_id, theirs.chain_id);
        return Err(HandshakeError::Chain { ours, theirs });
    }
    if ours.bank != theirs.bank {
        let (ours, theirs) = (ours.bank, theirs.bank);
        return Err(HandshakeError::Bank { ours, theirs });
    }
    if ours.token != theirs.token {
        let (ours, theirs) = (ours.token, theirs.token);
        return Err(HandshakeError::Token { ours, theirs });
    }
    Ok(())
}
