//! Reservations: payments counted before they are written.

use crate::{
    payee::exposure::{ExposureIndex, ExposureKey, Sight, Sums, in_flight::InFlight},
    protocol::{amount::Amount, terms::DepositId},
};
use cheque_bindings::Deposit;

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
        Some(self.begin(id, terms, total, sight))
    }

    /// Counts a payment before it is written, whatever the sums are.
    pub(in crate::payee) fn begin(
        &mut self,
        id: DepositId,
        terms: &Deposit,
        total: Amount,
        sight: Sight,
    ) -> Reservation {
        let key = ExposureKey::of(terms);
        let before = self.deposits.get(&(key, id)).map(|entry| entry.total);
        let in_flight = self.in_flight.entry(id);
        in_flight
            .or_insert_with(|| InFlight::after(before))
            .begin(total);
        self.raise(id, terms, total, Some(sight));
        Reservation { key, id, total }
    }

    /// Ends a reservation. `written` is false only if the payment was certainly not written: its total then counts no
    /// longer.
    pub(in crate::payee) fn finish(&mut self, reservation: Reservation, written: bool) {
        let Reservation { key, id, total } = reservation;
        let Some(in_flight) = self.in_flight.get_mut(&id) else {
            return;
        };
        in_flight.end(total, written);
        let largest = in_flight.largest();
        if in_flight.is_over() {
            self.in_flight.remove(&id);
        }
        match largest {
            Some(largest) => self.lower(key, id, largest),
            None => self.remove_of(key, id),
        }
    }
}
