//! Events and reports about a payer's deposits.

use crate::{
    payer::{error::PayerError, records::DepositState},
    protocol::terms::DepositId,
};

/// A change of a deposit's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DepositEvent {
    /// The deposit.
    pub id: DepositId,
    /// State before the change.
    pub before: DepositState,
    /// State after the change.
    pub state: DepositState,
}

/// Result of a poll.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "its errors name the deposits that could not be followed"]
pub struct PollReport {
    /// Changes of state.
    pub events: Vec<DepositEvent>,
    /// Deposits that could not be followed, with the reason. The other deposits are followed normally. A deposit
    /// whose state is unknown is not paid from.
    pub errors: Vec<(DepositId, PayerError)>,
}
