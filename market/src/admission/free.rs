//! Clients that do not pay, by network prefix.

use super::{
    bucket::Bucket,
    settings::{FreeSettings, Refusal},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The part of a network address that one customer of a network usually has: /24 of IPv4, /48 of IPv6. An IPv4 address
/// written as IPv6 counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix([u8; 7]);

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self([4, a, b, c, 0, 0, 0])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, ..] = address.octets();
                Self([6, a, b, c, d, e, f])
            }
        }
    }
}

/// Buckets of the known prefixes. Without room, the record that is full again first gives way: a forgotten prefix gains
/// the least by that.
#[derive(Clone, Debug)]
pub(super) struct Prefixes {
    settings: FreeSettings,
    buckets: BTreeMap<Prefix, Bucket>,
    by_full: BTreeSet<(u64, Prefix)>,
}

impl Prefixes {
    pub(super) const fn new(settings: FreeSettings) -> Self {
        Self {
            settings,
            buckets: BTreeMap::new(),
            by_full: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Checks that a prefix may have `cost` units now.
    pub(super) fn check(&self, prefix: Prefix, cost: u64, now_ns: u64) -> Result<(), Refusal> {
        let tier = self.settings.prefix;
        let wait = match self.buckets.get(&prefix) {
            Some(bucket) => bucket.wait_ns(cost, now_ns),
            None => (cost <= tier.burst).then_some(0),
        };
        match wait {
            Some(0) => Ok(()),
            Some(retry_ns) => Err(Refusal::Rate { retry_ns }),
            None => Err(Refusal::TooLarge {
                cost,
                max: tier.burst,
            }),
        }
    }

    pub(super) fn take(&mut self, prefix: Prefix, cost: u64, number: u64, now_ns: u64) {
        let bucket = match self.buckets.remove(&prefix) {
            Some(bucket) => {
                self.by_full.remove(&(bucket.full_from(), prefix));
                Some(bucket)
            }
            None => {
                self.make_room(now_ns);
                None
            }
        };
        let mut bucket = bucket.unwrap_or_else(|| Bucket::full(self.settings.prefix, now_ns));
        bucket.take(cost, number, now_ns);
        self.keep(prefix, bucket);
    }

    pub(super) fn give_back(&mut self, prefix: Prefix, units: u64, number: u64, now_ns: u64) {
        if let Some(mut bucket) = self.buckets.remove(&prefix) {
            self.by_full.remove(&(bucket.full_from(), prefix));
            bucket.give_back(units, number, now_ns);
            self.keep(prefix, bucket);
        }
    }

    fn keep(&mut self, prefix: Prefix, bucket: Bucket) {
        self.by_full.insert((bucket.full_from(), prefix));
        self.buckets.insert(prefix, bucket);
    }

    /// Forgets prefixes whose buckets are full again, and one more if there is no room for another.
    fn make_room(&mut self, now_ns: u64) {
        while let Some((full_from, prefix)) = self.by_full.first().copied() {
            if full_from > now_ns && self.buckets.len() < self.settings.max_prefixes {
                return;
            }
            self.by_full.remove(&(full_from, prefix));
            self.buckets.remove(&prefix);
        }
    }
}
