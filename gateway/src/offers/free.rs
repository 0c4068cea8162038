//! Free requests: the first ones of a client, so that it can try before its deposit is confirmed.

use std::collections::{BTreeMap, BTreeSet};

/// The largest number of clients that are counted at the same time.
const MAX_CLIENTS: usize = 65_536;

/// A number of free requests for each client. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeTier {
    /// The number.
    pub requests: u32,
    /// The time after which the count begins again, in seconds; `None`: never.
    pub window: Option<u64>,
}

/// Counts of free requests by client, in memory, for a bounded number of clients.
///
/// The host names a client by its network prefix, because addresses and keys cost nothing. Counts of the longest unseen
/// clients are dropped first. So a crowd of clients gets free requests again, and no more than that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeCounts {
    counts: BTreeMap<(u64, Vec<u8>), Count>,
    /// The clients by the time of their last request.
    by_time: BTreeSet<(u64, (u64, Vec<u8>))>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    since: u64,
    last: u64,
    used: u32,
}

impl FreeCounts {
    /// Makes empty counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// True if a client's request of a route is free at `now`, in seconds. Counts it then.
    pub fn take(&mut self, route: u64, client: &[u8], tier: FreeTier, now: u64) -> bool {
        let key = (route, client.to_vec());
        let old = self.counts.get(&key).copied();
        let is_over = |count: &Count| {
            let age = now.saturating_sub(count.since);
            tier.window.is_some_and(|window| age >= window)
        };
        let mut count = old.filter(|count| !is_over(count)).unwrap_or(Count {
            since: now,
            last: now,
            used: 0,
        });
        if count.used >= tier.requests {
            return false;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old.last, key.clone()));
        } else if self.counts.len() >= MAX_CLIENTS
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.counts.remove(&oldest);
        }
        count.used += 1;
        count.last = now;
        self.by_time.insert((now, key.clone()));
        self.counts.insert(key, count);
        true
    }

    /// Takes back the last request of a client that was counted.
    pub fn give_back(&mut self, route: u64, client: &[u8]) {
        if let Some(count) = self.counts.get_mut(&(route, client.to_vec())) {
            count.used = count.used.saturating_sub(1);
        }
    }
}
