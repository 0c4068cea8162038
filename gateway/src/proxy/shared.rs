//! The parts of a proxy that all of its requests share.

use super::claims::Exact;
use crate::{forward::Upstream, ledger::RoomFor, seller::Seller};
use std::{fmt, sync::OnceLock};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// The settings of a proxy.
#[derive(Clone)]
pub struct ProxySettings {
    /// The largest body of a request, in bytes. A body is read before its price is known, because the price may be in it.
    pub max_body: usize,
    /// The largest answer that is kept for a client that lost it, in bytes.
    pub max_stored: usize,
    /// The capacity for an account.
    pub room: RoomFor,
    /// The clock: seconds since 1970.
    pub now: fn() -> u64,
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings")
            .field("max_body", &self.max_body)
            .field("max_stored", &self.max_stored)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seller: Seller,
    pub(super) upstream: Upstream,
    pub(super) settings: ProxySettings,
    /// Places for documents of the upstream that are read whole.
    pub(super) documents: Semaphore,
    /// Unset without a facilitator.
    pub(super) exact: OnceLock<Exact>,
    /// The tasks of sales.
    pub(super) sales: TaskTracker,
}

/// The number of documents that are read at a time.
pub(super) const DOCUMENTS: usize = 4;
