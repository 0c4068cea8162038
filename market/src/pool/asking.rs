//! What a client can have, and asking for it.

use super::{
    clients::{AtMoment, ClientPool},
    priority_pool::{Granted, NotInPool},
};
use crate::{
    balance::{Estimate, NotConnected, Priority},
    id::NodeId,
    store::Store,
};

/// Why a client's capacity was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetCapacityError {
    /// It is not connected.
    #[error("the client is not connected: connect it first")]
    NotConnected,
    /// It has no capacity at all.
    #[error(
        "the client is inactive: it gets the minimum capacity as soon as there is room for its priority"
    )]
    Inactive,
    /// It has no tokens.
    #[error(
        "a client without tokens has the minimum capacity {min_capacity}, not {requested}: add tokens first"
    )]
    NoPriority {
        /// What it asked for.
        requested: u64,
        /// What it has.
        min_capacity: u64,
    },
    /// Its priority is too low for so much.
    #[error(
        "the client's priority is enough for capacity {available}, not {requested}: ask for less or add tokens"
    )]
    PriorityTooLow {
        /// What it asked for.
        requested: u64,
        /// What it can have.
        available: u64,
    },
    /// The estimate and the attempt differ, because priorities are changing.
    #[error(
        "unable to find the most capacity up to {requested} that the priority allows: ask again"
    )]
    NotFound {
        /// What it asked for.
        requested: u64,
    },
}

impl From<NotInPool> for SetCapacityError {
    fn from(_: NotInPool) -> Self {
        Self::NotConnected
    }
}

impl From<NotConnected> for SetCapacityError {
    fn from(_: NotConnected) -> Self {
        Self::NotConnected
    }
}

impl<Id: NodeId, S: Store> ClientPool<Id, S> {
    /// Asks for a capacity for an active client, and returns what it has then: what was asked for, or up to a twentieth
    /// less if others turn out to hold on to it. Less than the minimum capacity counts as that.
    ///
    /// `bias_ns` is how long its lead over those who have to give way must last, or the pool's setting if that is longer.
    pub fn set_capacity(
        &mut self,
        id: &Id,
        requested: u64,
        bias_ns: u64,
        now_ns: u64,
    ) -> Result<u64, SetCapacityError> {
        let (granted, least) = self.try_capacity(id, requested, bias_ns, now_ns)?;
        self.apply(granted.changes, now_ns);
        if granted.capacity < least {
            return Err(SetCapacityError::NotFound { requested });
        }
        Ok(granted.capacity)
    }

    /// Asks the pool alone: what it grants, and the least that will do.
    pub(super) fn try_capacity(
        &mut self,
        id: &Id,
        requested: u64,
        bias_ns: u64,
        now_ns: u64,
    ) -> Result<(Granted<Id>, u64), SetCapacityError> {
        let balances = self.tracker.balances(id, now_ns)?;
        let present = self.pool.capacity(id).ok_or(NotInPool)?;
        if present == 0 {
            return Err(SetCapacityError::Inactive);
        }
        let min_capacity = self.settings.pool.min_capacity.get();
        let requested = requested.max(min_capacity);
        if requested > min_capacity && balances.positive == 0 {
            return Err(SetCapacityError::NoPriority {
                requested,
                min_capacity,
            });
        }
        if requested == present {
            let unchanged = Granted {
                capacity: present,
                changes: Vec::new(),
            };
            return Ok((unchanged, present));
        }
        let mut least = requested;
        if requested > present {
            let available = self.max_capacity(id, 0, bias_ns, now_ns)?;
            if available < requested {
                return Err(SetCapacityError::PriorityTooLow {
                    requested,
                    available,
                });
            }
            least = present.max(requested - requested / 20);
        }
        let bias_ns = bias_ns.max(self.settings.connected_bias_ns);
        let priorities = AtMoment(&self.tracker, now_ns);
        let granted = self
            .pool
            .request(id, least, requested, bias_ns, &priorities)?;
        Ok((granted, least))
    }

    /// The most capacity that a connected client could have with so many tokens more (or less): an estimate from the
    /// curve of the last ten seconds. Less than the minimum capacity is as good as none.
    pub fn max_capacity(
        &mut self,
        id: &Id,
        add: i64,
        bias_ns: u64,
        now_ns: u64,
    ) -> Result<u64, NotConnected> {
        let estimate = Estimate {
            capacity: self.settings.pool.min_capacity.get(),
            add,
            future_ns: 0,
            bias_ns: bias_ns
                .max(self.settings.connected_bias_ns)
                .max(self.pool.bias_ns()),
        };
        self.tracker.estimate_priority(id, estimate, now_ns)?;
        let priorities = AtMoment(&self.tracker, now_ns);
        let curve = self.pool.curve(&priorities, now_ns);
        Ok(curve.max_capacity(Some(id), |capacity| {
            let estimate = Estimate {
                capacity,
                ..estimate
            };
            let expected = self.tracker.estimate_priority(id, estimate, now_ns);
            expected.unwrap_or(Priority::MIN)
        }))
    }
}
