//! Finds out what has become of a deposit that its purse no longer holds: from the bank's events and the own receipt.

use crate::{
    bank::{ends::Closed, error::BankError},
    payer::{
        Payer,
        create::open_key,
        error::PayerError,
        follow::Look,
        memory::Memory,
        records::{DepositRecord, OpenAt},
        state::{is_decided, needs_events},
    },
    protocol::terms::{DepositId, Purse},
    tx::record::stored_tx,
};
use alloy::providers::Provider;
use std::sync::{MutexGuard, PoisonError};

impl Payer {
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        let memory = self.shared.memory.lock();
        memory.unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the event that closed a deposit. `None` while the purse holds the deposit or may still come to hold
    /// it, and for a deposit that was never open. Events found are remembered, and read again once they are
    /// final.
    ///
    /// A deposit that was open and has no such event is an error: the node's logs are incomplete.
    pub(super) async fn find_end(
        &self,
        id: DepositId,
        record: &DepositRecord,
        look: &Look,
        purses: &[Purse],
    ) -> Result<Option<Closed>, PayerError> {
        let (terms, limits, moment) = (&record.deposit, &look.limits, &look.moment);
        if !needs_events(id, terms, limits, moment, purses[0]) {
            self.memory().ends.remove(&id);
            return Ok(None);
        }
        let known = self.memory().ends.get(&id).copied();
        if let Some(closed) = known
            && !is_decided(terms, limits, moment, closed.as_ref())
        {
            return Ok(closed);
        }
        let open_at = self.proven_opening(record).await?;
        // The bank closes no deposit in the block that is known to have held it, or before.
        let from = open_at.map_or(record.since, |open| open.block.saturating_add(1));
        let to = look.head.number;
        let closed = self.reader.closed(id, from, &look.head).await?;
        if closed.is_none()
            && (purses[1] == Purse::Open(id)
                || open_at.is_some()
                || self.was_opened(id, record, to).await?)
        {
            self.reader.forget_closed(id);
            let missing = Err(BankError::NoEvent { id, from, to });
            self.reader.fail_over_on_err(missing)?;
        }
        self.memory().ends.insert(id, closed);
        Ok(closed)
    }

    /// Returns the block that held the deposit, if that block is still in the chain.
    async fn proven_opening(&self, record: &DepositRecord) -> Result<Option<OpenAt>, PayerError> {
        let Some(open) = record.open_at else {
            return Ok(None);
        };
        let hash = self.reader.hash_of(open.block).await?;
        Ok((hash == Some(open.hash)).then_some(open))
    }

    /// True if the deposit was opened up to block `to`, by the bank's event or by the receipt of the stored
    /// opening.
    async fn was_opened(
        &self,
        id: DepositId,
        record: &DepositRecord,
        to: u64,
    ) -> Result<bool, PayerError> {
        if self.reader.opened_in(id, record.since, to).await?.is_some() {
            return Ok(true);
        }
        let Some(opening) = stored_tx(&self.store, &open_key(id)).await? else {
            return Ok(false);
        };
        for hash in opening.hashes {
            let receipt = self.reader.provider().get_transaction_receipt(hash).await;
            let receipt = receipt.map_err(BankError::from)?;
            if receipt.is_some_and(|receipt| receipt.status()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
