//! Capacities of several clients, all or none.

use super::{
    asking::SetCapacityError,
    clients::ClientPool,
    priority_pool::{CapacityChange, PriorityPool},
};
use crate::{balance::BalanceTracker, id::NodeId, store::Store};
use std::{collections::BTreeSet, mem};

/// What a [`ClientPool`] would be. Nothing of it has happened before [`make`](Self::make), and nothing can happen to the
/// pool meanwhile.
#[derive(Debug)]
#[must_use = "nothing changes before it is made"]
pub struct Planned<'a, Id, S> {
    clients: &'a mut ClientPool<Id, S>,
    pool: PriorityPool<Id>,
    now_ns: u64,
}

impl<Id: NodeId, S: Store> ClientPool<Id, S> {
    /// A plan that changes nothing yet.
    pub fn plan(&mut self, now_ns: u64) -> Planned<'_, Id, S> {
        Planned {
            pool: self.pool.clone(),
            clients: self,
            now_ns,
        }
    }

    /// Asks for each; who gives something up comes first, so that it is there for the others.
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
                Ok((granted, least)) if granted.capacity >= least => {}
                Ok(_) => refused.push((id.clone(), SetCapacityError::NotFound { requested })),
                Err(error) => refused.push((id.clone(), error)),
            }
        }
        if !refused.is_empty() {
            return refused;
        }
        // Those who were served first may have had to give way to the others.
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

impl<'a, Id: NodeId, S: Store> Planned<'a, Id, S> {
    /// The plan with this capacity for each of the clients, granted as by [`ClientPool::set_capacity`] and to all of them
    /// together.
    ///
    /// # Errors
    ///
    /// For each client that cannot have it, why. Then there is no plan any more, and nothing has changed.
    pub fn with_capacities(
        mut self,
        ids: &BTreeSet<Id>,
        requested: u64,
        bias_ns: u64,
    ) -> Result<Self, Vec<(Id, SetCapacityError)>> {
        mem::swap(&mut self.clients.pool, &mut self.pool);
        let refused = self.clients.try_all(ids, requested, bias_ns, self.now_ns);
        mem::swap(&mut self.clients.pool, &mut self.pool);
        match refused.is_empty() {
            true => Ok(self),
            false => Err(refused),
        }
    }

    /// The balances, to store first what must not be lost if the plan is made.
    pub const fn tracker_mut(&mut self) -> &mut BalanceTracker<Id, S> {
        &mut self.clients.tracker
    }

    /// Changes the pool.
    pub fn make(self) {
        let before = self.clients.pool.capacities();
        let changes = before.filter_map(|(id, old)| {
            let new = self.pool.capacity(id)?;
            let id = id.clone();
            (old != new).then_some(CapacityChange { id, old, new })
        });
        let changes: Vec<_> = changes.collect();
        if !changes.is_empty() {
            self.clients.pool = self.pool;
            self.clients.apply(changes, self.now_ns);
        }
    }
}
