//! What can go wrong in a payer's service.

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

/// Why a service could not begin, or not finish its step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayerServiceError {
    /// The rounds asked for could not follow one another.
    #[error(transparent)]
    Rounds(#[from] RoundsError),
    /// The chain or the store.
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
    #[error("there is no list of payees: {0}")]
    List(#[source] ListError),
    #[error("the allowances of the list come to more than 2^128 - 1 units: shorten the list")]
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
