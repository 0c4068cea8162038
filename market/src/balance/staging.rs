//! Operations that share one write.

use super::{
    error::LoadBalanceError,
    tracker::BalanceTracker,
    types::BalanceEvent,
    undo::{Settled, Undo},
};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store, StoreError},
    value::expirer::ExpirationRate,
};

impl<Id: PeerId, S: Store> BalanceTracker<Id, S> {
    /// Collects the writes of operations until [`take_batch`](Self::take_batch). Settles an earlier failure first.
    pub(crate) fn begin(&mut self, now_ns: u64) -> Result<Settled, StoreError> {
        let settled = self.settle(now_ns)?;
        self.records.stage();
        self.undo.get_or_insert_with(|| Undo {
            credits: Vec::new(),
            inactive: self.inactive,
            active: self.upkeep.active,
            stays: false,
            failed: None,
        });
        Ok(settled)
    }

    /// Keeps the operations of the open batch even if its write fails: it is owed then, and written before anything else
    /// happens. For changes of more than balances.
    pub(crate) const fn stay(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.stays = true;
        }
    }

    /// Returns the batch that is owed, for a write without a lock; then [`paid_off`](Self::paid_off).
    pub(crate) fn owed(&self) -> Option<&Batch> {
        let undo = self.undo.as_ref().filter(|undo| undo.stays);
        undo.and_then(|undo| undo.failed.as_ref())
    }

    /// Takes note that the owed batch was written.
    pub(crate) fn paid_off(&mut self) {
        self.undo = None;
        self.records.show(None);
    }

    /// Returns what was collected, to be written before anything else happens, and then told by
    /// [`written`](Self::written).
    pub(crate) fn take_batch(&mut self) -> Batch {
        self.records.take_staged().unwrap_or_default()
    }

    /// Writes a batch.
    pub(crate) fn write_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        match batch.is_empty() {
            true => Ok(()),
            false => self.records.store().write(batch),
        }
    }

    /// Takes note of the outcome of a write. After a failure, [`settle`](Self::settle).
    pub(crate) fn written(&mut self, batch: Batch, is_made: bool) {
        match (&mut self.undo, is_made) {
            // No batch was begun, and an earlier one is not settled.
            (Some(undo), _) if undo.failed.is_some() => {}
            (Some(undo), false) => {
                if undo.stays {
                    // Balances in memory are those of the owed rows.
                    self.records.show(Some(batch.clone()));
                }
                undo.failed = Some(batch);
            }
            _ => self.undo = None,
        }
    }

    /// Reads whether a failed write was made, and undoes its operations if not.
    pub(crate) fn settle(&mut self, now_ns: u64) -> Result<Settled, StoreError> {
        let Some(batch) = self.undo.as_ref().and_then(|undo| undo.failed.as_ref()) else {
            return Ok(Settled::Idle);
        };
        if self.owed().is_some() {
            return Ok(Settled::Owed);
        }
        let written = is_written(self.records.store(), batch)?;
        let Some(undo) = self.undo.take() else {
            return Ok(Settled::Idle);
        };
        if written {
            return Ok(Settled::Written);
        }
        for (id, net) in undo.credits.into_iter().rev() {
            let offset = self.expiration.positive.offset_at(now_ns);
            if let Some(client) = self.clients.get_mut(&id) {
                client.balance.positive.add(net.saturating_neg(), offset);
                self.events.push(BalanceEvent::Changed(id.clone()));
                self.changed.insert(id.clone());
                self.check_balance(&id, now_ns);
            }
        }
        self.inactive = undo.inactive;
        self.upkeep.active = undo.active;
        Ok(Settled::Undone)
    }

    /// Writes further rows at once, or with those that are collected.
    pub(crate) fn write(&mut self, batch: Batch, now_ns: u64) -> Result<(), StoreError> {
        self.records.write(batch, &self.expiration, now_ns)
    }

    /// Writes rows of the host that have nothing to do with balances, at once, or with those of an open
    /// [batch](crate::hall::Hall::begin).
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    pub fn write_rows(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.records.write_rows(batch)
    }

    /// Returns the value of a key of the store, as if collected writes were made.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails.
    pub fn stored(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LoadBalanceError> {
        Ok(self.records.get(key)?)
    }

    /// Sets the rate at which positive balances expire from now on.
    pub fn set_positive_expiration(&mut self, rate: ExpirationRate, now_ns: u64) {
        if self.expiration.positive.rate() != rate {
            let negative = self.expiration.negative.rate();
            self.set_expiration(rate, negative, now_ns);
        }
    }
}

/// True if the rows of a batch are stored. A batch is written as a whole or not at all.
fn is_written(store: &impl Store, batch: &Batch) -> Result<bool, StoreError> {
    for (key, new) in batch.iter() {
        if store.get(key)?.as_deref() != new {
            return Ok(false);
        }
    }
    Ok(true)
}
