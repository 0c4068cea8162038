//! Reports of the service: the status of each holding, and the result of a step.

use crate::{
    bank::redeem::RedeemError,
    payee::{error::ReceiveError, service::state::HoldingState},
    protocol::{receive::position::Position, terms::DepositId},
    store::async_store::StoredError,
};

/// The reason why a whole step failed. The next step retries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayeeServiceError {
    /// The chain could not be polled.
    #[error(transparent)]
    View(#[from] ReceiveError),
    /// Draws or transactions could not be followed.
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    /// The store failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// A change in the state of a deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HoldingChange {
    /// The deposit.
    pub deposit: DepositId,
    /// The state at the last step. `None` for a new deposit.
    pub before: Option<HoldingState>,
    /// The state now.
    pub state: HoldingState,
}

/// The result of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayeeStepReport {
    /// The newest block.
    pub head: u64,
    /// The deposits with a new state, in the order of their ids.
    pub changes: Vec<HoldingChange>,
    /// The deposits with an error. The next step retries.
    pub failed: Vec<DepositId>,
    /// The unredeemed wins with a window about to close.
    pub closing: Vec<DepositId>,
}

/// The last error of a deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// The error's text.
    pub error: String,
    /// The block at which the service retries.
    pub retry_at: u64,
}

/// The status of a deposit that the payee has a cheque of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HoldingStatus {
    /// The payee's position.
    pub position: Position,
    /// The state.
    pub state: HoldingState,
    /// The deposit's error of the last step, if any.
    pub last_error: Option<LastError>,
    /// The last block to redeem, for a win close to the end of its window.
    pub closes_at: Option<u64>,
    /// The block since which the redemption is pending, if stuck: pending for more than 30 blocks.
    pub stuck_since: Option<u64>,
}

impl HoldingStatus {
    /// The reason for the state and the next step, with the block of a retry.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut reason = self.state.to_string();
        if let Some(LastError { error, retry_at }) = &self.last_error {
            reason = format!("{error}; tried again at block {retry_at} ({reason})");
        }
        if let Some(since) = self.stuck_since {
            reason += &format!("; pending since block {since}");
        }
        if let Some(last) = self.closes_at {
            reason += &format!("; its window closes at block {last}");
        }
        reason
    }
}
