//! Part of a deposit's fee that is charged to payments.

use ruint::aliases::{U256, U512};

/// Number of parts of an allowance.
const BUCKETS: usize = 64;

/// Divisor of a deposit for the maximum of one bucket.
const LARGEST_SHARE: u128 = 16;

/// Share of all buckets at which the whole fee is charged: 19/20.
const FULL: (u128, u128) = (19, 20);

/// The fee of one deposit, and the use of its allowances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meter {
    fee: u128,
    size: u128,
    /// For each part, the sum of its use over all providers, times 64. A fully used allowance counts in full in each
    /// bucket.
    buckets: [u128; BUCKETS],
}

impl Meter {
    /// Returns the meter of an unused deposit of `size` token units with a `fee` in token units.
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

    /// Counts a rise of the spent part of an allowance of `total` from `from` to `to`.
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

    /// Returns the charged fee, in token units, rounded down. Never falls, and is at most the fee.
    pub(super) fn charged(&self) -> u128 {
        let (counted, full) = self.progress();
        if counted >= full {
            return self.fee;
        }
        (U512::from(self.fee) * U512::from(counted) / U512::from(full)).saturating_to()
    }

    /// True if the whole fee is charged.
    pub(super) fn is_full(&self) -> bool {
        let (counted, full) = self.progress();
        counted >= full
    }

    /// Returns the count of the buckets, and the count at which the whole fee is charged.
    fn progress(&self) -> (U256, U256) {
        let size = U256::from(self.size);
        let share = |bucket: &u128| (U256::from(*bucket) * U256::from(LARGEST_SHARE)).min(size);
        let counted: U256 = self.buckets.iter().map(share).sum();
        let full = size * U256::from(BUCKETS) * U256::from(FULL.0);
        (counted * U256::from(FULL.1), full)
    }
}
