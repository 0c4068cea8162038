//! The parts of a proxy that all of its requests share.

use crate::{capacity::Capacity, forward::Upstream, seller::Seller};

/// The settings of a proxy.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// The largest body of a request, in bytes. A body is read before its price is known, because the price may be in it.
    pub max_body: usize,
    /// The largest answer that is kept for a client that lost it, in bytes.
    pub max_stored: usize,
    /// The capacity, of which every forwarded request takes a ticket.
    pub capacity: Capacity,
    /// The clock: seconds since 1970.
    pub now: fn() -> u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seller: Seller,
    pub(super) upstream: Upstream,
    pub(super) settings: ProxySettings,
}
