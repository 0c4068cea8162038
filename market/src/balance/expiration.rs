//! Expiration of all balances.

use crate::value::{expirer::Expirer, log::LogOffset};

/// Expiration of the values of all clients.
#[derive(Clone, Debug)]
pub(super) struct Expiration {
    pub(super) positive: Expirer,
    pub(super) negative: Expirer,
}

impl Expiration {
    pub(super) fn offsets(&self, now_ns: u64) -> (LogOffset, LogOffset) {
        (
            self.positive.offset_at(now_ns),
            self.negative.offset_at(now_ns),
        )
    }
}
