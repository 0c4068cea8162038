//! Sums of all payments from a deposit. Remembered, because a deposit may have thousands of accounts.

use crate::{
    payer::{Payer, error::PayerError, stored::stored_totals},
    protocol::{amount::Amount, terms::DepositId},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Age at which a remembered sum is read again: other processes may pay from the same store.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The remembered sums, each with the time at which it was read from the store.
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
    fn recent(&self, id: DepositId, now: Instant) -> Option<Amount> {
        let sums = self.lock();
        let (sum, read) = sums.get(&id)?;
        (now.saturating_duration_since(*read) < MAX_AGE).then_some(*sum)
    }

    #[cfg(feature = "service")]
    fn set(&self, id: DepositId, sum: Amount, read: Instant) {
        self.lock().insert(id, (sum, read));
    }

    #[cfg(feature = "service")]
    fn retain(&self, is_kept: impl Fn(&DepositId) -> bool) {
        self.lock().retain(|id, _| is_kept(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DepositId, (Amount, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Payer {
    /// Sum of all payments from a deposit, in token units.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn spent(&self, id: DepositId) -> Result<Amount, PayerError> {
        let totals = stored_totals(&self.store, id).await?;
        // Bounded by the allowances, whose sum is the deposit's amount.
        let add = |sum: Amount, (_, total): &(_, Amount)| sum.checked_add(*total);
        let sum = totals.iter().try_fold(Amount::ZERO, add);
        Ok(sum.unwrap_or(Amount::MAX))
    }

    /// Like [`Payer::spent`], from memory if read within the last 10 s. Payments of this process are in the sum, those of
    /// other processes since then are not. A payment made during the reading may be missing, or counted twice, until the
    /// sum is read again.
    #[cfg(feature = "service")]
    pub(super) async fn recently_spent(&self, id: DepositId) -> Result<Amount, PayerError> {
        let (sums, now) = (&self.shared.spent, Instant::now());
        if let Some(sum) = sums.recent(id, now) {
            return Ok(sum);
        }
        let sum = self.spent(id).await?;
        sums.set(id, sum, now);
        Ok(sum)
    }

    /// Forgets the sums of all other deposits.
    #[cfg(feature = "service")]
    pub(super) fn keep_spent_of(&self, is_kept: impl Fn(&DepositId) -> bool) {
        self.shared.spent.retain(is_kept);
    }
}

#[cfg(all(test, feature = "service"))]
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
