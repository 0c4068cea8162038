//! Wins that wait for their redemption.

use cheque::Position;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A win, and the plan of its redemption.
pub(crate) struct Win {
    pub(crate) winner: Position,
    /// The time of the redemption, in seconds since 1970.
    pub(crate) at: u64,
    pub(crate) gas_price: u128,
    /// True if somebody records the seed before.
    pub(crate) records: bool,
}

impl Win {
    /// Chooses a time after `now`, the last one included.
    pub(crate) fn plan(
        winner: Position,
        now: u64,
        last: u64,
        gas_price: u128,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let at = match rng.random_range(0..3) {
            0 => now,
            1 => rng.random_range(now..=last),
            _ => last,
        };
        Self {
            winner,
            at,
            gas_price,
            records: rng.random_ratio(1, 3),
        }
    }
}
