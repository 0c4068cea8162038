//! What is measured.

use std::time::Duration;

/// All combinations of its parts are measured.
pub(crate) struct Plan {
    /// Open deposits of the payee, and payees of the payer's deposit.
    pub(crate) sizes: &'static [usize],
    /// Milliseconds that each request to the node takes longer.
    pub(crate) delays: &'static [u64],
    /// Connections without a request.
    pub(crate) held: &'static [usize],
    /// Callers that pay one after the other, all at once.
    pub(crate) callers: &'static [usize],
    /// The least time of each measurement. It has time for several looks at the chain.
    pub(crate) time: Duration,
    /// Looks at the chain, of several requests each, that a measurement has time for at the longest delay.
    pub(crate) looks: u32,
}

impl Plan {
    /// The plan of `make load`.
    pub(crate) const fn full() -> Self {
        Self {
            sizes: &[1_000, 100_000],
            delays: &[0, 50, 800],
            held: &[0, 2_000],
            callers: &[1, 20, 200],
            time: Duration::from_secs(4),
            looks: 10,
        }
    }

    /// The plan of a test.
    pub(crate) const fn small() -> Self {
        Self {
            sizes: &[200],
            delays: &[0, 20],
            held: &[50],
            callers: &[1, 20],
            time: Duration::from_millis(400),
            looks: 0,
        }
    }

    /// The time of a measurement with this delay of the node.
    pub(crate) fn time_at(&self, delay: Duration) -> Duration {
        self.time.saturating_add(delay.saturating_mul(self.looks))
    }
}
