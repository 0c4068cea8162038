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
    /// queries; any others after [`stay`](Self::stay).
    ///
    /// # Errors
    ///
    /// [`HallError::Unsettled`] while an earlier write has no known outcome, or that of reading it.
    pub fn begin(&mut self, now_ns: u64) -> Result<(), HallError> {
        match self.clients.tracker_mut().begin(now_ns) {
            Ok(Settled::Written | Settled::Idle) => {}
            Ok(Settled::Undone) => self.undo_sale(),
            Ok(Settled::Owed) | Err(_) => return Err(HallError::Unsettled),
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

    /// Lets all operations of the open batch stay, even if its write fails: the batch is [owed](Self::owed) then. For
    /// operations other than those that credit and charge clients, such as connecting.
    pub const fn stay(&mut self) {
        self.clients.tracker_mut().stay();
    }

    /// Returns the batch that is owed: write it, and call [`paid_off`](Self::paid_off). Until then, operations are
    /// refused by [`begin`](Self::begin).
    pub fn owed(&self) -> Option<&Batch> {
        self.clients.tracker().owed()
    }

    /// Takes note that the owed batch was written.
    pub fn paid_off(&mut self) {
        self.clients.tracker_mut().paid_off();
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
            Ok(Settled::Owed) => Err(CommitError::Owed(failed)),
            Err(_) => Err(CommitError::Unknown(failed)),
        }
    }

    fn undo_sale(&mut self) {
        if self.sale_before.is_some() {
            self.sale.clone_from(&self.sale_before);
        }
    }
}
