//! Requests of a client for capacity.

use super::{
    clients::{ClientPool, PrioritiesAt},
    types::{Granted, NotInPool},
};
use crate::{
    balance::{error::NotConnected, priority::Priority, types::Forecast},
    id::PeerId,
    store::interface::Store,
};

/// An error of changing a client's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetCapacityError {
    /// The client is not connected.
    #[error("the client is not connected; connect it first")]
    NotConnected,
    /// The client is inactive.
    #[error("the client is inactive; wait until its priority gets the minimum capacity")]
    Inactive,
    /// The client has no tokens.
    #[error(
        "a client without tokens has the minimum capacity {min_capacity}, not {requested}; add tokens first"
    )]
    NoPriority {
        /// Requested capacity.
        requested: u64,
        /// Capacity of a client without tokens.
        min_capacity: u64,
    },
    /// The priority is too low for the capacity.
    #[error(
        "the client's priority is enough for capacity {available}, not {requested}; request less or add tokens"
    )]
    PriorityTooLow {
        /// Requested capacity.
        requested: u64,
        /// Available capacity.
        available: u64,
    },
    /// The attempt contradicts the forecast, because priorities are changing.
    #[error("priorities changed while searching for a capacity up to {requested}; request again")]
    NotFound {
        /// Requested capacity.
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

impl<Id: PeerId, S: Store> ClientPool<Id, S> {
    /// Sets the capacity of an active client, and returns the new capacity: `requested`, or up to a twentieth less if
    /// other clients keep theirs. A request below the minimum capacity counts as the minimum.
    ///
    /// `bias_ns` is the minimum duration of the client's lead over clients that yield, or the pool's setting if
    /// longer.
    ///
    /// # Errors
    ///
    /// [`SetCapacityError`].
    pub fn set_capacity(
        &mut self,
        id: &Id,
        requested: u64,
        bias_ns: u64,
        now_ns: u64,
    ) -> Result<u64, SetCapacityError> {
        let (granted, min) = self.try_capacity(id, requested, bias_ns, now_ns)?;
        self.apply(granted.changes, now_ns);
        if granted.capacity < min {
            return Err(SetCapacityError::NotFound { requested });
        }
        Ok(granted.capacity)
    }

    /// Requests the capacity from the pool. Returns the grant, and the minimum acceptable capacity.
    pub(super) fn try_capacity(
        &mut self,
        id: &Id,
        requested: u64,
        bias_ns: u64,
        now_ns: u64,
    ) -> Result<(Granted<Id>, u64), SetCapacityError> {
        let balances = self.tracker.balances(id, now_ns)?;
        self.rank_changed(now_ns);
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
        let mut min = requested;
        if requested > present {
            let available = self.max_capacity(id, 0, bias_ns, now_ns)?;
            if available < requested {
                return Err(SetCapacityError::PriorityTooLow {
                    requested,
                    available,
                });
            }
            min = present.max(requested - requested / 20);
        }
        let priorities = PrioritiesAt(&self.tracker, now_ns);
        let granted = self
            .pool
            .request(id, min, requested, bias_ns, &priorities)?;
        Ok((granted, min))
    }

    /// Returns the largest capacity that a connected client could have with `add` tokens more (or less), forecast
    /// with a curve at most ten seconds old. A result below the minimum capacity means none.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn max_capacity(
        &mut self,
        id: &Id,
        add: i64,
        bias_ns: u64,
        now_ns: u64,
    ) -> Result<u64, NotConnected> {
        let forecast = Forecast {
            capacity: self.settings.pool.min_capacity.get(),
            add,
            future_ns: 0,
            bias_ns: bias_ns.max(self.pool.bias_ns()),
        };
        self.tracker.forecast_priority(id, forecast, now_ns)?;
        self.rank_changed(now_ns);
        let priorities = PrioritiesAt(&self.tracker, now_ns);
        let curve = self.pool.curve(&priorities, now_ns);
        Ok(curve.max_capacity(Some(id), |capacity| {
            let forecast = Forecast {
                capacity,
                ..forecast
            };
            let expected = self.tracker.forecast_priority(id, forecast, now_ns);
            expected.unwrap_or(Priority::MIN)
        }))
    }
}
