//! What the service reports: the state of each holding, and the result of a step.

use crate::{
    bank::redeem::RedeemError,
    payee::{error::ReceiveError, service::state::HoldingState},
    protocol::{receive::position::Position, terms::DepositId},
    store::async_store::StoredError,
};

/// Why a look at the chain or at the store failed. The next step is another try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayeeServiceError {
    /// Looking at the chain.
    #[error(transparent)]
    View(#[from] ReceiveError),
    /// Following draws.
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// A deposit has changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldingChange {
    /// The deposit.
    pub deposit: DepositId,
    /// Where it stood at the last step. `None`: it is new.
    pub before: Option<HoldingState>,
    /// Where it stands now.
    pub state: HoldingState,
}

/// What one step has found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayeeStepReport {
    /// The newest block.
    pub head: u64,
    /// What has changed, by deposit.
    pub changes: Vec<HoldingChange>,
    /// What failed, and is tried again.
    pub failed: Vec<DepositId>,
    /// Wins that are not redeemed and whose window is about to close.
    pub closing: Vec<DepositId>,
}

/// Something that failed for one deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// What happened.
    pub error: String,
    /// The block at which it is tried again.
    pub retry_at: u64,
}

/// Where a deposit stands that the payee holds a cheque of.
#[derive(Clone, Debug)]
pub struct HoldingStatus {
    /// What the payee holds.
    pub position: Position,
    /// Where it stands.
    pub state: HoldingState,
    /// What failed at the last step, if something did.
    pub trouble: Option<LastError>,
    /// The last block to redeem it, where it is won and that block is near.
    pub closing: Option<u64>,
    /// The block since which what redeems it waits to be mined, where that is more than 30 blocks ago.
    pub waits_since: Option<u64>,
}

impl HoldingStatus {
    /// Why it stands there, what it waits for, and when a failed step is tried again.
    pub fn reason(&self) -> String {
        let mut reason = self.state.to_string();
        if let Some(LastError { error, retry_at }) = &self.trouble {
            reason = format!("{error}; tried again at block {retry_at} ({reason})");
        }
        if let Some(since) = self.waits_since {
            reason += &format!("; it has waited since block {since}");
        }
        if let Some(last) = self.closing {
            reason += &format!("; its window closes at block {last}");
        }
        reason
    }
}
