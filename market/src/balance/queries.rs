//! Queries about one client.

use super::{
    client_balance::early,
    error::NotConnected,
    price::ServicePrices,
    priority::Priority,
    tracker::BalanceTracker,
    types::{Balances, Forecast},
};
use crate::{id::PeerId, store::interface::Store};
use std::{collections::BTreeSet, mem};

impl<Id: PeerId, S: Store> BalanceTracker<Id, S> {
    /// Iterates over the connected clients in order of their ids.
    pub fn clients(&self) -> impl Iterator<Item = &Id> {
        self.clients.keys()
    }

    /// Returns the balances of a connected client after all charges until `now_ns`.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn balances(&self, id: &Id, now_ns: u64) -> Result<Balances, NotConnected> {
        let balance = self.charged_balance(id, now_ns)?;
        let (positive, negative) = balance.values(&self.expiration, now_ns);
        Ok(Balances { positive, negative })
    }

    /// Returns the prices of a connected client.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn prices(&self, id: &Id) -> Result<ServicePrices, NotConnected> {
        let client = self.clients.get(id).ok_or(NotConnected)?;
        Ok(client.balance.prices())
    }

    /// Returns the prices of clients that connect from now on.
    pub const fn default_prices(&self) -> ServicePrices {
        self.settings.prices
    }

    /// Returns the moment of a client's connection, in nanoseconds of the host's clock.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn connected_since(&self, id: &Id) -> Result<u64, NotConnected> {
        let client = self.clients.get(id).ok_or(NotConnected)?;
        Ok(client.balance.connected_ns())
    }

    /// True if the client had tokens at its last check; the next [`poll`](Self::poll) checks again.
    pub fn has_tokens(&self, id: &Id) -> bool {
        let client = self.clients.get(id);
        client.is_some_and(|client| client.balance.has_tokens())
    }

    /// Returns the sum of the capacities of connected clients that had tokens at their last check.
    pub const fn priority_capacity(&self) -> u64 {
        self.priority_capacity
    }

    /// Returns the priority of a connected client at a capacity.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn priority(&self, id: &Id, capacity: u64, now_ns: u64) -> Result<Priority, NotConnected> {
        let balance = self.charged_balance(id, now_ns)?;
        Ok(balance.priority(capacity, &self.expiration, now_ns))
    }

    /// Returns the expected priority of a connected client under `forecast`: at least one step below the present
    /// priority.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn forecast_priority(
        &self,
        id: &Id,
        forecast: Forecast,
        now_ns: u64,
    ) -> Result<Priority, NotConnected> {
        let balance = self.charged_balance(id, now_ns)?;
        Ok(balance.forecast(forecast, &self.expiration, now_ns))
    }

    /// Returns a moment until which the connected client `high` stays at or above `low`, both charged for these
    /// capacities, unless one of them [changes](Self::take_changed).
    pub(crate) fn stays_until(&self, low: (&Id, u64), high: (&Id, u64), now_ns: u64) -> u64 {
        let both = self.charged_balance(high.0, now_ns);
        let both = both.and_then(|high| Ok((high, self.charged_balance(low.0, now_ns)?)));
        let Ok((above, below)) = both else {
            return now_ns;
        };
        let time = above.stays_above(high.1, (&below, low.1), &self.expiration, now_ns);
        time.map_or(u64::MAX, |time| now_ns.saturating_add(time))
    }

    /// Returns a moment not after the one from which a connected client's priority at a capacity is below `priority`,
    /// and near to it if it is near.
    pub(crate) fn below_from(
        &self,
        id: &Id,
        capacity: u64,
        priority: Priority,
        now_ns: u64,
    ) -> u64 {
        let Ok(balance) = self.charged_balance(id, now_ns) else {
            return u64::MAX;
        };
        let time = balance.time_until_below(priority, capacity, &self.expiration, now_ns);
        time.map_or(u64::MAX, |time| now_ns.saturating_add(early(time)))
    }

    /// Returns the connected clients whose priority has changed since the last call in another way than by charges
    /// for time.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Id> {
        mem::take(&mut self.changed)
    }

    /// True if [`take_changed`](Self::take_changed) would return a client.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Returns the nanoseconds without requests after which a connected client's priority at its capacity falls below
    /// `priority`; `None` for never. Ignores expiration.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn time_until_below(
        &self,
        id: &Id,
        priority: Priority,
        now_ns: u64,
    ) -> Result<Option<u64>, NotConnected> {
        let balance = self.charged_balance(id, now_ns)?;
        let capacity = balance.capacity();
        Ok(balance.time_until_below(priority, capacity, &self.expiration, now_ns))
    }
}
