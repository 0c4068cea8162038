//! Moments at which the order of two clients may change by charges for time.

use super::{client_balance::ClientBalance, expiration::Expiration, price::PARTS};
use crate::value::expirer::ExpirationRate;
use ruint::aliases::U256;

/// Fractional bits of a rate of expiration.
const RATE_BITS: usize = 88;

impl ClientBalance {
    /// Returns nanoseconds in which this client stays at or above `low`, both charged for their capacities; `None` for
    /// ever. Never too many: a balance that falls by `slope` and expires at a rate takes at least
    /// `balance / (slope + rate · balance)` to reach 0, and so does a difference of balances.
    pub(super) fn stays_above(
        &self,
        capacity: u64,
        low: (&Self, u64),
        expiration: &Expiration,
        now_ns: u64,
    ) -> Option<u64> {
        let (low, low_capacity) = low;
        let (tokens, debt) = self.values(expiration, now_ns);
        let (low_tokens, low_debt) = low.values(expiration, now_ns);
        if tokens == 0 {
            // Both owe, whatever their capacities. The debts grow.
            let rate = expiration.negative.rate();
            let lead = U256::from(low_debt.saturating_sub(debt).saturating_sub(1));
            let mine = self.prices().negative.per_ns(capacity);
            let theirs = low.prices().negative.per_ns(low_capacity);
            return time_to_zero(lead, mine.saturating_sub(theirs), rate);
        }
        let rate = expiration.positive.rate();
        let mine = self.prices().positive.per_ns(capacity);
        // Parts of tokens that are not charged yet, and those that a read does not show, may move both by a token.
        let spare = U256::from(tokens.saturating_sub(2));
        let empty = time_to_zero(spare, mine, rate);
        if low_tokens == 0 {
            return empty;
        }
        // Both have tokens: the difference of tokens per capacity, times both capacities.
        let [own, other] = [capacity, low_capacity].map(|capacity| U256::from(capacity.max(1)));
        let lead = spare * other;
        let lead = lead.saturating_sub(U256::from(low_tokens) * own + own);
        let theirs = low.prices().positive.per_ns(low_capacity);
        let slope = (mine * other).saturating_sub(theirs * own);
        let crossing = time_to_zero(lead, slope, rate);
        empty.into_iter().chain(crossing).min()
    }
}

/// Returns a time in which `tokens` cannot reach 0, if `slope` parts of a token are taken per nanosecond and the rest
/// expires; `None` if nothing is taken.
fn time_to_zero(tokens: U256, slope: U256, rate: ExpirationRate) -> Option<u64> {
    if slope.is_zero() {
        return None;
    }
    let parts = tokens * U256::from(PARTS);
    let expiring = ((parts >> RATE_BITS) + U256::ONE).saturating_mul(U256::from(rate.per_ns()));
    let fall = slope.saturating_add(expiring);
    Some((parts / fall).saturating_to())
}
