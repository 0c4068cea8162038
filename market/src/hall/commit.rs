//! Operations that share one write.

use super::{
    error::{CommitError, HallError},
    owner::Hall,
};
use crate::{
    balance::undo::Settled,
    id::PeerId,
    store::interface::{Batch, Store, StoreError},
};

impl<Id: PeerId, S: Store> Hall<Id, S> {
    /// Opens a batch: writes are collected until [`commit`](Self::commit). Between the two, call only operations that
    /// credit and charge clients ([`pay`](Self::pay), [`exchange`](Self::exchange), [`served`](Self::served)), and
    /// queries.
    ///
    /// # Errors
    ///
    /// [`HallError::Unsettled`] while an earlier write has no known outcome, or that of reading it.
    pub fn begin(&mut self, now_ns: u64) -> Result<(), HallError> {
        match self.clients.tracker_mut().begin(now_ns) {
            Ok(Settled::Written | Settled::Idle) => {}
            Ok(Settled::Undone) => self.undo_sale(),
            Err(_) => return Err(HallError::Unsettled),
        }
        self.sale_before.clone_from(&self.sale);
        Ok(())
    }

    /// Writes the records of all operations since [`begin`](Self::begin) as one batch.
    ///
    /// # Errors
    ///
    /// [`CommitError`].
    pub fn commit(&mut self, now_ns: u64) -> Result<(), CommitError> {
        let batch = self.take_batch();
        let written = self.clients.tracker().write_batch(&batch);
        self.finish(batch, written, now_ns)
    }

    /// Returns the records of all operations since [`begin`](Self::begin), for a host that writes them itself, such as
    /// without a lock. Nothing else may happen before [`finish`](Self::finish).
    pub fn take_batch(&mut self) -> Batch {
        self.clients.tracker_mut().take_batch()
    }

    /// Takes note of the outcome of writing the batch.
    ///
    /// # Errors
    ///
    /// [`CommitError`] for a failed write that was not made.
    pub fn finish(
        &mut self,
        batch: Batch,
        written: Result<(), StoreError>,
        now_ns: u64,
    ) -> Result<(), CommitError> {
        let tracker = self.clients.tracker_mut();
        tracker.written(batch, written.is_ok());
        let Err(failed) = written else {
            return Ok(());
        };
        match tracker.settle(now_ns) {
            Ok(Settled::Written | Settled::Idle) => Ok(()),
            Ok(Settled::Undone) => {
                self.undo_sale();
                Err(CommitError::Undone(failed))
            }
            Err(_) => Err(CommitError::Unknown(failed)),
        }
    }

    fn undo_sale(&mut self) {
        if self.sale_before.is_some() {
            self.sale.clone_from(&self.sale_before);
        }
    }
}
