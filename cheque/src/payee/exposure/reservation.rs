//! Reservations: payments counted before they are written.

use crate::{
    payee::exposure::{ExposureIndex, ExposureKey, Sight, Sums},
    protocol::{amount::Amount, terms::DepositId},
};
use cheque_bindings::Deposit;

/// The totals of one deposit's payments that are being written.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// The largest total of payments in the store. `None`: none is known to be.
    stored: Option<Amount>,
    /// The totals being written.
    writing: Vec<Amount>,
}

impl InFlight {
    /// Counts a total as stored.
    pub(super) fn store(&mut self, total: Amount) {
        self.stored = self.stored.max(Some(total));
    }

    /// The largest total.
    pub(super) fn largest(&self) -> Amount {
        let writing = self.writing.iter().copied().max();
        writing.max(self.stored).unwrap_or_default()
    }
}

/// A payment that is counted and not written yet.
#[derive(Clone, Copy, Debug)]
#[must_use = "finish the reservation once the result of the write is known"]
pub(in crate::payee) struct Reservation {
    key: ExposureKey,
    id: DepositId,
    total: Amount,
}

impl ExposureIndex {
    /// Counts a payment judged by the sums `judged` before it is written. `None` if the sums have grown since, because of
    /// other payments: judge it again.
    ///
    /// `sight` is the block at which the payment's purse was seen to hold the deposit.
    pub(in crate::payee) fn reserve(
        &mut self,
        id: DepositId,
        terms: &Deposit,
        total: Amount,
        sight: Sight,
        judged: Sums,
    ) -> Option<Reservation> {
        let now = self.of_others(id, terms, self.is_settled(sight.open_at));
        if now.exposure > judged.exposure || now.unsettled > judged.unsettled {
            return None;
        }
        let key = ExposureKey::of(terms);
        let before = self.deposits.get(&(key, id)).map(|entry| entry.total);
        let in_flight = self.in_flight.entry(id).or_insert_with(|| InFlight {
            stored: before,
            writing: Vec::new(),
        });
        in_flight.writing.push(total);
        self.raise(id, terms, total, Some(sight));
        Some(Reservation { key, id, total })
    }

    /// Ends a reservation. `written` is false only if the payment was certainly not written: its total then counts no
    /// longer.
    pub(in crate::payee) fn finish(&mut self, reservation: Reservation, written: bool) {
        let Reservation { key, id, total } = reservation;
        let Some(in_flight) = self.in_flight.get_mut(&id) else {
            return;
        };
        if let Some(index) = in_flight.writing.iter().position(|other| *other == total) {
            in_flight.writing.swap_remove(index);
        }
        if written {
            in_flight.store(total);
        }
        let (largest, stored) = (in_flight.largest(), in_flight.stored);
        let is_over = in_flight.writing.is_empty();
        if is_over {
            self.in_flight.remove(&id);
        }
        if is_over && stored.is_none() {
            self.remove_of(key, id);
        } else {
            self.lower(key, id, largest);
        }
    }
}
