//! The queue of paid requests: self-clocked fair queueing.
//!
//! A request's start is the end of its account's last request, or the end of the request served last if that is later;
//! its end is the start and `cost / weight`. The earliest end is served first. While two accounts have requests in the
//! queue, their served costs by weight differ by at most one request of each.
//!
//! By the earliest start, each newcomer would be served before all others once, and newcomers are cheap.

use super::settings::{QueueSettings, Refusal};
use std::collections::{BTreeMap, BTreeSet};

/// Fractional bits of a virtual time.
const TIME_BITS: u32 = 64;

/// A waiting request.
#[derive(Clone, Debug)]
pub(super) struct Waiting<A> {
    pub(super) account: A,
    pub(super) cost: u64,
    pub(super) bytes: u64,
    pub(super) start: u128,
    /// End in the virtual time.
    pub(super) end: u128,
    pub(super) arrived_ns: u64,
}

#[derive(Clone, Debug)]
pub(super) struct FairQueue<A> {
    requests: BTreeMap<u64, Waiting<A>>,
    by_end: BTreeSet<(u128, u64)>,
    by_arrival: BTreeSet<(u64, u64)>,
    /// End of the request served last. Never at its maximum: a request of a million units at the least weight adds 2^84.
    now: u128,
    pub(super) bytes: u64,
}

impl<A: Clone> FairQueue<A> {
    pub(super) const fn new() -> Self {
        Self {
            requests: BTreeMap::new(),
            by_end: BTreeSet::new(),
            by_arrival: BTreeSet::new(),
            now: 0,
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Adds a request. `finish` is the end of the account's last request, and becomes that of this one.
    pub(super) fn push(
        &mut self,
        number: u64,
        (account, cost, bytes): (A, u64, u64),
        (finish, weight): (&mut u128, u128),
        now_ns: u64,
    ) {
        let start = self.now.max(*finish);
        let end = start.saturating_add(length(cost, weight));
        *finish = end;
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_end.insert((end, number));
        self.by_arrival.insert((now_ns, number));
        let waiting = Waiting {
            account,
            cost,
            bytes,
            start,
            end,
            arrived_ns: now_ns,
        };
        self.requests.insert(number, waiting);
    }

    /// Advances the virtual time past a request that was served without waiting.
    pub(super) fn serve_at_once(&mut self, cost: u64, finish: &mut u128, weight: u128) {
        let start = self.now.max(*finish);
        *finish = start.saturating_add(length(cost, weight));
        self.now = *finish;
    }

    /// Returns the next request to serve.
    pub(super) fn first(&self) -> Option<(u64, &Waiting<A>)> {
        let (_, number) = self.by_end.first()?;
        Some((*number, self.requests.get(number)?))
    }

    /// Returns the request that waits longest.
    pub(super) fn oldest(&self) -> Option<(u64, &Waiting<A>)> {
        let (_, number) = self.by_arrival.first()?;
        Some((*number, self.requests.get(number)?))
    }

    /// Removes the request, as served or not.
    pub(super) fn remove(&mut self, number: u64, served: bool) -> Option<Waiting<A>> {
        let removed = self.requests.remove(&number)?;
        self.by_end.remove(&(removed.end, number));
        self.by_arrival.remove(&(removed.arrived_ns, number));
        self.bytes = self.bytes.saturating_sub(removed.bytes);
        if served {
            self.now = self.now.max(removed.end);
        }
        Some(removed)
    }

    /// Checks the bounds for one more request of an account that has `queued` requests and bytes here.
    pub(super) fn has_room(
        &self,
        bytes: u64,
        queued: (usize, u64),
        settings: &QueueSettings,
        retry_ns: u64,
    ) -> Result<(), Refusal> {
        let all = self.bytes.saturating_add(bytes);
        if self.len() >= settings.max_requests || all > settings.max_bytes {
            return Err(Refusal::QueueFull { retry_ns });
        }
        let own = queued.1.saturating_add(bytes);
        let part = settings.max_account_requests;
        if queued.0 >= part || own > settings.max_account_bytes {
            return Err(Refusal::AccountQueueFull { retry_ns });
        }
        Ok(())
    }
}

/// Returns the virtual time of a request: more for a larger cost, less for a larger weight, at most 2^64 - 1.
fn length(cost: u64, weight: u128) -> u128 {
    ((u128::from(cost) << TIME_BITS) / weight.max(1)).max(1)
}
