//! Payments that the application divides among deposits, with records of its own in the same store.

use crate::{
    bank::head::Head,
    payer::{
        Payer,
        error::PayerError,
        pay::{Part, Payment, account_change, name_deposit},
    },
    protocol::{amount::Amount, now::Now, terms::DepositId},
    store::{app_records::AppRecords, async_store::AppChange, change::Swap},
    tx::wallet::Wallet,
};
use alloy_primitives::Address;

impl Payer {
    /// Pays a payee exactly these amounts, in token units, from these deposits (each listed once) by one cheque
    /// each, and applies `app_change` to the application's records: all of these or nothing. Concurrent payments
    /// from the same deposits are not delayed.
    ///
    /// Everything is stored before this method returns.
    ///
    /// # Errors
    ///
    /// [`PayerError::NotActive`], [`PayerError::NotCoveredByDeposit`] and [`PayerError::AppConflict`] name the
    /// obstacle; further those of [`Payer::write_cheque`].
    pub async fn pay_pieces(
        &self,
        payee: Address,
        pieces: &[(DepositId, Amount)],
        app_change: &AppChange,
    ) -> Result<Vec<Payment>, PayerError> {
        loop {
            let parts = self.parts(payee, pieces).await?;
            let accounts = parts
                .iter()
                .map(|part| account_change(part.id, payee, &part.old, &part.new));
            let changes = [app_change.clone().into()].into_iter().chain(accounts);
            match self.store.swap(changes.collect()).await? {
                Swap::Done => {}
                Swap::Conflict { index: 0, .. } => return Err(PayerError::AppConflict),
                // Another payment has changed an account meanwhile: retry with the current allowances.
                Swap::Conflict { .. } => continue,
            }
            return self.payments_of(payee, &parts).await;
        }
    }

    /// Returns the application's records in the payer's store.
    pub fn app_records(&self) -> AppRecords {
        AppRecords::of(self.store.clone())
    }

    /// Returns the head of a recent snapshot.
    ///
    /// # Errors
    ///
    /// Errors of the node and of the store.
    pub async fn last_head(&self) -> Result<Head, PayerError> {
        Ok(self.fresh_snapshot().await?.head)
    }

    /// Reads the three clocks, by the head of a recent snapshot. Does not check them against each other.
    ///
    /// # Errors
    ///
    /// Errors of the node and of the store.
    pub async fn last_now(&self) -> Result<Now, PayerError> {
        let head = self.last_head().await?;
        Ok(self.now_at(&head).await)
    }

    /// Returns the wallet, if configured.
    pub const fn wallet(&self) -> Option<&Wallet> {
        self.wallet.as_ref()
    }

    /// Signs the cheque of each piece, without storing.
    async fn parts(
        &self,
        payee: Address,
        pieces: &[(DepositId, Amount)],
    ) -> Result<Vec<Part>, PayerError> {
        let (snapshot, now) = self.live_snapshot().await?;
        let mut parts = Vec::with_capacity(pieces.len());
        for &(id, amount) in pieces {
            let deposit = self.record(id).await?.deposit;
            let key = self.key_for(&deposit)?;
            if !snapshot.is_active(id, &deposit) || !self.is_in_time(&deposit, 0, now) {
                return Err(PayerError::NotActive(id));
            }
            let old = self.account(id, payee).await?;
            let new = old.1.write_cheque(amount, &self.context(key, id, payee));
            let new = new.map_err(|error| name_deposit(id, error))?;
            parts.push(Part { id, old, new });
        }
        Ok(parts)
    }
}
