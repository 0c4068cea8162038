//! Payment senders.

use super::{
    boxed::{BoxError, BoxFuture},
    handshake::Offer,
};
use crate::compose::pay::QuoteError;
use alloy_primitives::Address;

/// A payment to hand to a payee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Amount, in token units.
    pub amount: u128,
    /// Amount and a share of transaction costs, in token units.
    pub cost: u128,
    /// Proofs for the payee, to be handed over in this order.
    pub proofs: Vec<Vec<u8>>,
}

/// An error of sending a payment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The amounts are impossible or not covered.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// Another error of the module. The error tells the next step.
    #[error(transparent)]
    Module(BoxError),
}

impl SendError {
    /// Wraps a module's error.
    pub fn module(source: impl Into<BoxError>) -> Self {
        Self::Module(source.into())
    }
}

/// A client's end of a payment module, for use as a [registered](super::Senders) trait object.
pub trait PaymentSender: Send + Sync {
    /// Returns the terms of this end.
    fn offer(&self) -> Offer;

    /// Returns the present cost of paying exactly `amount` token units to `payee`, in token units, including expected
    /// transaction costs. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the amount cannot be paid.
    fn payment_cost(&self, payee: Address, amount: u128) -> BoxFuture<'_, Result<u128, SendError>>;

    /// Pays as much as possible, at least `min` and at most `max` token units. All state is durable before this
    /// returns, so the proofs may leave the process. A future dropped half-way may have paid: see
    /// [`latest_proofs`](Self::latest_proofs).
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing is paid.
    fn request_payment(
        &self,
        payee: Address,
        min: u128,
        max: u128,
    ) -> BoxFuture<'_, Result<Outgoing, SendError>>;

    /// Returns proofs for a payee that has missed earlier ones, for example because this process was killed before
    /// sending. A payee rejects proofs it already has, without a loss.
    ///
    /// # Errors
    ///
    /// [`SendError::Module`] if past payments cannot be read.
    fn latest_proofs(&self, payee: Address) -> BoxFuture<'_, Result<Vec<Vec<u8>>, SendError>>;
}
