//! Sums of all payments from a deposit.

use crate::{
    payer::{Payer, error::PayerError, stored::stored_totals},
    protocol::{amount::Amount, terms::DepositId},
};
#[cfg(feature = "service")]
use tokio::time::Instant;

impl Payer {
    /// Sum of all payments from a deposit, in token units.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn spent(&self, id: DepositId) -> Result<Amount, PayerError> {
        Ok(self.sum_of_accounts(id).await?.0)
    }

    /// Reads all accounts of a deposit. Returns the sum of their totals, and their number.
    async fn sum_of_accounts(&self, id: DepositId) -> Result<(Amount, usize), PayerError> {
        let totals = stored_totals(&self.store, id).await?;
        // Bounded by the allowances, whose sum is the deposit's amount.
        let add = |sum: Amount, (_, total): &(_, Amount)| sum.checked_add(*total);
        let sum = totals.iter().try_fold(Amount::ZERO, add);
        Ok((sum.unwrap_or(Amount::MAX), totals.len()))
    }

    /// Like [`Payer::spent`], from memory if read within the last 10 s, or as many milliseconds as the deposit has accounts.
    /// Payments of this process are in the sum, those of other processes since then are not. A payment made during the reading
    /// may be missing, or counted twice, until the sum is read again.
    #[cfg(feature = "service")]
    pub(super) async fn recently_spent(&self, id: DepositId) -> Result<Amount, PayerError> {
        let (sums, now) = (&self.shared.spent, Instant::now());
        if let Some(sum) = sums.recent(id, now) {
            return Ok(sum);
        }
        let read = self.sum_of_accounts(id).await?;
        sums.set(id, read, now);
        Ok(read.0)
    }

    /// Forgets the sums of all other deposits.
    #[cfg(feature = "service")]
    pub(super) fn keep_spent_of(&self, is_kept: impl Fn(&DepositId) -> bool) {
        self.shared.spent.retain(is_kept);
    }
}
