//! The client's end of a payment module.

use super::{BoxError, Offer, Pending};
use crate::compose::QuoteError;
use alloy_primitives::Address;

/// A payment on its way to a payee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What is paid, in token units.
    pub amount: u128,
    /// What it costs: the amount and its share of transaction costs, in token units.
    pub cost: u128,
    /// The proofs to hand to the payee, each of them, in this order.
    pub proofs: Vec<Vec<u8>>,
}

/// Why nothing is paid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The amounts are impossible, or nothing covers them.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// Whatever else is in the module's way. Its error says whether to try again.
    #[error(transparent)]
    Module(BoxError),
}

impl SendError {
    /// Wraps a module's error.
    pub fn module(source: impl Into<BoxError>) -> Self {
        Self::Module(source.into())
    }
}

/// A client's end of a payment module. It can be made into an object, to be [registered](super::Senders).
pub trait PaymentSender: Send + Sync {
    /// What this end pays with.
    fn offer(&self) -> Offer;

    /// What paying exactly `amount` token units to `payee` would cost now, in token units, expected transaction costs
    /// included. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`SendError`] if that cannot be paid.
    fn payment_cost(&self, payee: Address, amount: u128) -> Pending<'_, Result<u128, SendError>>;

    /// Pays as much as there is, at least `least` and at most `most` token units. What must survive is durable before
    /// this is done, so the proofs may leave the process. One that is dropped half-way may have paid: see
    /// [`proofs_again`](Self::proofs_again).
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing is paid.
    fn request_payment(
        &self,
        payee: Address,
        least: u128,
        most: u128,
    ) -> Pending<'_, Result<Outgoing, SendError>>;

    /// Proofs that bring a payee up to date that has missed some, because this process was killed before they left it,
    /// say. A payee that has them already rejects them and loses nothing.
    ///
    /// # Errors
    ///
    /// [`SendError::Module`] if what was paid cannot be read.
    fn proofs_again(&self, payee: Address) -> Pending<'_, Result<Vec<Vec<u8>>, SendError>>;
}
