//! Reports of the service: the status of each holding, and the result of a step.

use crate::{
    bank::redeem::RedeemError,
    payee::{error::ReceiveError, service::state::HoldingState},
    protocol::{receive::position::Position, terms::DepositId},
    service::utc::utc,
    store::async_store::StoredError,
};

/// The reason why a whole step failed. The next step retries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayeeServiceError {
    /// The chain could not be polled.
    #[error(transparent)]
    View(#[from] ReceiveError),
    /// Wins or transactions could not be followed.
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
    /// The number of the newest block.
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
    /// The time of the error, in seconds since 1970. The service tries again at the next block.
    pub at: u64,
}

/// The status of a deposit that the payee has a cheque of. Times are seconds since 1970.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HoldingStatus {
    /// The payee's position.
    pub position: Position,
    /// The state.
    pub state: HoldingState,
    /// The deposit's error of the last look, if any.
    pub last_error: Option<LastError>,
    /// The last time to redeem, for a win close to the end of its window.
    pub closes_at: Option<u64>,
    /// The time since which the redemption is pending, if stuck: pending for longer than three fee bumps.
    pub stuck_since: Option<u64>,
}

impl HoldingStatus {
    /// The time from which the payee refuses payments. `None` if it takes none now.
    #[must_use]
    pub const fn estimated_expiry(&self) -> Option<u64> {
        self.state.estimated_expiry()
    }

    /// The reason for the state and the next step, with the time of an error.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut reason = self.state.to_string();
        if let Some(LastError { error, at }) = &self.last_error {
            let at = utc(*at);
            reason = format!("{error} (at {at}); tried again at the next block ({reason})");
        }
        if let Some(since) = self.stuck_since {
            reason += &format!("; pending since {}", utc(since));
        }
        if let Some(until) = self.closes_at {
            reason += &format!("; its window closes at {}", utc(until));
        }
        reason
    }
}
