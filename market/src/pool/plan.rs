//! Capacities of several clients, set for all or for none.

use super::{
    clients::ClientPool, priority_pool::PriorityPool, set_capacity::SetCapacityError,
    types::CapacityChange,
};
use crate::{balance::tracker::BalanceTracker, id::PeerId, store::interface::Store};
use std::{collections::BTreeSet, mem};

/// A planned state of a [`ClientPool`]. The pool changes only by [`apply`](Self::apply), and cannot change otherwise
/// meanwhile.
#[derive(Debug)]
#[must_use = "nothing changes before it is applied"]
pub struct CapacityPlan<'a, Id, S> {
    clients: &'a mut ClientPool<Id, S>,
    /// Planned capacities, if any are planned.
    pool: Option<PriorityPool<Id>>,
    now_ns: u64,
}

impl<Id: PeerId, S: Store> ClientPool<Id, S> {
    /// Returns a plan without changes.
    pub fn plan(&mut self, now_ns: u64) -> CapacityPlan<'_, Id, S> {
        CapacityPlan {
            pool: None,
            clients: self,
            now_ns,
        }
    }

    /// Tries the request for each client. Clients that yield capacity come first, so that the others can get it.
    fn try_all(
        &mut self,
        ids: &BTreeSet<Id>,
        requested: u64,
        bias_ns: u64,
        now_ns: u64,
    ) -> Vec<(Id, SetCapacityError)> {
        let (lowered, raised): (Vec<_>, Vec<_>) = ids
            .iter()
            .partition(|id| self.pool.capacity(id) > Some(requested));
        let mut refused = Vec::new();
        for id in lowered.into_iter().chain(raised) {
            match self.try_capacity(id, requested, bias_ns, now_ns) {
                Ok((granted, min)) if granted.capacity >= min => {}
                Ok(_) => refused.push((id.clone(), SetCapacityError::NotFound { requested })),
                Err(error) => refused.push((id.clone(), error)),
            }
        }
        if !refused.is_empty() {
            return refused;
        }
        // Clients served first may have had to yield to the others.
        let displaced = ids.iter().filter_map(|id| {
            let available = self.pool.capacity(id)?;
            let error = SetCapacityError::PriorityTooLow {
                requested,
                available,
            };
            (available < requested - requested / 20).then(|| (id.clone(), error))
        });
        displaced.collect()
    }
}

impl<'a, Id: PeerId, S: Store> CapacityPlan<'a, Id, S> {
    /// Adds this capacity for each of the clients, granted like in [`ClientPool::set_capacity`], and to all of them
    /// together.
    ///
    /// # Errors
    ///
    /// An error for each client that cannot have the capacity. The plan is dropped and nothing changes.
    pub fn with_capacities(
        mut self,
        ids: &BTreeSet<Id>,
        requested: u64,
        bias_ns: u64,
    ) -> Result<Self, Vec<(Id, SetCapacityError)>> {
        self.clients.rank_changed(self.now_ns);
        let planned = self.pool.take();
        let planned = planned.unwrap_or_else(|| self.clients.pool.clone());
        let present = mem::replace(&mut self.clients.pool, planned);
        let refused = self.clients.try_all(ids, requested, bias_ns, self.now_ns);
        self.pool = Some(mem::replace(&mut self.clients.pool, present));
        match refused.is_empty() {
            true => Ok(self),
            false => Err(refused),
        }
    }

    /// Returns the balances, for writes that must be stored before the plan is applied.
    pub const fn tracker_mut(&mut self) -> &mut BalanceTracker<Id, S> {
        &mut self.clients.tracker
    }

    /// Applies the plan to the pool.
    pub fn apply(self) {
        let Some(pool) = self.pool else {
            return;
        };
        let before = self.clients.pool.capacities();
        let changes = before.filter_map(|(id, old)| {
            let new = pool.capacity(id)?;
            let id = id.clone();
            (old != new).then_some(CapacityChange { id, old, new })
        });
        let changes: Vec<_> = changes.collect();
        if !changes.is_empty() {
            self.clients.pool = pool;
            self.clients.apply(changes, self.now_ns);
        }
    }
}
