//! What a payer reports of its deposits.

use crate::{
    payer::{error::PayerError, records::DepositState},
    protocol::terms::DepositId,
};

/// A deposit has changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositEvent {
    /// The deposit.
    pub id: DepositId,
    /// Where it stood before.
    pub before: DepositState,
    /// Where it stands now.
    pub state: DepositState,
}

/// What a poll has found.
#[derive(Debug, Default)]
#[must_use = "deposits that could not be followed are among the errors"]
pub struct PollReport {
    /// What has changed.
    pub events: Vec<DepositEvent>,
    /// Deposits that could not be followed to the end, and why. Others are not held up by them. Nothing is paid from one
    /// whose state is unknown.
    pub errors: Vec<(DepositId, PayerError)>,
}
