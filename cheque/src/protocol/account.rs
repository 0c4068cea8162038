//! What a payer keeps of one payee's allowance, and how it pays from it.

use crate::protocol::{
    amount::Amount,
    cheque::SignedCheque,
    proof::{Anchor, Proof},
    signature::{Signature, SigningKey},
    stream::{MAX_STEPS, Stream, StreamLengthError, hash_chain},
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B256, FixedBytes};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

/// The version of the bytes that [`Account::to_bytes`] writes.
const VERSION: u8 = 1;

/// A payer's account of one payee in one deposit: what was spent of the allowance, by which cheque and which stream.
///
/// Every payment gives a new account. It must be on disk before the proof of the payment leaves the process, else a
/// crash could make the payer forget what it has promised, and promise the same money again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    allowance: Amount,
    newest: Option<SignedCheque>,
    /// The steps taken since the newest cheque.
    shown: u32,
    /// The newest cheque's stream. Unknown after [`Account::resume`], though steps of it may be shown.
    stream: Option<Stream>,
}

/// For whom and from what a cheque is written, and with which key.
#[derive(Clone, Copy, Debug)]
pub struct ChequeContext<'a> {
    /// The key of the deposit's signer.
    pub key: &'a SigningKey,
    /// The bank that holds the deposit.
    pub bank: &'a Bank,
    /// The deposit.
    pub deposit: DepositId,
    /// The payee.
    pub payee: Address,
}

/// Why a payment cannot be made. The account stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is nothing to pay.
    #[error("the amount is zero")]
    ZeroAmount,
    /// The allowance does not cover it.
    #[error("{needed} is more than the {left} left of the allowance")]
    NotCovered {
        /// What the payment takes, in token units.
        needed: Amount,
        /// What is left of the allowance.
        left: Amount,
    },
    /// A stream has 1 to [`MAX_STEPS`] steps.
    #[error(transparent)]
    StreamLength(#[from] StreamLengthError),
    /// There is no stream to take a step in.
    #[error("no stream is open; open one first")]
    NoStream,
    /// The stream is shorter.
    #[error("{wanted} steps are more than the {left} left of the stream")]
    StreamUsedUp {
        /// The steps to take.
        wanted: u32,
        /// The steps left.
        left: u32,
    },
    /// A cheque to resume from is not by the signer's own key.
    #[error("the cheque to resume from is not signed by this key")]
    ForeignCheque,
    /// The steps to resume from are not of that cheque's stream.
    #[error("the steps to resume from do not lead to the cheque's anchor")]
    ForeignStep,
}

/// The bytes are no account that this version wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Written by another version of this library.
    #[error("the account is of version {0}, this library knows version {VERSION}")]
    UnknownVersion(u8),
    /// Damaged.
    #[error("the account is damaged: {0}")]
    Damaged(alloy_rlp::Error),
}

impl Account {
    /// The account of a payee that was paid nothing yet.
    pub const fn new(allowance: Amount) -> Self {
        Self {
            allowance,
            newest: None,
            shown: 0,
            stream: None,
        }
    }

    /// The payee's allowance, in token units.
    pub const fn allowance(&self) -> Amount {
        self.allowance
    }

    /// What was spent in all, stream steps included, in token units.
    pub fn total(&self) -> Amount {
        let Some(newest) = &self.newest else {
            return Amount::ZERO;
        };
        // Bounded by the allowance when the steps were taken.
        newest.total(self.shown).unwrap_or(Amount::MAX)
    }

    /// What is left of the allowance, in token units.
    pub fn left(&self) -> Amount {
        self.allowance.saturating_sub(self.total())
    }

    /// The newest cheque.
    pub const fn newest(&self) -> Option<&SignedCheque> {
        self.newest.as_ref()
    }

    /// The steps of the open stream that were not taken yet.
    pub fn steps_left(&self) -> u32 {
        let length = self.stream.as_ref().map_or(0, Stream::length);
        length.saturating_sub(self.shown)
    }

    /// The proof of the newest payment: the stream step if one was taken since the newest cheque, else the cheque.
    pub fn last_proof(&self, deposit: DepositId) -> Option<Proof> {
        let newest = self.newest?;
        match &self.stream {
            Some(stream) if self.shown > 0 => Some(Proof::Step {
                deposit,
                k: self.shown,
                x: stream.show(self.shown)?,
            }),
            _ => Some(Proof::Cheque(deposit, newest)),
        }
    }

    /// Pays `amount` more by a cheque, and ends an open stream.
    pub fn write_cheque(
        &self,
        amount: Amount,
        context: &ChequeContext<'_>,
    ) -> Result<Self, WriteError> {
        if amount.is_zero() {
            return Err(WriteError::ZeroAmount);
        }
        let spent = self.covered(Some(amount))?;
        Ok(self.with_cheque(spent, None, context))
    }

    /// Begins a stream of steps that pay `step` each, and pays `amount` (zero is fine) with the same cheque. The whole
    /// stream must fit into what is left of the allowance.
    ///
    /// The chain behind `stream` must be fresh: whoever saw its x_0 can take all steps.
    pub fn open_stream(
        &self,
        amount: Amount,
        step: Amount,
        stream: Stream,
        context: &ChequeContext<'_>,
    ) -> Result<Self, WriteError> {
        if step.is_zero() {
            return Err(WriteError::ZeroAmount);
        }
        let steps = step.checked_mul(stream.length().into());
        self.covered(steps.and_then(|steps| steps.checked_add(amount)))?;
        let spent = self.covered(Some(amount))?;
        Ok(self.with_cheque(spent, Some((stream, step)), context))
    }

    /// Pays `steps` more steps of the open stream.
    pub fn pay_steps(&self, steps: u32) -> Result<Self, WriteError> {
        if steps == 0 {
            return Err(WriteError::ZeroAmount);
        }
        if self.stream.is_none() {
            return Err(WriteError::NoStream);
        }
        let left = self.steps_left();
        if steps > left {
            return Err(WriteError::StreamUsedUp {
                wanted: steps,
                left,
            });
        }
        // The whole stream was covered when it began.
        Ok(Self {
            shown: self.shown + steps,
            ..self.clone()
        })
    }

    /// Takes over what a payee still has of a payer that has lost its records: a newer cheque of the payer's own key, and
    /// `k` steps of its stream shown by x (both zero for none). Both are checked. Without effect where the account knows
    /// as much or more; but if the payee can never accept its newest cheque, that is replaced by one over the account's
    /// total. Further steps of the stream taken over, or replaced, cannot be taken.
    pub fn resume(
        &self,
        cheque: &SignedCheque,
        (k, x): (u32, B256),
        context: &ChequeContext<'_>,
    ) -> Result<Self, WriteError> {
        let digest = cheque.digest(context.bank, context.deposit, context.payee);
        let own = context.key.public_key();
        // A payee keeps what it got, and v is not to be trusted.
        let signature = cheque.signature.with_recovery_id_for(digest, &own);
        let cheque = SignedCheque {
            signature: signature.ok_or(WriteError::ForeignCheque)?,
            ..*cheque
        };
        if k > 0 && (k > MAX_STEPS || hash_chain(x, k) != cheque.anchor) {
            return Err(WriteError::ForeignStep);
        }
        let total = cheque.total(k).unwrap_or(Amount::MAX);
        if total > self.allowance {
            return Err(WriteError::NotCovered {
                needed: total,
                left: self.left(),
            });
        }
        if total <= self.total() {
            // An account that went back to an old state may have gone on from it another way. Then its newest cheque
            // comes to less than the payee has, and neither it nor its stream would ever be accepted.
            let forked = self
                .newest
                .is_some_and(|own| own.spent < total && own != cheque);
            return Ok(if forked {
                self.with_cheque(self.total(), None, context)
            } else {
                self.clone()
            });
        }
        Ok(Self {
            allowance: self.allowance,
            newest: Some(cheque),
            shown: k,
            stream: None,
        })
    }

    /// The total after spending `amount` (`None`: more than all amounts).
    fn covered(&self, amount: Option<Amount>) -> Result<Amount, WriteError> {
        let left = self.left();
        amount
            .filter(|amount| *amount <= left)
            .and_then(|amount| self.total().checked_add(amount))
            .ok_or(WriteError::NotCovered {
                needed: amount.unwrap_or(Amount::MAX),
                left,
            })
    }

    fn with_cheque(
        &self,
        spent: Amount,
        stream: Option<(Stream, Amount)>,
        context: &ChequeContext<'_>,
    ) -> Self {
        let terms = stream
            .as_ref()
            .map(|(stream, step)| (stream.anchor(), *step));
        let cheque = SignedCheque::sign(
            context.key,
            context.bank,
            context.deposit,
            context.payee,
            spent,
            terms,
        );
        Self {
            allowance: self.allowance,
            newest: Some(cheque),
            shown: 0,
            stream: stream.map(|(stream, _)| stream),
        }
    }

    /// The bytes to store. They hold the secret of the open stream.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        Fields::from(self).encode(&mut bytes);
        bytes
    }

    /// Reads what [`Account::to_bytes`] wrote. The bytes are trusted: they must come from the payer's own store.
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
        let most = stream.as_ref().map_or(MAX_STEPS, Stream::length);
        if fields.shown > most {
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

#[cfg(test)]
mod tests;
