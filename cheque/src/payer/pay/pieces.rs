//! Payments that are divided by the application, which keeps records of its own about them.

use crate::{
    bank::head::Head,
    payer::{
        Payer, cutoff,
        error::PayerError,
        pay::{Part, Payment, change, not_written},
    },
    protocol::{amount::Amount, terms::DepositId},
    store::{Swap, app_records::AppRecords, async_store::AppChange},
    tx::wallet::Wallet,
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

impl Payer {
    /// Pays a payee exactly these amounts, in token units, from these deposits, each named once, by one cheque each; and
    /// makes a change of the application's: all of it or nothing. Who else pays from the deposits at the same moment is
    /// not held up.
    ///
    /// All is on disk before this returns.
    ///
    /// # Errors
    ///
    /// [`PayerError::NotActive`], [`PayerError::NotCoveredByDeposit`] and [`PayerError::AppConflict`] say what is in the
    /// way; and those of [`Payer::write_cheque`].
    pub async fn pay_pieces(
        &self,
        payee: Address,
        pieces: &[(DepositId, Amount)],
        also: &AppChange,
    ) -> Result<Vec<Payment>, PayerError> {
        loop {
            let parts = self.parts(payee, pieces).await?;
            let accounts = parts
                .iter()
                .map(|part| change(part.id, payee, &part.old, &part.new));
            let changes = [also.clone().into()].into_iter().chain(accounts);
            match self.store.swap(changes.collect()).await? {
                Swap::Done => {}
                Swap::Conflict { index: 0, .. } => return Err(PayerError::AppConflict),
                // Another payment was faster; go on from what is left now.
                Swap::Conflict { .. } => continue,
            }
            let mut payments = Vec::with_capacity(parts.len());
            for part in parts {
                let first = part.old.0.is_none();
                payments.push(self.payment(part.id, payee, &part.new, first).await?);
            }
            return Ok(payments);
        }
    }

    /// The application's records in the payer's store.
    pub fn host_records(&self) -> AppRecords {
        AppRecords::of(self.store.clone())
    }

    /// The newest block as of the last look at the chain, which is at most one block old.
    pub async fn last_head(&self) -> Result<Head, PayerError> {
        Ok(self.fresh_snapshot().await?.head)
    }

    /// From which block on no cheque is written from a deposit: with a newer head it is not active.
    pub fn end_block(&self, deposit: &Deposit) -> u64 {
        let cutoff = cutoff(self.reader.profile());
        deposit.drawBlock.saturating_sub(cutoff)
    }

    /// The wallet, if this payer has one.
    pub const fn wallet(&self) -> Option<&Wallet> {
        self.wallet.as_ref()
    }

    async fn parts(
        &self,
        payee: Address,
        pieces: &[(DepositId, Amount)],
    ) -> Result<Vec<Part>, PayerError> {
        let snapshot = self.live_snapshot().await?;
        let mut parts = Vec::with_capacity(pieces.len());
        for &(id, amount) in pieces {
            let deposit = self.record(id).await?.deposit;
            let key = self.key_of(&deposit)?;
            if !Self::is_active(&snapshot, id) {
                return Err(PayerError::NotActive(id));
            }
            let old = self.account(id, payee).await?;
            let new = old.1.write_cheque(amount, &self.context(key, id, payee));
            let new = new.map_err(|error| not_written(id, error))?;
            parts.push(Part { id, old, new });
        }
        Ok(parts)
    }
}
