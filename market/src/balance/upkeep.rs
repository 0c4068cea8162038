//! What a tracker does from time to time, and questions about all clients.

use super::{
    node::SECOND,
    records::{LoadBalanceError, Sign},
    tracker::BalanceTracker,
};
use crate::{
    id::NodeId,
    store::{Batch, Store, StoreError},
    value::ExpiredValue,
};
use std::{collections::BTreeMap, ops::ControlFlow};

/// How much a process that is killed may forget to charge.
const SAVE_EVERY_NS: u64 = 300 * SECOND;
const SAVE_AGAIN_NS: u64 = 10 * SECOND;
const TIDY_EVERY_NS: u64 = 3_600 * SECOND;
/// Stored balances looked at in one go.
const TIDY_AT_ONCE: usize = 4_096;
const SUM_EVERY_NS: u64 = 10 * SECOND;

/// When what is due.
#[derive(Debug)]
pub(super) struct Upkeep {
    save_at: u64,
    tidy_at: u64,
    /// Where tidying up goes on.
    tidy_from: (Sign, Vec<u8>),
    /// The sum of connected clients' positive balances, and when it was taken.
    active: Option<(ExpiredValue, u64)>,
}

impl Upkeep {
    pub(super) const fn new(now_ns: u64) -> Self {
        Self {
            save_at: now_ns.saturating_add(SAVE_EVERY_NS),
            tidy_at: now_ns.saturating_add(TIDY_EVERY_NS),
            tidy_from: (Sign::Positive, Vec::new()),
            active: None,
        }
    }

    /// A change of connected clients' balances that is not a charge.
    pub(super) fn moved(&mut self, from: ExpiredValue, to: ExpiredValue) {
        if let Some((active, _)) = &mut self.active {
            active.sub_exp(from);
            active.add_exp(to);
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.save_at.min(self.tidy_at)
    }
}

impl<Id: NodeId, S: Store> BalanceTracker<Id, S> {
    /// All tokens there are: of connected clients, counted at most 10 seconds ago, and of others. Rounded down by at
    /// most one token for each change of a balance.
    pub fn total_tokens(&mut self, now_ns: u64) -> u64 {
        let fresh = |at: u64| now_ns.saturating_sub(at) < SUM_EVERY_NS;
        let active = match self.upkeep.active {
            Some((active, at)) if fresh(at) => active,
            _ => {
                self.settle_all(now_ns);
                let mut active = ExpiredValue::ZERO;
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

    /// At most `most` clients with tokens whose ids' bytes are not below those of `start` and are below those of
    /// `stop`, in order of their bytes. Without `stop`, there is no end.
    pub fn clients_with_tokens(
        &self,
        start: &[u8],
        stop: Option<&[u8]>,
        most: usize,
        now_ns: u64,
    ) -> Result<Vec<Id>, LoadBalanceError> {
        let within = |id: &[u8]| id >= start && stop.is_none_or(|stop| id < stop);
        let mut found = BTreeMap::new();
        for (id, client) in &self.clients {
            let mut balance = client.balance;
            balance.settle(&self.expiration, now_ns);
            if within(id.as_ref()) && balance.values(&self.expiration, now_ns).0 > 0 {
                found.insert(id.as_ref().to_vec(), id.clone());
            }
        }
        let offset = self.expiration.positive.offset_at(now_ns);
        let mut stored = 0;
        let mut damaged = None;
        self.records.scan(Sign::Positive, start, |bytes, value| {
            if stored == most || !within(bytes) {
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
            None => Ok(found.into_values().take(most).collect()),
        }
    }

    /// Stores the balances of all connected clients, charged up to now, and the offsets: before the process ends, and
    /// [`poll`](Self::poll) does it every five minutes.
    pub fn save(&mut self, now_ns: u64) -> Result<(), StoreError> {
        self.upkeep.save_at = now_ns.saturating_add(SAVE_AGAIN_NS);
        self.settle_all(now_ns);
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

    /// Removes balances that have expired to nearly nothing, some at a time.
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
                // Tokens of connected clients are counted elsewhere.
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
