//! Totals charged to clients, and notices about them.

use super::{
    error::{LoadBalanceError, NotConnected},
    tracker::BalanceTracker,
    types::{Charged, Notice},
};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store},
};

impl<Id: PeerId, S: Store> BalanceTracker<Id, S> {
    /// Returns everything charged to a client, connected or not, until `now_ns`.
    ///
    /// The total is stored with the balance of a client that ever had tokens or has a notice. The total of any other
    /// client is lost when it disconnects.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails or has a damaged record.
    pub fn charged(&self, id: &Id, now_ns: u64) -> Result<Charged, LoadBalanceError> {
        match self.charged_balance(id, now_ns) {
            Ok(balance) => Ok(balance.tally.charged),
            Err(NotConnected) => Ok(self.records.tally(id.as_ref())?.charged),
        }
    }

    /// Returns the clients with a stored total or notice, connected or not, in order of their ids' bytes.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails or has a damaged record.
    pub fn clients_charged(&self) -> Result<Vec<Id>, LoadBalanceError> {
        self.records.charged()
    }

    /// Sets or ends the notices of clients, connected or not, and stores them together with `extra` in one
    /// transaction. A due notice becomes a [`BalanceEvent::Noticed`](super::BalanceEvent::Noticed) of
    /// [`poll`](Self::poll).
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails; nothing changes.
    pub fn set_notices<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a Id>,
        notice: Option<Notice>,
        extra: Batch,
        now_ns: u64,
    ) -> Result<(), LoadBalanceError> {
        let ids: Vec<_> = ids.into_iter().collect();
        // Charges all clients before writing the first: clients of one address share one debt.
        for id in &ids {
            let _ = self.update(id, now_ns, |_, _| {});
        }
        let (mut batch, mut changed) = (extra, Vec::new());
        for id in ids {
            let connected = self.charged_balance(id, now_ns).ok();
            let mut tally = match &connected {
                Some(balance) => balance.tally,
                None => self.records.tally(id.as_ref())?,
            };
            tally.set(notice);
            match connected {
                // The total must not be ahead of the balance it was taken from.
                Some(mut balance) => {
                    balance.tally = tally;
                    let address = self.clients.get(id).map(|client| &*client.address);
                    self.put_balance(&mut batch, id, address, &balance, now_ns);
                }
                None => self.records.put_tally(&mut batch, id.as_ref(), tally),
            }
            changed.push((id, tally));
        }
        self.records.write(batch, &self.expiration, now_ns)?;
        for (id, tally) in changed {
            // The notice of a client that is not connected waits in the store.
            let _ = self.update(id, now_ns, |balance, _| balance.tally = tally);
        }
        Ok(())
    }
}
