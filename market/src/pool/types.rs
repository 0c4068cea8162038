//! Data types of a pool.

use crate::balance::priority::Priority;
use std::num::NonZeroU64;

/// Priorities of clients at a moment. A client's priority must not rise with its capacity.
pub trait Priorities<Id> {
    /// Returns a client's priority at a capacity.
    fn priority(&self, id: &Id, capacity: u64) -> Priority;

    /// Returns the expected priority after `bias_ns`. It decides requests for more capacity, because a lead over
    /// others must last that long. The pool assumes a value below the present priority in any case: otherwise two
    /// clients of equal priority would displace each other forever.
    fn expected(&self, id: &Id, capacity: u64, bias_ns: u64) -> Priority;

    /// Returns the moment, on the clock of [`stays_until`](Self::stays_until).
    fn now_ns(&self) -> u64 {
        0
    }

    /// True if the pool is told by [`touch`](super::PriorityPool::touch) of every client whose priority changes in
    /// another way than by charges for time. Otherwise, as by default, the pool ranks all clients in each call.
    fn tells_changes(&self) -> bool {
        false
    }

    /// Returns a moment until which `high` stays at or above `low`, both active and charged for these capacities.
    fn stays_until(&self, low: (&Id, u64), high: (&Id, u64)) -> u64 {
        let _ = (low, high);
        self.now_ns()
    }

    /// Returns the moment from which the priority of an active client, at `capacity`, may be below `priority`.
    fn below_from(&self, id: &Id, capacity: u64, priority: Priority) -> u64 {
        let _ = (id, capacity, priority);
        self.now_ns()
    }
}

/// Limits of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of active clients.
    pub count: u64,
    /// Maximum sum of their capacities.
    pub capacity: u64,
}

/// Settings of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Minimum capacity of an active client.
    pub min_capacity: NonZeroU64,
    /// Minimum duration of a newcomer's lead over displaced clients, in nanoseconds; at least 1.
    pub active_bias_ns: u64,
    /// Divisor of a step: a yielding client loses one part in this many of its capacity per step.
    pub step_divisor: NonZeroU64,
    /// Divisor of a step of a client that requests more capacity. Finer steps find the available capacity more
    /// exactly.
    pub fine_step_divisor: NonZeroU64,
}

/// A change of a client's capacity. 0 is inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CapacityChange<Id> {
    /// The client.
    pub id: Id,
    /// Earlier capacity.
    pub old: u64,
    /// New capacity.
    pub new: u64,
}

/// Outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted<Id> {
    /// Present capacity of the client: within the bounds of the request, or unchanged.
    pub capacity: u64,
    /// All changed capacities.
    pub changes: Vec<CapacityChange<Id>>,
}

/// The client is not in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is not in the pool; connect it first")]
pub struct NotInPool;
