//! Cheques: signed, cumulative statements of an expected value (SPEC section 7).

use crate::protocol::{
    amount::Amount,
    signature::{PublicKey, Signature, SignatureError, SigningKey, recover},
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Cheque;

/// A signer's statement to a payee of a deposit, "I have spent `spent` of your allowance so far", with the terms of the
/// stream that may follow.
///
/// Untrusted until [`SignedCheque::signer`] has recovered the deposit's signer. Does not name its payee, deposit and
/// bank: the caller keeps them with the cheque. Plain data, exhaustive by design: the fields are those of the signed
/// struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedCheque {
    /// The cumulative expected value, in token units.
    pub spent: Amount,
    /// The end of the stream's hash chain, zero without a stream.
    pub anchor: B256,
    /// The amount of each step of the stream, in token units; zero without a stream.
    pub step: Amount,
    /// The signer's signature over the EIP-712 digest of the [`Cheque`].
    pub signature: Signature,
}

impl SignedCheque {
    /// Signs a cheque over the total `spent`, in token units; `stream` is its anchor and the amount of a step.
    ///
    /// Does not check `spent` against an allowance, nor that it exceeds earlier cheques; [`Account`](crate::Account)
    /// does.
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

    /// Computes the EIP-712 digest under the signature.
    pub fn digest(&self, bank: &Bank, deposit: DepositId, payee: Address) -> B256 {
        bank.cheque_digest(&Cheque {
            depositId: deposit.0,
            payee,
            spent: self.spent.get(),
            anchor: self.anchor,
            step: self.step.get(),
        })
    }

    /// Recovers the key that signed a cheque for `payee` from `deposit`.
    ///
    /// Another payee, deposit or bank yields another key or an error, so the caller must compare the key with the
    /// signer.
    ///
    /// # Errors
    ///
    /// Fails if no key made the signature: see [`recover`].
    pub fn signer(
        &self,
        bank: &Bank,
        deposit: DepositId,
        payee: Address,
    ) -> Result<PublicKey, SignatureError> {
        recover(self.digest(bank, deposit, payee), &self.signature)
    }

    /// True if the cheque has an anchor, so that a stream may follow. Does not check the step: see
    /// [`SignedCheque::check_stream_terms`].
    pub fn has_stream(&self) -> bool {
        !self.anchor.is_zero()
    }

    /// Computes the total with `k` steps shown, spent + k * step, in token units. `None` above [`Amount::MAX`].
    pub fn total(&self, k: u32) -> Option<Amount> {
        self.spent.checked_add(self.step.checked_mul(k.into())?)
    }

    /// Checks that the cheque has both an anchor and a step, or neither.
    ///
    /// # Errors
    ///
    /// [`StreamTermsError`] if one of the two is zero and the other is not.
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
