//! Cheques: signed, cumulative promises.

use crate::protocol::{
    amount::Amount,
    signature::{PublicKey, Signature, SignatureError, SigningKey, recover},
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Cheque;

/// What a signer signed for one payee of one deposit: "I have spent `spent` of your allowance so far", and the stream
/// that may follow. Which payee and which deposit is known from where it is kept.
///
/// It is untrusted until [`SignedCheque::signer`] has told whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedCheque {
    /// Cumulative expected value, in token units.
    pub spent: Amount,
    /// The end of the stream's hash chain, zero without a stream.
    pub anchor: B256,
    /// What one step of the stream pays, in token units; zero without a stream.
    pub step: Amount,
    /// The signer's signature over the EIP-712 digest of the [`Cheque`].
    pub signature: Signature,
}

impl SignedCheque {
    /// Signs a cheque. Does not check `spent` against an allowance: see [`Account`](crate::Account) for that.
    pub fn sign(
        key: &SigningKey,
        bank: &Bank,
        deposit: DepositId,
        payee: Address,
        spent: Amount,
        stream: Option<(B256, Amount)>,
    ) -> Self {
        let (anchor, step) = stream.unwrap_or_default();
        let mut cheque = Self {
            spent,
            anchor,
            step,
            signature: Signature::from_bytes([0; 65]),
        };
        cheque.signature = key.sign(cheque.digest(bank, deposit, payee));
        cheque
    }

    /// What was signed.
    pub fn digest(&self, bank: &Bank, deposit: DepositId, payee: Address) -> B256 {
        bank.cheque_digest(&Cheque {
            depositId: deposit.0,
            payee,
            spent: self.spent.get(),
            anchor: self.anchor,
            step: self.step.get(),
        })
    }

    /// Who signed it as a cheque for `payee` from `deposit`. Wrong context gives some other key, or none.
    pub fn signer(
        &self,
        bank: &Bank,
        deposit: DepositId,
        payee: Address,
    ) -> Result<PublicKey, SignatureError> {
        recover(self.digest(bank, deposit, payee), &self.signature)
    }

    /// Whether a stream may follow. An anchor and a step come together or not at all: see [`StreamTermsError`].
    pub fn has_stream(&self) -> bool {
        !self.anchor.is_zero()
    }

    /// What it comes to with `k` steps of its stream shown, in token units: spent + k * step. `None` where that exceeds
    /// [`Amount::MAX`].
    pub fn total(&self, k: u32) -> Option<Amount> {
        self.spent.checked_add(self.step.checked_mul(k.into())?)
    }

    /// Checks that anchor and step come together.
    pub fn check_stream_terms(&self) -> Result<(), StreamTermsError> {
        if self.anchor.is_zero() == self.step.is_zero() {
            Ok(())
        } else {
            Err(StreamTermsError)
        }
    }
}

/// A cheque has an anchor without a step, or a step without an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream needs both an anchor and a step that are not zero")]
pub struct StreamTermsError;
