//! The parts of a proxy that all of its requests share.

use super::{budget::Budget, claims::Exact};
use crate::{capacity::Capacity, forward::Upstream, ledger::RoomFor, offers::Work, seller::Seller};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

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
    /// The limits of streams, and of all requests together.
    pub limits: ProxyLimits,
    /// The origins of pages that may open WebSockets, such as `https://app.example`. Clients that are no pages name none.
    pub origins: Vec<String>,
}

/// The limits of streams, and of all requests together. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// The bytes of all bodies of requests, of answers that are kept, and of messages of WebSockets (four of the largest for
    /// each), together. Beyond them requests are answered with 503.
    pub memory: usize,
    /// The time for a client to send its whole body.
    pub upload: Duration,
    /// The time for which a stream waits for money.
    pub unpaid: Duration,
    /// The time between two looks at the account of a stream that waits for money. Payments to the same process count at once.
    pub look: Duration,
    /// The time for which a client may leave a stream unread. Then it counts as gone.
    pub unread: Duration,
    /// The largest message of a WebSocket, in bytes.
    pub max_message: usize,
    /// The longest silence of a WebSocket.
    pub silence: Duration,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            upload: Duration::from_secs(60),
            unpaid: Duration::from_secs(30),
            look: Duration::from_millis(500),
            unread: Duration::from_secs(30),
            max_message: 64 << 10,
            silence: Duration::from_secs(300),
        }
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seller: Seller,
    pub(super) upstream: Upstream,
    pub(super) settings: ProxySettings,
    pub(super) budget: Budget,
    /// The places of pages that have opened a WebSocket and not paid yet.
    pub(super) pages: Arc<Semaphore>,
    /// Places for documents of the upstream that are read whole.
    pub(super) documents: Semaphore,
    /// Unset without a facilitator.
    pub(super) exact: OnceLock<Exact>,
    /// The tasks of sales, and of WebSockets.
    pub(super) sales: TaskTracker,
    /// Cancelled when streams without an end are to end.
    pub(super) draining: CancellationToken,
    /// Cancelled when all streams are to end where they are.
    pub(super) cutting: CancellationToken,
}

/// The number of documents that are read at a time.
pub(super) const DOCUMENTS: usize = 4;

/// The memory of a waiting request besides its body, in bytes.
pub(super) const HEAD_BYTES: u64 = 4_096;

impl Shared {
    /// Tells the ledger whether there is room for a request, which holds so many bytes while it waits.
    pub(super) fn room(&self, work: Work, held: u64) -> RoomFor {
        let capacity = self.settings.capacity.clone();
        Arc::new(move |account| capacity.room(account, &work, held))
    }
}
