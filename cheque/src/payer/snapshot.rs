//! The payer's snapshot of the chain at one head.

use crate::{bank::head::Head, payer::records::DepositState, protocol::terms::DepositId};
use alloy_primitives::{Address, B256};
use std::collections::HashMap;

/// Head and deposit states of one poll.
#[derive(Debug)]
pub(super) struct ChainSnapshot {
    pub(super) head: Head,
    pub(super) states: HashMap<DepositId, DepositState>,
}

/// Winner of a deposit, as computed from its draw block.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownWinner {
    pub(super) winner: Option<Address>,
    /// Hash of the draw block.
    pub(super) draw_hash: B256,
    /// True if the draw block was final when read: no reorganisation can replace it.
    pub(super) is_final: bool,
}
