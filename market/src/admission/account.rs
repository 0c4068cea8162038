//! One account: its bucket, its payments of the last minutes, its place in the queue.

use super::{
    bucket::Bucket,
    settings::{SECOND, Tier},
};
use std::collections::VecDeque;

const MINUTE_NS: u64 = 60 * SECOND;
/// Minutes in which a payment counts: fully in the first, a tenth less in each later one.
const MINUTES: u64 = 10;

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) bucket: Bucket,
    /// Sums by minute, oldest first.
    payments: VecDeque<(u64, u128)>,
    /// End of the account's last request in the queue's virtual time.
    pub(super) finish: u128,
    /// The same of the last request that was served.
    pub(super) served: u128,
    /// Requests and bytes in the queue.
    pub(super) queued: usize,
    pub(super) queued_bytes: u64,
}

impl Account {
    pub(super) const fn new(tier: Tier, now_ns: u64) -> Self {
        Self {
            bucket: Bucket::full(tier, now_ns),
            payments: VecDeque::new(),
            finish: 0,
            served: 0,
            queued: 0,
            queued_bytes: 0,
        }
    }

    pub(super) fn pay(&mut self, amount: u128, now_ns: u64) {
        let minute = now_ns / MINUTE_NS;
        self.payments
            .retain(|(paid, _)| minute.saturating_sub(*paid) < MINUTES);
        match self.payments.back_mut() {
            Some((last, sum)) if *last >= minute => *sum = sum.saturating_add(amount),
            _ => self.payments.push_back((minute, amount)),
        }
    }

    /// Returns the account's payments of the last ten minutes, less with age.
    pub(super) fn paid_lately(&self, now_ns: u64) -> u128 {
        let minute = now_ns / MINUTE_NS;
        let counted = self.payments.iter().map(|(paid, sum)| {
            let left = MINUTES.saturating_sub(minute.saturating_sub(*paid));
            sum / u128::from(MINUTES) * u128::from(left)
        });
        counted.fold(0, u128::saturating_add)
    }

    /// Returns the account's weight for a request of a price, from 1 to 2^64 - 1.
    pub(super) fn weight(&self, price: u128, now_ns: u64) -> u128 {
        let weight = self.paid_lately(now_ns).saturating_add(price);
        weight.clamp(1, u64::MAX.into())
    }

    /// Returns the moment from which the account is as good as unknown: its bucket is full and no payment counts. A
    /// place in the queue keeps it.
    pub(super) fn forgotten_from(&self) -> u64 {
        if self.queued > 0 {
            return u64::MAX;
        }
        let last = self.payments.back().map_or(0, |(minute, _)| {
            minute.saturating_add(MINUTES).saturating_mul(MINUTE_NS)
        });
        last.max(self.bucket.full_from())
    }
}
