//! The payer's account of a payee: the state of its allowance, and payments from it (SPEC section 12.1).

pub(crate) mod encoding;

use crate::protocol::{
    amount::Amount,
    cheque::SignedCheque,
    proof::Proof,
    signature::SigningKey,
    stream::{MAX_STEPS, Stream, StreamLengthError, hash_chain},
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B256};

/// A payer's account of a payee in a deposit: the allowance, the newest cheque, and the open stream.
///
/// Every payment returns a new account. The caller must store it durably before the proof of the payment leaves the
/// process; otherwise a crash makes the payer forget a promise, and promise the same money again.
///
/// Does not check that the deposit is open, confirmed, before its cutoff, or that it grants the allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    allowance: Amount,
    newest: Option<SignedCheque>,
    /// The number of steps taken since the newest cheque.
    shown: u32,
    /// The newest cheque's stream. Unknown after [`Account::resume`], although steps may have been shown.
    stream: Option<Stream>,
}

/// The key, bank, deposit and payee of a cheque. Plain data, exhaustive by design.
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

/// The reason why a payment cannot be made. The account is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A payment of zero.
    #[error("the amount is zero")]
    ZeroAmount,
    /// The allowance does not cover the payment.
    #[error("{needed} is more than the {left} left of the allowance")]
    NotCovered {
        /// The amount that the payment takes, in token units.
        needed: Amount,
        /// The rest of the allowance, in token units.
        left: Amount,
    },
    /// The stream does not have 1 to [`MAX_STEPS`] steps.
    #[error(transparent)]
    StreamLength(#[from] StreamLengthError),
    /// The account has no open stream.
    #[error("no stream is open; open one first")]
    NoStream,
    /// The stream has fewer steps left.
    #[error("{wanted} steps are more than the {left} left of the stream")]
    StreamUsedUp {
        /// The number of steps to take.
        wanted: u32,
        /// The number of steps left.
        left: u32,
    },
    /// Another key signed the cheque to resume from.
    #[error("the cheque to resume from is not signed by this key")]
    ForeignCheque,
    /// The steps to resume from belong to another stream.
    #[error("the steps to resume from do not lead to the cheque's anchor")]
    ForeignStep,
}

impl Account {
    /// Makes the account of a payee before its first payment. `allowance` is in token units.
    pub const fn new(allowance: Amount) -> Self {
        Self {
            allowance,
            newest: None,
            shown: 0,
            stream: None,
        }
    }

    /// Returns the payee's allowance, in token units.
    pub const fn allowance(&self) -> Amount {
        self.allowance
    }

    /// Returns the total paid so far, stream steps included, in token units.
    pub fn total(&self) -> Amount {
        let Some(newest) = &self.newest else {
            return Amount::ZERO;
        };
        // Never above the allowance: every step was checked against it.
        newest.total(self.shown).unwrap_or(Amount::MAX)
    }

    /// Returns the rest of the allowance, in token units.
    pub fn left(&self) -> Amount {
        self.allowance.saturating_sub(self.total())
    }

    /// Returns the newest cheque; `None` before the first.
    pub const fn newest(&self) -> Option<&SignedCheque> {
        self.newest.as_ref()
    }

    /// Returns the number of steps left in the open stream; zero without one.
    pub fn steps_left(&self) -> u32 {
        let length = self.stream.as_ref().map_or(0, Stream::length);
        length.saturating_sub(self.shown)
    }

    /// Returns the proof of the newest payment: the newest step of the open stream if any, else the newest cheque.
    /// `None` before the first cheque.
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

    /// Pays `amount`, in token units, by a cheque. Ends an open stream.
    ///
    /// # Errors
    ///
    /// Fails for an amount of zero or above [`Account::left`].
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

    /// Opens a stream of steps of `step` each, and pays `amount` (zero is allowed) with the same cheque. Both are in
    /// token units.
    ///
    /// Does not check that the hash chain of `stream` is fresh: an earlier holder of its x_0 could take all steps.
    ///
    /// # Errors
    ///
    /// Fails for a step of zero, and if `amount` and the whole stream exceed [`Account::left`].
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

    /// Pays the next `steps` steps of the open stream.
    ///
    /// # Errors
    ///
    /// Fails for zero steps, without an open stream, and above [`Account::steps_left`].
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
        // The allowance covers the whole stream since its opening.
        Ok(Self {
            shown: self.shown + steps,
            ..self.clone()
        })
    }

    /// Restores lost state from a payee: a newer cheque of the payer's own key, and `k` steps of its stream, shown by x
    /// (both zero for none). Checks the signature and the steps.
    ///
    /// Changes nothing if the account's total is at least as high, with an exception: a fork of the account whose
    /// newest cheque the payee can never accept gets a new cheque over the account's total. The stream taken over or
    /// replaced allows no further steps.
    ///
    /// # Errors
    ///
    /// Fails if another key signed the cheque, if x does not lead to its anchor, or if its total exceeds the allowance.
    pub fn resume(
        &self,
        cheque: &SignedCheque,
        (k, x): (u32, B256),
        context: &ChequeContext<'_>,
    ) -> Result<Self, WriteError> {
        let digest = cheque.digest(context.bank, context.deposit, context.payee);
        let own = context.key.public_key();
        // A payee may have kept any v, so v is recomputed.
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
            // An account restored to an old state may have continued differently. Its newest cheque is then below the
            // payee's total, and the payee would accept neither the cheque nor its stream.
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

    /// Returns the total after a payment of `amount` (`None`: above all amounts).
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
}

#[cfg(test)]
mod tests;
