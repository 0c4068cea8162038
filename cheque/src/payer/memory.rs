//! What a payer remembers between polls. Lost with the process, and read again.

use crate::{
    bank::ends::Closed,
    payer::{held::Held, undrawn::Undrawn},
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
    /// The deposits whose purses need no look before their draw.
    pub(super) held: Held,
    /// The deposits that are not drawn.
    pub(super) undrawn: Undrawn,
}

/// Age at which the remembered sum of a small deposit is read again: other processes may pay from the same store.
#[cfg(feature = "service")]
const MIN_LIFE: Duration = Duration::from_secs(10);

/// What an account adds to the age, so that no more than a thousand accounts of a deposit are read in a second.
#[cfg(feature = "service")]
const LIFE_PER_ACCOUNT: Duration = Duration::from_millis(1);

/// Sums of payments, since a deposit may have thousands of accounts. Each has the time from which it is read again.
#[derive(Debug, Default)]
pub(super) struct SpentTotals(Mutex<HashMap<DepositId, (Amount, Instant)>>);

impl SpentTotals {
    /// Adds a payment of this process.
    pub(super) fn add(&self, id: DepositId, amount: Amount) {
        if let Some((sum, _)) = self.lock().get_mut(&id) {
            *sum = sum.checked_add(amount).unwrap_or(Amount::MAX);
        }
    }

    /// Returns a sum that is not to be read again yet.
    #[cfg(feature = "service")]
    pub(super) fn recent(&self, id: DepositId, now: Instant) -> Option<Amount> {
        let sums = self.lock();
        let (sum, until) = sums.get(&id)?;
        (now < *until).then_some(*sum)
    }

    /// Remembers the sum of a deposit's accounts.
    #[cfg(feature = "service")]
    pub(super) fn set(&self, id: DepositId, (sum, accounts): (Amount, usize), read: Instant) {
        let accounts = u32::try_from(accounts).unwrap_or(u32::MAX);
        let life = MIN_LIFE.max(LIFE_PER_ACCOUNT.saturating_mul(accounts));
        self.lock().insert(id, (sum, read + life));
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
        sums.set(id, (Amount::new(10), 3), read);
        sums.add(id, Amount::new(5));
        let last = read + MIN_LIFE - Duration::from_millis(1);
        assert_eq!(sums.recent(id, last), Some(Amount::new(15)));
        assert_eq!(sums.recent(id, read + MIN_LIFE), None);
        sums.retain(|_| false);
        assert_eq!(sums.recent(id, read), None);
    }

    #[test]
    fn reads_a_thousand_accounts_a_second_at_most() {
        let (sums, id) = (SpentTotals::default(), DepositId(B256::repeat_byte(1)));
        let (read, second) = (Instant::now(), Duration::from_secs(1));
        for (accounts, seconds) in [(10_000, 10), (10_001, 10), (100_000, 100)] {
            sums.set(id, (Amount::new(7), accounts), read);
            let life = seconds * second;
            let last = read + life - Duration::from_millis(1);
            assert_eq!(sums.recent(id, last), Some(Amount::new(7)), "{accounts}");
            let over = read + life + Duration::from_millis(1);
            assert_eq!(sums.recent(id, over), None, "{accounts}");
        }
    }
}
