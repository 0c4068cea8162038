//! The balances of all clients, connected or not.

use super::{
    node::{Estimate, Expiration, NodeBalance},
    operation::Balances,
    price::Prices,
    priority::Priority,
    records::{LoadBalanceError, Records, Sign},
    upkeep::Upkeep,
};
use crate::{
    id::NodeId,
    store::{Batch, Store, StoreError},
    value::{ExpirationRate, ExpiredValue},
};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    mem,
    num::NonZeroU64,
    ops::ControlFlow,
};

/// What a tracker starts with.
#[derive(Clone, Copy, Debug)]
pub struct BalanceSettings {
    /// Prices of clients that connect, until [`BalanceTracker::set_default_prices`].
    pub prices: Prices,
    /// How positive balances expire.
    pub positive_rate: ExpirationRate,
    /// How negative balances expire.
    pub negative_rate: ExpirationRate,
    /// Positive balances of at most so many tokens are not stored.
    pub positive_drop: u64,
    /// Negative balances of at most so many tokens are not stored.
    pub negative_drop: u64,
}

/// Nothing costs or expires, and balances up to 1,000,000 tokens are not stored.
impl Default for BalanceSettings {
    fn default() -> Self {
        Self {
            prices: Prices::default(),
            positive_rate: ExpirationRate::NEVER,
            negative_rate: ExpirationRate::NEVER,
            positive_drop: 1_000_000,
            negative_drop: 1_000_000,
        }
    }
}

/// Something that happened to a connected client's balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BalanceEvent<Id> {
    /// It has tokens, and had none.
    GainedTokens(Id),
    /// It has none left.
    LostTokens(Id),
    /// Its priority has fallen below the one that was [watched](BalanceTracker::watch).
    FellBelow(Id),
    /// An operation changed its balances.
    Changed(Id),
    /// What it was charged has reached its [notice](BalanceTracker::set_notices).
    Noticed(Id),
}

/// A client is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the client is not connected: connect it first, or use an operation, which needs no connection"
)]
pub struct NotConnected;

/// Why a client could not be connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// It is connected.
    #[error("the client is connected already: disconnect it first")]
    Connected,
    /// Its stored balances cannot be read.
    #[error(transparent)]
    Load(#[from] LoadBalanceError),
}

/// Why a client could not be disconnected. It stays connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectError {
    /// It is not connected.
    #[error(transparent)]
    NotConnected(#[from] NotConnected),
    /// Its balances could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Charges connected clients, keeps everybody's balances, and says when something happens to them; see the
/// [module](super).
#[derive(Debug)]
pub struct BalanceTracker<Id, S> {
    pub(super) records: Records<S>,
    pub(super) expiration: Expiration,
    pub(super) settings: BalanceSettings,
    pub(super) clients: BTreeMap<Id, Client>,
    /// From where anybody is connected. What they owe is kept here; a client's own balance has a copy, which is brought
    /// up to date whenever it is used.
    pub(super) addresses: BTreeMap<Vec<u8>, Address>,
    /// Positive balances of those who are not connected.
    pub(super) inactive: ExpiredValue,
    pub(super) upkeep: Upkeep,
    looks: BTreeSet<(u64, Id)>,
    pub(super) events: Vec<BalanceEvent<Id>>,
}

#[derive(Debug)]
pub(super) struct Address {
    pub(super) debt: ExpiredValue,
    clients: usize,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) balance: NodeBalance,
    pub(super) address: Vec<u8>,
    next_look: Option<u64>,
}

impl<Id: NodeId, S: Store> BalanceTracker<Id, S> {
    /// Loads the offsets and, with them, what is stored under `prefix`. Time that passed since it was stored does not
    /// count. Reads every positive balance once.
    pub fn open(
        store: S,
        prefix: &[u8],
        settings: BalanceSettings,
        now_ns: u64,
    ) -> Result<Self, LoadBalanceError> {
        let records = Records::new(store, prefix);
        let expiration =
            records.expiration(settings.positive_rate, settings.negative_rate, now_ns)?;
        let mut inactive = ExpiredValue::ZERO;
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
            upkeep: Upkeep::new(now_ns),
            looks: BTreeSet::new(),
            events: Vec::new(),
        })
    }

    /// Loads a client's balances and starts to charge it, at capacity 0. Clients at one address share one negative
    /// balance, each seeing of the others' part what has been charged so far.
    pub fn connect(&mut self, id: Id, address: &[u8], now_ns: u64) -> Result<(), ConnectError> {
        if self.clients.contains_key(&id) {
            return Err(ConnectError::Connected);
        }
        let positive = self.records.balance(Sign::Positive, id.as_ref())?;
        let debt = self.debt(address)?;
        let tally = self.records.tally(id.as_ref())?;
        self.inactive.sub_exp(positive);
        self.upkeep.moved(ExpiredValue::ZERO, positive);
        let client = Client {
            balance: NodeBalance::new(positive, debt, tally, self.settings.prices, now_ns),
            address: address.to_vec(),
            next_look: None,
        };
        self.clients.insert(id.clone(), client);
        let from = self.addresses.entry(address.to_vec());
        from.or_insert(Address { debt, clients: 0 }).clients += 1;
        self.look(&id, now_ns);
        Ok(())
    }

    /// Stores a client's balances and stops to charge it.
    pub fn disconnect(&mut self, id: &Id, now_ns: u64) -> Result<(), DisconnectError> {
        let balance = self.update(id, now_ns, |balance, _| *balance)?;
        let mut batch = Batch::new();
        self.put(&mut batch, id, now_ns);
        self.records.write(batch, &self.expiration, now_ns)?;
        if balance.values(&self.expiration, now_ns).0 > self.settings.positive_drop {
            self.inactive.add_exp(balance.positive);
        }
        self.upkeep.moved(balance.positive, ExpiredValue::ZERO);
        let Some(client) = self.clients.remove(id) else {
            return Ok(());
        };
        if let Some(at) = client.next_look {
            self.looks.remove(&(at, id.clone()));
        }
        if let Entry::Occupied(mut from) = self.addresses.entry(client.address) {
            from.get_mut().clients -= 1;
            if from.get().clients == 0 {
                from.remove();
            }
        }
        Ok(())
    }

    /// Connected clients in order of their ids.
    pub fn clients(&self) -> impl Iterator<Item = &Id> {
        self.clients.keys()
    }

    /// The balances of a connected client, charged up to now.
    pub fn balances(&self, id: &Id, now_ns: u64) -> Result<Balances, NotConnected> {
        let balance = self.settled(id, now_ns)?;
        let (positive, negative) = balance.values(&self.expiration, now_ns);
        Ok(Balances { positive, negative })
    }

    /// The prices that a connected client is charged.
    pub fn prices(&self, id: &Id) -> Result<Prices, NotConnected> {
        let client = self.clients.get(id).ok_or(NotConnected)?;
        Ok(client.balance.prices())
    }

    /// The prices of clients that connect from now on.
    pub const fn default_prices(&self) -> Prices {
        self.settings.prices
    }

    /// When a connected client was connected, in nanoseconds of the host's clock.
    pub fn connected_since(&self, id: &Id) -> Result<u64, NotConnected> {
        let client = self.clients.get(id).ok_or(NotConnected)?;
        Ok(client.balance.connected_ns())
    }

    /// Whether the client was last seen with tokens, of which the next [`poll`](Self::poll) makes sure.
    pub fn has_tokens(&self, id: &Id) -> bool {
        let client = self.clients.get(id);
        client.is_some_and(|client| client.balance.has_tokens())
    }

    /// The priority of a connected client at a capacity.
    pub fn priority(&self, id: &Id, capacity: u64, now_ns: u64) -> Result<Priority, NotConnected> {
        let balance = self.settled(id, now_ns)?;
        Ok(balance.priority(capacity, &self.expiration, now_ns))
    }

    /// The priority that is expected of a connected client: at least one step below what it would be at once.
    pub fn estimate_priority(
        &self,
        id: &Id,
        estimate: Estimate,
        now_ns: u64,
    ) -> Result<Priority, NotConnected> {
        let balance = self.settled(id, now_ns)?;
        Ok(balance.estimate(estimate, &self.expiration, now_ns))
    }

    /// In how many nanoseconds a connected client's priority at its capacity will be below `priority`, if it makes no
    /// requests; `None`: never. That values expire in the meantime is left out.
    pub fn time_until_below(
        &self,
        id: &Id,
        priority: Priority,
        now_ns: u64,
    ) -> Result<Option<u64>, NotConnected> {
        let balance = self.settled(id, now_ns)?;
        Ok(balance.time_until_below(priority, &self.expiration, now_ns))
    }

    /// Asks for one [`BalanceEvent::FellBelow`] when the client's priority at its capacity is below `priority`. Takes
    /// the place of what was watched before.
    pub fn watch(&mut self, id: &Id, priority: Priority, now_ns: u64) -> Result<(), NotConnected> {
        self.update(id, now_ns, |balance, _| balance.watch(priority))
    }

    /// Charges a request of a cost and returns the positive balance that is left.
    pub fn request_served(&mut self, id: &Id, cost: u64, now_ns: u64) -> Result<u64, NotConnected> {
        self.update(id, now_ns, |balance, expiration| {
            balance.serve(cost, expiration, now_ns);
            balance.values(expiration, now_ns).0
        })
    }

    /// Charges a connected client at another capacity from now on.
    pub fn set_capacity(
        &mut self,
        id: &Id,
        capacity: u64,
        now_ns: u64,
    ) -> Result<(), NotConnected> {
        self.update(id, now_ns, |balance, _| balance.set_capacity(capacity))
    }

    /// Charges a connected client at other prices from now on, until it disconnects.
    pub fn set_prices(&mut self, id: &Id, prices: Prices, now_ns: u64) -> Result<(), NotConnected> {
        self.update(id, now_ns, |balance, _| balance.set_prices(prices))
    }

    /// Sets the prices of clients that connect from now on.
    pub const fn set_default_prices(&mut self, prices: Prices) {
        self.settings.prices = prices;
    }

    /// Lets balances expire at other rates from now on.
    pub fn set_expiration(
        &mut self,
        positive: ExpirationRate,
        negative: ExpirationRate,
        now_ns: u64,
    ) {
        // What was used before is charged at the offsets of before.
        self.settle_all(now_ns);
        self.expiration.positive.set_rate(positive, now_ns);
        self.expiration.negative.set_rate(negative, now_ns);
    }

    /// Sets the times in which balances fall to 1/e, in seconds; 0: they do not.
    pub fn set_expiration_time_constants(&mut self, positive_s: u64, negative_s: u64, now_ns: u64) {
        let rate = |seconds: u64| {
            let ns = NonZeroU64::new(seconds.saturating_mul(super::node::SECOND));
            ns.map_or(ExpirationRate::NEVER, ExpirationRate::from_time_constant)
        };
        self.set_expiration(rate(positive_s), rate(negative_s), now_ns);
    }

    /// When [`poll`](Self::poll) next has something to do; that may be now.
    pub fn next_event(&self) -> u64 {
        if !self.events.is_empty() {
            return 0;
        }
        let look = self.looks.first().map_or(u64::MAX, |(at, _)| *at);
        look.min(self.upkeep.next())
    }

    /// Looks at the balances that may have reached something, does what is due of storing and tidying up, and returns
    /// what happened since the last call.
    ///
    /// # Errors
    ///
    /// If the store fails; then what happened is returned by the next call.
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<BalanceEvent<Id>>, LoadBalanceError> {
        while let Some((at, id)) = self.looks.first().cloned() {
            if at > now_ns {
                break;
            }
            self.looks.remove(&(at, id.clone()));
            if let Some(client) = self.clients.get_mut(&id) {
                client.next_look = None;
            }
            // Whoever has a look to come is connected.
            let _ = self.update(&id, now_ns, |_, _| ());
        }
        self.do_upkeep(now_ns)?;
        Ok(mem::take(&mut self.events))
    }

    /// Charges everybody up to now.
    pub(super) fn settle_all(&mut self, now_ns: u64) {
        for id in self.clients.keys().cloned().collect::<Vec<_>>() {
            // The ids are those of connected clients.
            let _ = self.update(&id, now_ns, |_, _| ());
        }
    }

    /// Includes a connected client's balances in a batch.
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
        balance: &NodeBalance,
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

    /// Charges a client up to now, changes it, and sees what has happened.
    pub(super) fn update<R>(
        &mut self,
        id: &Id,
        now_ns: u64,
        f: impl FnOnce(&mut NodeBalance, &Expiration) -> R,
    ) -> Result<R, NotConnected> {
        let client = self.clients.get_mut(id).ok_or(NotConnected)?;
        let from = self.addresses.get_mut(&client.address);
        if let Some(from) = &from {
            client.balance.negative = from.debt;
        }
        client.balance.settle(&self.expiration, now_ns);
        let result = f(&mut client.balance, &self.expiration);
        if let Some(from) = from {
            from.debt = client.balance.negative;
        }
        self.look(id, now_ns);
        Ok(result)
    }

    /// Sees what has happened to a client's balance, and when to look again.
    pub(super) fn look(&mut self, id: &Id, now_ns: u64) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let found = client.balance.look(&self.expiration, now_ns);
        let next = client.balance.next_look(&self.expiration, now_ns);
        let kept = client
            .next_look
            .filter(|at| next.is_some_and(|next| *at <= next));
        if kept.is_none() {
            if let Some(at) = client.next_look {
                self.looks.remove(&(at, id.clone()));
            }
            client.next_look = next;
            self.looks.extend(next.map(|at| (at, id.clone())));
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

    /// What a client's balance would be after charging it up to now.
    pub(super) fn settled(&self, id: &Id, now_ns: u64) -> Result<NodeBalance, NotConnected> {
        let client = self.clients.get(id).ok_or(NotConnected)?;
        let mut balance = client.balance;
        if let Some(from) = self.addresses.get(&client.address) {
            balance.negative = from.debt;
        }
        balance.settle(&self.expiration, now_ns);
        Ok(balance)
    }

    /// The debt at an address: that of those who are connected from there, or else the stored one.
    pub(super) fn debt(&self, address: &[u8]) -> Result<ExpiredValue, LoadBalanceError> {
        match self.addresses.get(address) {
            Some(from) => Ok(from.debt),
            None => self.records.balance(Sign::Negative, address),
        }
    }
}
