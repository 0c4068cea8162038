//! Balances of all clients, connected or not.

use super::{
    client_balance::ClientBalance,
    error::{ConnectError, DisconnectError, LoadBalanceError, NotConnected},
    expiration::Expiration,
    price::ServicePrices,
    priority::Priority,
    records::Records,
    schedule::UpkeepSchedule,
    types::{BalanceEvent, BalanceSettings, SECOND, Sign},
    undo::Undo,
};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store},
    value::{expirer::ExpirationRate, expiring::ExpiringValue},
};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    num::NonZeroU64,
    ops::ControlFlow,
};

/// Charges connected clients, keeps the balances of all clients, and reports events; see the [module](super).
#[derive(Debug)]
pub struct BalanceTracker<Id, S> {
    pub(super) records: Records<S>,
    pub(super) expiration: Expiration,
    pub(super) settings: BalanceSettings,
    /// Boxed, so that the nodes of the tree stay small: a look among thousands of clients is a search for a key.
    pub(super) clients: BTreeMap<Id, Box<Client>>,
    /// Addresses of connected clients, with their debts. A client's own balance has a copy of the debt, which is
    /// refreshed before use if other clients share the address.
    pub(super) addresses: BTreeMap<Vec<u8>, Address<Id>>,
    /// Sum of positive balances of clients that are not connected.
    pub(super) inactive: ExpiringValue,
    pub(super) upkeep: UpkeepSchedule,
    pub(super) checks: BTreeSet<(u64, Id)>,
    pub(super) events: Vec<BalanceEvent<Id>>,
    /// Sum of the capacities of connected clients with tokens.
    pub(super) priority_capacity: u64,
    /// Connected clients whose priority has changed in another way than by charges for time.
    pub(super) changed: BTreeSet<Id>,
    /// How to undo the operations of an open or failed batch.
    pub(super) undo: Option<Undo<Id>>,
}

#[derive(Debug)]
pub(super) struct Address<Id> {
    pub(super) debt: ExpiringValue,
    pub(super) clients: BTreeSet<Id>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) balance: ClientBalance,
    pub(super) address: Vec<u8>,
    pub(super) next_check: Option<u64>,
    /// True if other clients share the address. Most do not, and a look at their balance needs no look at the address.
    pub(super) shares: bool,
    /// The client's part of the sum of capacities.
    priority_capacity: u64,
}

impl<Id: PeerId, S: Store> BalanceTracker<Id, S> {
    /// Loads the offsets and the balances stored under `prefix`. The time since the last write does not count. Reads
    /// every positive balance once.
    ///
    /// # Errors
    ///
    /// [`LoadBalanceError`] if the store fails or has a damaged record.
    pub fn open(
        store: S,
        prefix: &[u8],
        settings: BalanceSettings,
        now_ns: u64,
    ) -> Result<Self, LoadBalanceError> {
        let records = Records::new(store, prefix);
        let expiration =
            records.expiration(settings.positive_rate, settings.negative_rate, now_ns)?;
        let mut inactive = ExpiringValue::ZERO;
        records.scan(Sign::Positive, &[], |_, value| {
            inactive.add_exp(value);
            ControlFlow::Continue(())
        })?;
        Ok(Self {
            records,
            expiration,
            settings,
            clients: BTreeMap::new(),
            addresses: BTreeMap::new(),
            inactive,
            upkeep: UpkeepSchedule::new(now_ns),
            checks: BTreeSet::new(),
            events: Vec::new(),
            priority_capacity: 0,
            changed: BTreeSet::new(),
            undo: None,
        })
    }

    /// Loads a client's balances and starts charging, at capacity 0. Clients at one address share one negative
    /// balance, and each sees the charges made to the others so far.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the client is connected already or its balances cannot be read.
    pub fn connect(&mut self, id: Id, address: &[u8], now_ns: u64) -> Result<(), ConnectError> {
        if self.clients.contains_key(&id) {
            return Err(ConnectError::Connected);
        }
        let positive = self.records.balance(Sign::Positive, id.as_ref())?;
        let debt = self.debt(address)?;
        let tally = self.records.tally(id.as_ref())?;
        self.inactive.sub_exp(positive);
        self.upkeep.replace_active(ExpiringValue::ZERO, positive);
        let client = Client {
            balance: ClientBalance::new(positive, debt, tally, self.settings.prices, now_ns),
            address: address.to_vec(),
            next_check: None,
            shares: self.addresses.contains_key(address),
            priority_capacity: 0,
        };
        self.clients.insert(id.clone(), Box::new(client));
        let from = self.addresses.entry(address.to_vec());
        let clients = BTreeSet::new();
        let from = from.or_insert(Address { debt, clients });
        from.clients.insert(id.clone());
        self.share(address);
        self.check_balance(&id, now_ns);
        Ok(())
    }

    /// Stores a client's balances and stops charging.
    ///
    /// # Errors
    ///
    /// [`DisconnectError`]; the client stays connected.
    pub fn disconnect(&mut self, id: &Id, now_ns: u64) -> Result<(), DisconnectError> {
        let balance = self.update(id, now_ns, |balance, _| *balance)?;
        let mut batch = Batch::new();
        self.put(&mut batch, id, now_ns);
        self.records.write(batch, &self.expiration, now_ns)?;
        if balance.values(&self.expiration, now_ns).0 > self.settings.positive_drop {
            self.inactive.add_exp(balance.positive);
        }
        self.upkeep
            .replace_active(balance.positive, ExpiringValue::ZERO);
        let Some(client) = self.clients.remove(id) else {
            return Ok(());
        };
        self.changed.remove(id);
        self.priority_capacity = self
            .priority_capacity
            .wrapping_sub(client.priority_capacity);
        if let Some(at) = client.next_check {
            self.checks.remove(&(at, id.clone()));
        }
        let address = client.address;
        if let Entry::Occupied(mut from) = self.addresses.entry(address.clone()) {
            from.get_mut().clients.remove(id);
            if from.get().clients.is_empty() {
                from.remove();
            }
        }
        self.share(&address);
        Ok(())
    }

    /// Requests one [`BalanceEvent::FellBelow`] when the client's priority at its capacity falls below `priority`.
    /// Replaces an earlier request.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn watch(&mut self, id: &Id, priority: Priority, now_ns: u64) -> Result<(), NotConnected> {
        self.update(id, now_ns, |balance, _| balance.watch(priority))
    }

    /// Charges a request of `cost` and returns the remaining positive balance.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn request_served(&mut self, id: &Id, cost: u64, now_ns: u64) -> Result<u64, NotConnected> {
        let left = self.update(id, now_ns, |balance, expiration| {
            balance.serve(cost, expiration, now_ns);
            balance.values(expiration, now_ns).0
        })?;
        self.changed.insert(id.clone());
        Ok(left)
    }

    /// Charges a connected client at another capacity from now on.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn set_capacity(
        &mut self,
        id: &Id,
        capacity: u64,
        now_ns: u64,
    ) -> Result<(), NotConnected> {
        self.update(id, now_ns, |balance, _| balance.set_capacity(capacity))
    }

    /// Charges a connected client at other prices from now on, until it disconnects.
    ///
    /// # Errors
    ///
    /// [`NotConnected`].
    pub fn set_prices(
        &mut self,
        id: &Id,
        prices: ServicePrices,
        now_ns: u64,
    ) -> Result<(), NotConnected> {
        self.update(id, now_ns, |balance, _| balance.set_prices(prices))?;
        self.changed.insert(id.clone());
        Ok(())
    }

    /// Sets the prices of clients that connect from now on.
    pub const fn set_default_prices(&mut self, prices: ServicePrices) {
        self.settings.prices = prices;
    }

    /// Sets the rates of expiration from now on.
    pub fn set_expiration(
        &mut self,
        positive: ExpirationRate,
        negative: ExpirationRate,
        now_ns: u64,
    ) {
        // Earlier usage is charged at the old offsets.
        self.charge_all(now_ns);
        self.expiration.positive.set_rate(positive, now_ns);
        self.expiration.negative.set_rate(negative, now_ns);
        self.changed.extend(self.clients.keys().cloned());
    }

    /// Sets the times in which balances fall to 1/e, in seconds; 0 for no expiration.
    pub fn set_expiration_time_constants(&mut self, positive_s: u64, negative_s: u64, now_ns: u64) {
        let rate = |seconds: u64| {
            let ns = NonZeroU64::new(seconds.saturating_mul(SECOND));
            ns.map_or(ExpirationRate::NEVER, ExpirationRate::from_time_constant)
        };
        self.set_expiration(rate(positive_s), rate(negative_s), now_ns);
    }

    /// Charges all connected clients until `now_ns`.
    pub(super) fn charge_all(&mut self, now_ns: u64) {
        for id in self.clients.keys().cloned().collect::<Vec<_>>() {
            // The ids belong to connected clients.
            let _ = self.update(&id, now_ns, |_, _| ());
        }
    }

    /// Adds a connected client's balances to a batch.
    pub(super) fn put(&self, batch: &mut Batch, id: &Id, now_ns: u64) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let mut balance = client.balance;
        if let Some(from) = self.addresses.get(&client.address) {
            balance.negative = from.debt;
        }
        self.put_balance(batch, id, Some(&client.address), &balance, now_ns);
    }

    pub(super) fn put_balance(
        &self,
        batch: &mut Batch,
        id: &Id,
        address: Option<&[u8]>,
        balance: &ClientBalance,
        now_ns: u64,
    ) {
        let (worth, debt) = balance.values(&self.expiration, now_ns);
        let drop = self.settings.positive_drop;
        let (sign, id) = (Sign::Positive, id.as_ref());
        self.records
            .put(batch, sign, id, balance.positive, worth, drop);
        self.records.put_tally(batch, id, balance.tally);
        if let Some(address) = address {
            let drop = self.settings.negative_drop;
            let sign = Sign::Negative;
            self.records
                .put(batch, sign, address, balance.negative, debt, drop);
        }
    }

    /// Charges a client until `now_ns`, applies `f`, and records events.
    pub(super) fn update<R>(
        &mut self,
        id: &Id,
        now_ns: u64,
        f: impl FnOnce(&mut ClientBalance, &Expiration) -> R,
    ) -> Result<R, NotConnected> {
        let client = self.clients.get_mut(id).ok_or(NotConnected)?;
        let from = self.addresses.get_mut(&client.address);
        if let Some(from) = &from {
            client.balance.negative = from.debt;
        }
        client.balance.charge_time(&self.expiration, now_ns);
        let result = f(&mut client.balance, &self.expiration);
        if let Some(from) = from {
            if from.clients.len() > 1 && from.debt != client.balance.negative {
                self.changed.extend(from.clients.iter().cloned());
            }
            from.debt = client.balance.negative;
        }
        self.check_balance(id, now_ns);
        Ok(result)
    }

    /// Records events of a client's balance and schedules the next check.
    pub(super) fn check_balance(&mut self, id: &Id, now_ns: u64) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let found = client.balance.check(&self.expiration, now_ns);
        let counted = client.balance.priority_capacity();
        let before = std::mem::replace(&mut client.priority_capacity, counted);
        // Between the changes of one commit, the sum may be too large for a moment.
        self.priority_capacity = self
            .priority_capacity
            .wrapping_add(counted)
            .wrapping_sub(before);
        let next = client.balance.next_check(&self.expiration, now_ns);
        let kept = client
            .next_check
            .filter(|at| next.is_some_and(|next| *at <= next));
        if kept.is_none() {
            if let Some(at) = client.next_check {
                self.checks.remove(&(at, id.clone()));
            }
            client.next_check = next;
            self.checks.extend(next.map(|at| (at, id.clone())));
        }
        if found.gained_tokens || found.lost_tokens {
            self.changed.insert(id.clone());
        }
        let happened = [
            (found.gained_tokens, BalanceEvent::GainedTokens(id.clone())),
            (found.lost_tokens, BalanceEvent::LostTokens(id.clone())),
            (found.below_watched, BalanceEvent::FellBelow(id.clone())),
            (found.noticed, BalanceEvent::Noticed(id.clone())),
        ];
        let happened = happened.into_iter().filter(|(did, _)| *did);
        self.events.extend(happened.map(|(_, event)| event));
    }

    /// Returns a client's balance as charged until `now_ns`, without a change.
    pub(super) fn charged_balance(
        &self,
        id: &Id,
        now_ns: u64,
    ) -> Result<ClientBalance, NotConnected> {
        let client = self.clients.get(id).ok_or(NotConnected)?;
        let mut balance = client.balance;
        if client.shares
            && let Some(from) = self.addresses.get(&client.address)
        {
            balance.negative = from.debt;
        }
        balance.charge_time(&self.expiration, now_ns);
        Ok(balance)
    }

    /// Gives the clients of an address its debt, and tells them whether they share it. Nothing changes for three clients or
    /// more.
    pub(super) fn share(&mut self, address: &[u8]) {
        let from = self.addresses.get(address);
        let Some(from) = from.filter(|from| from.clients.len() <= 2) else {
            return;
        };
        for id in &from.clients {
            if let Some(client) = self.clients.get_mut(id) {
                client.balance.negative = from.debt;
                client.shares = from.clients.len() > 1;
            }
        }
    }

    /// Returns the debt of an address: in memory if a client is connected from there, otherwise the stored debt.
    pub(super) fn debt(&self, address: &[u8]) -> Result<ExpiringValue, LoadBalanceError> {
        match self.addresses.get(address) {
            Some(from) => Ok(from.debt),
            None => self.records.balance(Sign::Negative, address),
        }
    }
}
