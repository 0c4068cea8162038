//! What a payer remembers between polls. Lost with the process, and read again.

use crate::{
    bank::ends::Closed,
    payer::undrawn::Undrawn,
    protocol::{amount::Amount, terms::DepositId},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
#[cfg(feature = "service")]
use tokio::time::Duration;
use tokio::time::Instant;

/// Results of earlier polls.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Time of the last look at a deposit's purse.
    pub(super) looked: HashMap<DepositId, u64>,
    /// Events found about deposits that their purses do not hold. `None`: the deposit was never open.
    pub(super) ends: HashMap<DepositId, Option<Closed>>,
    /// The deposits that are not drawn.
    pub(super) undrawn: Undrawn,
}

/// Age at which a remembered sum is read again: other processes may pay from the same store.
#[cfg(feature = "service")]
const MAX_AGE: Duration = Duration::from_secs(10);

/// Sums of payments, since a deposit may have thousands of accounts. Each has the time at which it was read from the store.
#[derive(Debug, Default)]
pub(super) struct SpentTotals(Mutex<HashMap<DepositId, (Amount, Instant)>>);

impl SpentTotals {
    /// Adds a payment of this process.
    pub(super) fn add(&self, id: DepositId, amount: Amount) {
        if let Some((sum, _)) = self.lock().get_mut(&id) {
            *sum = sum.checked_add(amount).unwrap_or(Amount::MAX);
        }
    }

    #[cfg(feature = "service")]
    pub(super) fn recent(&self, id: DepositId, now: Instant) -> Option<Amount> {
        let sums = self.lock();
        let (sum, read) = sums.get(&id)?;
        (now.saturating_duration_since(*read) < MAX_AGE).then_some(*sum)
    }

    #[cfg(feature = "service")]
    pub(super) fn set(&self, id: DepositId, sum: Amount, read: Instant) {
        self.lock().insert(id, (sum, read));
    }

    #[cfg(feature = "service")]
    pub(super) fn retain(&self, is_kept: impl Fn(&DepositId) -> bool) {
        self.lock().retain(|id, _| is_kept(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DepositId, (Amount, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(feature = "service")]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn adds_own_payments_and_reads_again_after_10_seconds() {
        let (sums, id) = (SpentTotals::default(), DepositId(B256::repeat_byte(1)));
        let read = Instant::now();
        sums.add(id, Amount::new(5));
        assert_eq!(sums.recent(id, read), None, "unknown until read");
        sums.set(id, Amount::new(10), read);
        sums.add(id, Amount::new(5));
        let last = read + MAX_AGE - Duration::from_millis(1);
        assert_eq!(sums.recent(id, last), Some(Amount::new(15)));
        assert_eq!(sums.recent(id, read + MAX_AGE), None);
        sums.retain(|_| false);
        assert_eq!(sums.recent(id, read), None);
    }
}
