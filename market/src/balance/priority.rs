//! Ranks of clients.

use ruint::aliases::U256;

const FRACTION_BITS: u32 = 32;

/// A client's rank: tokens per unit of capacity, in steps of 2^-32. A client without tokens has minus its debt
/// instead, and ranks below every client with tokens.
///
/// The quotient is rounded down. Capacity 0 counts as 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i128);

impl Priority {
    /// Upper bound of all priorities.
    pub const MAX: Self = Self(i128::MAX);
    /// Lower bound of all priorities.
    pub const MIN: Self = Self(i128::MIN);

    /// Returns the priority of `tokens` and `debt` at a capacity.
    pub fn new(tokens: u64, debt: u64, capacity: u64) -> Self {
        if tokens == 0 {
            return Self(-(i128::from(debt) << FRACTION_BITS));
        }
        Self((i128::from(tokens) << FRACTION_BITS) / i128::from(capacity.max(1)))
    }

    /// Returns whole tokens per unit of capacity, rounded down, or minus the debt.
    pub const fn whole(self) -> i128 {
        self.0 >> FRACTION_BITS
    }

    /// Returns the next lower priority.
    pub const fn lowered(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns the smallest number of tokens with at least this priority at a capacity: 0 for a priority not above
    /// zero.
    pub(super) fn tokens(self, capacity: u64) -> U256 {
        let steps = U256::from(self.0.max(0).unsigned_abs());
        let scaled = steps * U256::from(capacity.max(1));
        scaled.div_ceil(U256::ONE << FRACTION_BITS)
    }

    /// Returns the largest debt with at least this priority; `None` for a priority above zero.
    pub(super) const fn debt(self) -> Option<u128> {
        if self.0 > 0 {
            return None;
        }
        Some(self.0.unsigned_abs() >> FRACTION_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn divides_tokens_by_capacity_or_negates_debt() {
        for (tokens, debt, whole) in [(1000, 0, 1), (2000, 9, 2), (0, 0, 0), (0, 1000, -1000)] {
            assert_eq!(Priority::new(tokens, debt, 1000).whole(), whole);
        }
        assert!(Priority::new(1, 0, 2_000_000) > Priority::new(0, 0, 1));
        assert!(Priority::new(2, 0, 3) > Priority::new(3, 0, 5));
        assert_eq!(Priority::new(5, 0, 0), Priority::new(5, 0, 1));
        assert_eq!(Priority::new(u64::MAX, 0, 1).whole(), u64::MAX.into());
        assert!(Priority::MIN < Priority::new(0, u64::MAX, 1));
    }

    proptest! {
        #[test]
        fn finds_limits_of_tokens_and_debt_for_a_priority(
            tokens in 1u64..,
            debt: u64,
            capacity in 1u64..,
            at in 1u64..,
        ) {
            let priority = Priority::new(tokens, 0, capacity);
            let enough: u64 = priority.tokens(at).saturating_to();
            prop_assert!(Priority::new(enough, 0, at) >= priority || enough == u64::MAX);
            if priority > Priority::default() {
                prop_assert!(Priority::new(enough - 1, 0, at) < priority);
            }
            let owing = Priority::new(0, debt, capacity);
            prop_assert_eq!(owing.debt(), Some(debt.into()));
            prop_assert_eq!(owing.lowered().debt(), Some(debt.into()));
        }
    }
}
