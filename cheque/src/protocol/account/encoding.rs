//! The stored form of an account: a version byte, then an RLP list.

use crate::protocol::{
    account::Account,
    amount::Amount,
    cheque::SignedCheque,
    proof::Anchor,
    signature::Signature,
    stream::{MAX_STEPS, Stream},
};
use alloy_primitives::{B256, FixedBytes};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

/// The version of the bytes that [`Account::to_bytes`] writes.
const VERSION: u8 = 1;

/// The reason why bytes are not a stored account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Another version of this library wrote the account.
    #[error(
        "the account has version {0}, and this program reads version {VERSION}; use the program that wrote it"
    )]
    UnknownVersion(u8),
    /// The bytes are not in the form of their version.
    #[error("the account is damaged: {0}")]
    Damaged(alloy_rlp::Error),
}

impl Account {
    /// Encodes the account for the store. The bytes hold the secret of the open stream.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        Fields::from(self).encode(&mut bytes);
        bytes
    }

    /// Decodes the bytes of [`Account::to_bytes`].
    ///
    /// Does not verify the cheque, so the bytes must come from the payer's own store.
    ///
    /// # Errors
    ///
    /// Fails for bytes of another version, and for damaged bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AccountError> {
        let damaged = AccountError::Damaged(alloy_rlp::Error::InputTooShort);
        let (&version, mut rest) = bytes.split_first().ok_or(damaged)?;
        if version != VERSION {
            return Err(AccountError::UnknownVersion(version));
        }
        let fields = Fields::decode(&mut rest).map_err(AccountError::Damaged)?;
        if !rest.is_empty() {
            return Err(AccountError::Damaged(alloy_rlp::Error::UnexpectedLength));
        }
        fields.try_into().map_err(AccountError::Damaged)
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct Fields {
    allowance: u128,
    cheques: Vec<ChequeFields>,
    shown: u32,
    streams: Vec<StreamFields>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ChequeFields {
    spent: u128,
    anchor: Anchor,
    step: u128,
    signature: FixedBytes<65>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StreamFields {
    x0: B256,
    length: u32,
}

impl From<&Account> for Fields {
    fn from(account: &Account) -> Self {
        let cheque = account.newest.map(|cheque| ChequeFields {
            spent: cheque.spent.get(),
            anchor: Anchor(cheque.anchor),
            step: cheque.step.get(),
            signature: cheque.signature.as_bytes().into(),
        });
        let stream = account.stream.as_ref().map(|stream| StreamFields {
            x0: stream.x0(),
            length: stream.length(),
        });
        Self {
            allowance: account.allowance.get(),
            cheques: cheque.into_iter().collect(),
            shown: account.shown,
            streams: stream.into_iter().collect(),
        }
    }
}

impl TryFrom<Fields> for Account {
    type Error = alloy_rlp::Error;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let newest = fields
            .cheques
            .into_iter()
            .next()
            .map(|cheque| SignedCheque {
                spent: Amount::new(cheque.spent),
                anchor: cheque.anchor.0,
                step: Amount::new(cheque.step),
                signature: Signature::from_bytes(cheque.signature.0),
            });
        let stream = fields.streams.into_iter().next();
        let stream = stream.map(|stream| Stream::new(stream.x0, stream.length));
        let stream = stream
            .transpose()
            .map_err(|_| alloy_rlp::Error::Custom("a stream of impossible length"))?;
        let max = stream.as_ref().map_or(MAX_STEPS, Stream::length);
        if fields.shown > max {
            return Err(alloy_rlp::Error::Custom("more steps shown than there are"));
        }
        Ok(Self {
            allowance: Amount::new(fields.allowance),
            newest,
            shown: fields.shown,
            stream,
        })
    }
}
