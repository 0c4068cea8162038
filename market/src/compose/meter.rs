//! How much of a deposit's fee has been charged to payments.

use ruint::aliases::{U256, U512};

/// Parts of an allowance.
const BUCKETS: usize = 64;

/// One bucket counts up to a deposit divided by this.
const LARGEST_SHARE: u128 = 16;

/// The whole fee is charged at 19/20 of what all buckets can hold.
const FULL: (u128, u128) = (19, 20);

/// The fee of one deposit, and by how much its allowances have been used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meter {
    fee: u128,
    size: u128,
    /// For each part, the sum over nodes of what is used of that part, times 64: an allowance that is all used counts in
    /// full in each bucket.
    buckets: [u128; BUCKETS],
}

impl Meter {
    /// A deposit of `size` token units, of which nothing is used, with a `fee` in token units.
    pub(super) const fn new(fee: u128, size: u128) -> Self {
        Self {
            fee,
            size,
            buckets: [0; BUCKETS],
        }
    }

    pub(super) const fn fee(&self) -> u128 {
        self.fee
    }

    /// Counts that what is spent of an allowance of `total` rose from `from` to `to`.
    pub(super) fn cover(&mut self, total: u128, from: u128, to: u128) {
        // In 64ths of a token unit a part is exactly as wide as the allowance is large.
        let width = U256::from(total);
        let parts = U256::from(BUCKETS);
        let (from, to) = (U256::from(from) * parts, U256::from(to) * parts);
        let mut start = U256::ZERO;
        for bucket in &mut self.buckets {
            let end = start + width;
            let overlap = to.min(end).saturating_sub(from.max(start));
            *bucket = bucket.saturating_add(overlap.saturating_to());
            start = end;
        }
    }

    /// What has been charged, in token units, rounded down. Never falls, and is at most the fee.
    pub(super) fn charged(&self) -> u128 {
        let (counted, full) = self.progress();
        if counted >= full {
            return self.fee;
        }
        (U512::from(self.fee) * U512::from(counted) / U512::from(full)).saturating_to()
    }

    /// Whether the fee is all charged.
    pub(super) fn is_full(&self) -> bool {
        let (counted, full) = self.progress();
        counted >= full
    }

    /// What the buckets count, and what they count when the fee is all charged.
    fn progress(&self) -> (U256, U256) {
        let size = U256::from(self.size);
        let share = |bucket: &u128| (U256::from(*bucket) * U256::from(LARGEST_SHARE)).min(size);
        let counted: U256 = self.buckets.iter().map(share).sum();
        let full = size * U256::from(BUCKETS) * U256::from(FULL.0);
        (counted * U256::from(FULL.1), full)
    }
}
