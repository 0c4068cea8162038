//! Accepted payments, and the functions by which applications record them.

use crate::{
    protocol::{
        amount::Amount,
        receive::{judge::Received, position::Position},
        terms::DepositId,
    },
    store::{app_records::AppRecordsReader, async_store::AppChange},
};
use alloy_primitives::Address;

/// An accepted payment, on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The paying deposit.
    pub deposit: DepositId,
    /// The account to credit: the deposit's signer.
    pub credit_to: Address,
    /// The value to credit for this payment, in token units. May be zero.
    pub value: Amount,
    /// The total paid from the deposit, in token units.
    pub total: Amount,
    /// The payee's new position in the deposit.
    pub position: Position,
}

/// An error of an application that records a payment: any error or text.
pub type ApplicationError = Box<dyn std::error::Error + Send + Sync>;

/// The function by which an application records a payment: it gets the payment as it is about to be stored, and returns the
/// changes of its records. All functions and closures of this form have the trait.
pub trait Credit:
    Fn(&Accepted, &AppRecordsReader<'_>) -> Result<Vec<AppChange>, ApplicationError>
    + Send
    + Sync
    + 'static
{
}

impl<F> Credit for F where
    F: Fn(&Accepted, &AppRecordsReader<'_>) -> Result<Vec<AppChange>, ApplicationError>
        + Send
        + Sync
        + 'static
{
}

impl Accepted {
    pub(super) fn new(deposit: DepositId, received: &Received) -> Self {
        let position = received.position().clone();
        Self {
            deposit,
            credit_to: received.credit_to(),
            value: received.value(),
            total: position.total(),
            position,
        }
    }
}
