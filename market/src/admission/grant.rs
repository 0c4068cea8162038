//! Units that were given to a request, until it ends.

use super::free::Prefix;

/// Units of a paid request that is being served. Give it to [`Admission::settle`](super::Admission::settle) at the end of the
/// request; if it is dropped, all of its units count as used.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    pub(super) cost: u64,
    /// Number of the take from the account's bucket.
    pub(super) asked: u64,
    /// Number of the take from the capacity.
    pub(super) served: u64,
}

/// Units of a free request that is being served. Give it to [`Admission::settle_free`](super::Admission::settle_free).
#[derive(Debug, PartialEq, Eq)]
pub struct FreeGrant {
    pub(super) prefix: Prefix,
    pub(super) cost: u64,
    pub(super) number: u64,
    /// Parts of units that came from the lower and the upper share of free clients.
    pub(super) drained: [u128; 2],
}

impl Grant {
    /// Returns the most units that the request uses.
    pub const fn cost(&self) -> u64 {
        self.cost
    }
}
