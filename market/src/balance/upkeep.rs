//! Periodic work of a tracker.

use super::{
    error::LoadBalanceError,
    schedule::{SAVE_EVERY_NS, TIDY_EVERY_NS},
    tracker::BalanceTracker,
    types::{BalanceEvent, SECOND, Sign},
};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store, StoreError},
};
use std::{mem, ops::ControlFlow};

const SAVE_AGAIN_NS: u64 = 10 * SECOND;
/// Maximum number of stored balances per tidying.
const TIDY_AT_ONCE: usize = 4_096;

impl<Id: PeerId, S: Store> BalanceTracker<Id, S> {
    /// Returns the moment of the next work for [`poll`](Self::poll), possibly now.
    pub fn next_event(&self) -> u64 {
        if !self.events.is_empty() {
            return 0;
        }
        let check = self.checks.first().map_or(u64::MAX, |(at, _)| *at);
        check.min(self.upkeep.next())
    }

    /// Checks the balances that are due, stores and tidies as scheduled, and returns the events since the last call.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails; the next call returns the events.
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<BalanceEvent<Id>>, LoadBalanceError> {
        while let Some((at, id)) = self.checks.first().cloned() {
            if at > now_ns {
                break;
            }
            self.checks.remove(&(at, id.clone()));
            if let Some(client) = self.clients.get_mut(&id) {
                client.next_check = None;
            }
            // Only connected clients have a scheduled check.
            let _ = self.update(&id, now_ns, |_, _| ());
        }
        self.do_upkeep(now_ns)?;
        Ok(mem::take(&mut self.events))
    }

    /// Stores the offsets and the balances of all connected clients, charged until `now_ns`. Call it before the
    /// process ends; [`poll`](Self::poll) calls it every five minutes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    pub fn save(&mut self, now_ns: u64) -> Result<(), StoreError> {
        self.upkeep.save_at = now_ns.saturating_add(SAVE_AGAIN_NS);
        self.charge_all(now_ns);
        let mut batch = Batch::new();
        for id in self.clients.keys() {
            self.put(&mut batch, id, now_ns);
        }
        self.records.write(batch, &self.expiration, now_ns)?;
        self.upkeep.save_at = now_ns.saturating_add(SAVE_EVERY_NS);
        Ok(())
    }

    pub(super) fn do_upkeep(&mut self, now_ns: u64) -> Result<(), LoadBalanceError> {
        if self.upkeep.save_at <= now_ns {
            self.save(now_ns)?;
        }
        if self.upkeep.tidy_at <= now_ns {
            self.tidy(now_ns)?;
        }
        Ok(())
    }

    /// Deletes balances that have expired almost completely, a limited number per call.
    fn tidy(&mut self, now_ns: u64) -> Result<(), LoadBalanceError> {
        self.upkeep.tidy_at = now_ns.saturating_add(SAVE_AGAIN_NS);
        let (sign, from) = self.upkeep.tidy_from.clone();
        let (expirer, drop) = match sign {
            Sign::Positive => (&self.expiration.positive, self.settings.positive_drop),
            Sign::Negative => (&self.expiration.negative, self.settings.negative_drop),
        };
        let offset = expirer.offset_at(now_ns);
        let mut batch = Batch::new();
        let (mut removed, mut seen, mut last) = (Vec::new(), 0, None);
        self.records.scan(sign, &from, |of, value| {
            if seen == TIDY_AT_ONCE {
                last = Some(of.to_vec());
                return ControlFlow::Break(());
            }
            seen += 1;
            if value.value(offset) <= drop {
                self.records.delete(&mut batch, sign, of);
                // The sum of connected clients' tokens is separate.
                if sign == Sign::Positive && !self.is_connected(of) {
                    removed.push(value);
                }
            }
            ControlFlow::Continue(())
        })?;
        if !batch.is_empty() {
            self.records.write(batch, &self.expiration, now_ns)?;
        }
        for value in removed {
            self.inactive.sub_exp(value);
        }
        (self.upkeep.tidy_from, self.upkeep.tidy_at) = match (sign, last) {
            (sign, Some(from)) => ((sign, from), now_ns),
            (Sign::Positive, None) => ((Sign::Negative, Vec::new()), now_ns),
            (Sign::Negative, None) => (
                (Sign::Positive, Vec::new()),
                now_ns.saturating_add(TIDY_EVERY_NS),
            ),
        };
        Ok(())
    }

    fn is_connected(&self, id: &[u8]) -> bool {
        Id::try_from(id).is_ok_and(|id| self.clients.contains_key(&id))
    }
}
