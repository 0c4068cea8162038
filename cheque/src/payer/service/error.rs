//! Errors of a payer's service.

use crate::{
    bank::error::BankError,
    payer::{
        error::PayerError,
        service::{
            decide::OverBudget,
            rounds::{ListError, RoundsError},
        },
    },
};

/// Why a service could not start, or not complete a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayerServiceError {
    /// The requested rounds cannot follow one another.
    #[error(transparent)]
    Rounds(#[from] RoundsError),
    /// The node, the store, or a transaction.
    #[error(transparent)]
    Payer(#[from] PayerError),
}

impl From<BankError> for PayerServiceError {
    fn from(error: BankError) -> Self {
        Self::Payer(error.into())
    }
}

/// Why the next round was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    #[error("the list of payees for the next round is not available: {0}")]
    List(#[source] ListError),
    #[error("the allowances of the list exceed 2^128 - 1 units in total; shorten the list")]
    TooMuch,
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    #[error(transparent)]
    Payer(#[from] PayerError),
}

impl From<BankError> for RoundError {
    fn from(error: BankError) -> Self {
        Self::Payer(error.into())
    }
}
