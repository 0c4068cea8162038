//! What a payer has read from the chain at one head.

use crate::{bank::head::Head, payer::records::DepositState, protocol::terms::DepositId};
use alloy_primitives::{Address, B256};
use std::collections::HashMap;

/// What one look at the chain has shown.
#[derive(Debug)]
pub(super) struct ChainSnapshot {
    pub(super) head: Head,
    pub(super) states: HashMap<DepositId, DepositState>,
}

/// Who has won a deposit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Won {
    pub(super) winner: Option<Address>,
    /// The hash of the draw block.
    pub(super) by: B256,
    /// Whether the draw block was seen when it could not be replaced any more.
    pub(super) is_final: bool,
}
