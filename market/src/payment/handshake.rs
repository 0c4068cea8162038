//! Agreeing on a module before the first payment.

use alloy_primitives::Address;
use alloy_rlp::{Bytes, RlpDecodable, RlpEncodable};

/// Of the bytes of an offer.
const VERSION: u8 = 1;

/// The longest identity that another end may send, in bytes.
const LONGEST_IDENTITY: usize = 256;

/// What one end of a payment module works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The module: a name and version that both ends know.
    pub identity: String,
    /// The chain.
    pub chain_id: u64,
    /// The contract that holds the money, if the module uses one.
    pub bank: Option<Address>,
    /// The token (zero: the native coin).
    pub token: Address,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Wire {
    identity: String,
    chain_id: u64,
    /// An address or nothing.
    bank: Bytes,
    token: Address,
}

/// Why bytes are no offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// They are of another version.
    #[error(
        "the offer has version {found}, and this program knows version {VERSION}: one end needs a newer program"
    )]
    Version {
        /// The bytes' version.
        found: u8,
    },
    /// They are not what their version says.
    #[error("these {length} bytes are no offer")]
    Malformed {
        /// How many there are.
        length: usize,
    },
}

impl Offer {
    /// The bytes to send to the other end: a version byte, and the RLP list of the fields in their order, in which no bank
    /// is an empty string.
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

    /// Reads what another end has sent. Whether it is acceptable is for [`handshake`] to say.
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
        if wire.identity.len() > LONGEST_IDENTITY {
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

/// Why two ends cannot pay each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// They are ends of different modules, or this one is not registered.
    #[error("they pay by {theirs:?}, and here are {ours:?}: agree on one module")]
    Module {
        /// Known here.
        ours: Vec<String>,
        /// What the other end offers.
        theirs: String,
    },
    /// They are on different chains.
    #[error("their payments are on chain {theirs}, ours on {ours}: use one chain")]
    Chain {
        /// Here.
        ours: u64,
        /// There.
        theirs: u64,
    },
    /// They use different banks.
    #[error("their bank is {theirs:?}, ours {ours:?}: use one bank")]
    Bank {
        /// Here.
        ours: Option<Address>,
        /// There.
        theirs: Option<Address>,
    },
    /// They use different tokens.
    #[error("their token is {theirs}, ours {ours}: use one token")]
    Token {
        /// Here.
        ours: Address,
        /// There.
        theirs: Address,
    },
}

/// Whether two ends can pay each other.
///
/// # Errors
///
/// [`HandshakeError`], which names both sides.
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
