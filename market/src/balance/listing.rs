//! Queries about all clients.

use super::{
    error::LoadBalanceError,
    tracker::BalanceTracker,
    types::{SECOND, Sign},
};
use crate::{id::PeerId, store::interface::Store, value::expiring::ExpiringValue};
use std::{collections::BTreeMap, ops::ControlFlow};

const SUM_EVERY_NS: u64 = 10 * SECOND;

impl<Id: PeerId, S: Store> BalanceTracker<Id, S> {
    /// Returns the sum of all tokens: those of connected clients, counted at most 10 seconds ago, and those of all
    /// others. Rounded down by at most one token for each change of a balance.
    pub fn total_tokens(&mut self, now_ns: u64) -> u64 {
        let fresh = |at: u64| now_ns.saturating_sub(at) < SUM_EVERY_NS;
        let active = match self.upkeep.active {
            Some((active, at)) if fresh(at) => active,
            _ => {
                self.charge_all(now_ns);
                let mut active = ExpiringValue::ZERO;
                for client in self.clients.values() {
                    active.add_exp(client.balance.positive);
                }
                self.upkeep.active = Some((active, now_ns));
                active
            }
        };
        let mut total = active;
        total.add_exp(self.inactive);
        total.value(self.expiration.positive.offset_at(now_ns))
    }

    /// Returns at most `max` clients with tokens, in order of their ids' bytes, from `start` up to but excluding
    /// `stop`, or to the end without `stop`.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails or has a damaged record.
    pub fn clients_with_tokens(
        &self,
        start: &[u8],
        stop: Option<&[u8]>,
        max: usize,
        now_ns: u64,
    ) -> Result<Vec<Id>, LoadBalanceError> {
        let within = |id: &[u8]| id >= start && stop.is_none_or(|stop| id < stop);
        let mut found = BTreeMap::new();
        for (id, client) in &self.clients {
            let mut balance = client.balance;
            balance.charge_time(&self.expiration, now_ns);
            if within(id.as_ref()) && balance.values(&self.expiration, now_ns).0 > 0 {
                found.insert(id.as_ref().to_vec(), id.clone());
            }
        }
        let offset = self.expiration.positive.offset_at(now_ns);
        let mut stored = 0;
        let mut damaged = None;
        self.records.scan(Sign::Positive, start, |bytes, value| {
            if stored == max || !within(bytes) {
                return ControlFlow::Break(());
            }
            let Ok(id) = Id::try_from(bytes) else {
                damaged = Some(bytes.len());
                return ControlFlow::Break(());
            };
            if value.value(offset) > 0 && !self.clients.contains_key(&id) {
                found.insert(bytes.to_vec(), id);
                stored += 1;
            }
            ControlFlow::Continue(())
        })?;
        match damaged {
            Some(length) => Err(LoadBalanceError::Damaged { length }),
            None => Ok(found.into_values().take(max).collect()),
        }
    }
}
