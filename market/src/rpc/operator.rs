//! What the operator can see and change, without a network.

use super::{
    error::OperatorError,
    event::{Event, Kind, Subscription},
    params::{self, ClientParams, Params},
    tags::{self, Tagged},
};
use crate::{
    balance::{Added, ConnectError, DisconnectError, LoadBalanceError},
    id::NodeId,
    pool::{ClientPool, Limits, PoolEvent},
    store::{Batch, Store, StoreError},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::ControlFlow,
};

const NS_PER_SECOND: u64 = 1_000_000_000;
const TAGS: &[u8] = b"tags:";

/// A market's clients as their operator handles them; see the [module](super).
///
/// Clients connect, disconnect and are polled through it, so that the operator hears of them. Like the pool it has no
/// clock: times are nanoseconds that do not go back.
#[derive(Debug)]
pub struct Operator<Id, S> {
    clients: ClientPool<Id, S>,
    store: S,
    prefix: Vec<u8>,
    user_tags: BTreeMap<Id, BTreeSet<String>>,
    events: Vec<Event>,
}

/// Some of the clients that have tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorityClients<Id> {
    /// What is known of each; see [`Operator::client_info`].
    pub clients: BTreeMap<Id, Params>,
    /// The first that is left out, to go on with.
    pub next: Option<Id>,
}

/// An id as it is written: `0x` and its bytes.
pub(super) fn text(id: &impl AsRef<[u8]>) -> String {
    const_hex::encode_prefixed(id.as_ref())
}

impl<Id: NodeId, S: Store> Operator<Id, S> {
    /// Takes over a pool and loads the tags that are stored under `prefix`, which is the prefix of the pool's tracker.
    pub fn open(
        clients: ClientPool<Id, S>,
        store: S,
        prefix: &[u8],
    ) -> Result<Self, OperatorError> {
        let prefix = [prefix, TAGS].concat();
        let (mut user_tags, mut failed) = (BTreeMap::new(), Ok(()));
        store.scan(&prefix, &[], &mut |key, bytes| {
            let id = key.get(prefix.len()..).unwrap_or_default();
            let list = std::str::from_utf8(bytes);
            let (Ok(parsed), Ok(list)) = (Id::try_from(id), list) else {
                failed = Err(OperatorError::DamagedTags(const_hex::encode_prefixed(id)));
                return ControlFlow::Break(());
            };
            user_tags.insert(parsed, list.split('\n').map(str::to_owned).collect());
            ControlFlow::Continue(())
        })?;
        failed?;
        Ok(Self {
            clients,
            store,
            prefix,
            user_tags,
            events: Vec::new(),
        })
    }

    /// The pool, to charge requests, ask for capacity and make operations. Connect, disconnect, poll and set limits
    /// through the operator instead.
    pub const fn clients_mut(&mut self) -> &mut ClientPool<Id, S> {
        &mut self.clients
    }

    /// [`ClientPool::connect`], and the operator hears of it.
    pub fn connect(&mut self, id: &Id, address: &[u8], now_ns: u64) -> Result<u64, ConnectError> {
        let capacity = self.clients.connect(id.clone(), address, now_ns)?;
        self.happened(Kind::Connect, id, now_ns);
        Ok(capacity)
    }

    /// [`ClientPool::disconnect`], and the operator hears of it.
    pub fn disconnect(&mut self, id: &Id, now_ns: u64) -> Result<(), DisconnectError> {
        self.clients.disconnect(id, now_ns)?;
        self.happened(Kind::Disconnect, id, now_ns);
        Ok(())
    }

    /// [`ClientPool::poll`], and the operator hears of capacities.
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<PoolEvent<Id>>, LoadBalanceError> {
        let happened = self.clients.poll(now_ns)?;
        for event in &happened {
            if let PoolEvent::Capacity(change) = event {
                self.happened(Kind::UpdateCapacity, &change.id, now_ns);
            }
        }
        Ok(happened)
    }

    /// [`ClientPool::set_limits`], and the operator hears of it. The totals of the event are those before clients had to
    /// give way: what is short then is taken from the lowest priorities at once.
    pub fn set_limits(&mut self, limits: Limits, now_ns: u64) {
        let before = self.clients.pool().total_capacity();
        let totals = self.totals(limits.capacity);
        self.events
            .push(Event::global(&totals, limits.capacity < before));
        self.clients.set_limits(limits, now_ns);
    }

    /// Stores the balances of all connected clients; to be called before the process ends.
    pub fn save(&mut self, now_ns: u64) -> Result<(), StoreError> {
        self.clients.tracker_mut().save(now_ns)
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    /// A subscription to events of clients that have all of the tags, at least one, and of the market as a whole.
    pub fn subscription(
        tags: Vec<String>,
        total_cap_underrun: bool,
    ) -> Result<Subscription, OperatorError> {
        tags::check(&tags)?;
        Ok(Subscription {
            tags,
            total_cap_underrun,
        })
    }

    /// The market as a whole, in units of capacity: `minimumCapacity` of an active client, `maximumCapacity` that one
    /// client can have, `totalCapacity` to share, `totalConnectedCapacity` that is in use, and `priorityConnectedCapacity`
    /// that clients with tokens use.
    pub fn server_info(&self) -> Params {
        let pool = self.clients.pool();
        let total = pool.limits().capacity;
        let mut info = self.totals(total);
        let least = pool.settings().min_capacity.get();
        info.insert("minimumCapacity".to_owned(), least.into());
        info.insert("maximumCapacity".to_owned(), total.into());
        info
    }

    /// What is known of the clients in `ids` and of those that have all of the tags; without ids and tags, of all that are
    /// connected.
    ///
    /// `isConnected`, `priority` (whether it has tokens), `pricing/balance` (tokens) and `userTags`. If it is connected, also
    /// `capacity`, `connectionTime` in seconds, rounded down, `pricing/negBalance` (tokens owed) and the prices.
    pub fn client_info(
        &self,
        ids: &[Id],
        tags: &[String],
        now_ns: u64,
    ) -> Result<BTreeMap<Id, Params>, OperatorError> {
        let connected = [tags::CONNECTED.to_owned()];
        let tags = match ids.is_empty() && tags.is_empty() {
            true => &connected,
            false => tags,
        };
        let selected = self.select(ids, tags, now_ns)?;
        let infos = selected.into_iter().map(|id| {
            let info = self.info(&id, now_ns)?;
            Ok((id, info))
        });
        infos.collect()
    }

    /// At most `most` clients with tokens, in order of their ids' bytes, from `start` to below `stop`; without `stop`, to
    /// the end.
    pub fn priority_client_info(
        &self,
        start: &[u8],
        stop: Option<&[u8]>,
        most: usize,
        now_ns: u64,
    ) -> Result<PriorityClients<Id>, OperatorError> {
        let tracker = self.clients.tracker();
        let one_more = most.saturating_add(1);
        let mut found = tracker.clients_with_tokens(start, stop, one_more, now_ns)?;
        let next = match found.len() > most {
            true => found.pop(),
            false => None,
        };
        let infos = found.into_iter().map(|id| {
            let info = self.info(&id, now_ns)?;
            Ok::<_, LoadBalanceError>((id, info))
        });
        Ok(PriorityClients {
            clients: infos.collect::<Result<_, _>>()?,
            next,
        })
    }

    /// Adds tokens to a client's balance, connected or not, or takes them away, down to none. Above 2^63 - 1 is an error.
    pub fn add_balance(
        &mut self,
        id: &Id,
        amount: i64,
        now_ns: u64,
    ) -> Result<Added, OperatorError> {
        let tracker = self.clients.tracker_mut();
        let added = tracker.add_balance(id, amount, now_ns)?;
        self.happened(Kind::PriceUpdate, id, now_ns);
        Ok(added)
    }

    /// Changes the clients in `ids` and those that have all of the tags; without both, nobody.
    ///
    /// `capacity` (at least the minimum) and the prices `pricing/timeFactor`, `pricing/capacityFactor`,
    /// `pricing/requestCostFactor` and the same behind `pricing/negative/` last as long as the connection. `userTags`
    /// replaces a client's tags, is stored, and needs no connection.
    ///
    /// # Errors
    ///
    /// An invalid parameter or tag, or a client that is not connected where that is needed, changes nothing. If some of
    /// the clients cannot have the capacity, the others are changed, and those are not.
    pub fn set_client_params(
        &mut self,
        ids: &[Id],
        tags: &[String],
        params: &Params,
        now_ns: u64,
    ) -> Result<(), OperatorError> {
        let least = self.clients.pool().settings().min_capacity.get();
        let params = ClientParams::parse(params, least)?;
        let selected = self.select(ids, tags, now_ns)?;
        if params.needs_connection() {
            let pool = self.clients.pool();
            let absent = selected.iter().filter(|id| pool.capacity(id).is_none());
            let absent = absent.map(|id| OperatorError::NotConnected(text(id)));
            OperatorError::of(absent.collect())?;
        }
        let (mut changed, mut errors) = (Vec::new(), Vec::new());
        for id in selected {
            match self.set_connection(&id, &params, now_ns) {
                Ok(()) => changed.push(id),
                Err(error) => errors.push(error),
            }
        }
        if let Some(user_tags) = &params.user_tags {
            self.tag(&changed, user_tags)?;
        }
        if params.sets_prices() {
            for id in &changed {
                self.happened(Kind::PriceUpdate, id, now_ns);
            }
        }
        OperatorError::of(errors)
    }

    /// Sets prices, by the names of [`set_client_params`](Self::set_client_params), for clients that connect from now on.
    /// They are not stored.
    pub fn set_default_params(&mut self, params: &Params) -> Result<(), OperatorError> {
        let params = ClientParams::parse_defaults(params)?;
        let tracker = self.clients.tracker_mut();
        let prices = params.applied_to(tracker.default_prices());
        tracker.set_default_prices(prices);
        Ok(())
    }

    fn set_connection(
        &mut self,
        id: &Id,
        params: &ClientParams,
        now_ns: u64,
    ) -> Result<(), OperatorError> {
        if let Some(capacity) = params.capacity {
            let granted = self.clients.set_capacity(id, capacity, 0, now_ns);
            granted.map_err(|source| OperatorError::Capacity {
                id: text(id),
                source,
            })?;
        }
        if params.sets_prices() {
            let absent = |_| OperatorError::NotConnected(text(id));
            let tracker = self.clients.tracker_mut();
            let prices = params.applied_to(tracker.prices(id).map_err(absent)?);
            tracker.set_prices(id, prices, now_ns).map_err(absent)?;
        }
        Ok(())
    }

    fn tag(&mut self, ids: &[Id], tags: &BTreeSet<String>) -> Result<(), OperatorError> {
        let mut batch = Batch::new();
        let list: Vec<_> = tags.iter().map(String::as_str).collect();
        for id in ids {
            let key = [&self.prefix, id.as_ref()].concat();
            match tags.is_empty() {
                true => batch.delete(key),
                false => batch.put(key, list.join("\n")),
            }
        }
        self.store.write(&batch)?;
        for id in ids {
            match tags.is_empty() {
                true => self.user_tags.remove(id),
                false => self.user_tags.insert(id.clone(), tags.clone()),
            };
        }
        Ok(())
    }

    /// Tags are looked for among all clients of which anything is known: connected ones, and those with tokens or tags.
    fn select(
        &self,
        ids: &[Id],
        tags: &[String],
        now_ns: u64,
    ) -> Result<BTreeSet<Id>, OperatorError> {
        tags::check(tags)?;
        let mut selected: BTreeSet<_> = ids.iter().cloned().collect();
        if tags.is_empty() {
            return Ok(selected);
        }
        let tracker = self.clients.tracker();
        let mut known: BTreeSet<_> = tracker.clients().cloned().collect();
        known.extend(self.user_tags.keys().cloned());
        known.extend(tracker.clients_with_tokens(&[], None, usize::MAX, now_ns)?);
        for id in known {
            if self.tagged(&id, now_ns)?.has_all(tags) {
                selected.insert(id);
            }
        }
        Ok(selected)
    }

    fn tagged(&self, id: &Id, now_ns: u64) -> Result<Tagged, LoadBalanceError> {
        Ok(Tagged {
            connected: self.clients.pool().capacity(id).is_some(),
            has_tokens: self.clients.tracker().tokens(id, now_ns)? > 0,
            user_tags: self.user_tags.get(id).cloned().unwrap_or_default(),
        })
    }

    fn info(&self, id: &Id, now_ns: u64) -> Result<Params, LoadBalanceError> {
        let tracker = self.clients.tracker();
        let tagged = self.tagged(id, now_ns)?;
        let mut info = Params::new();
        let mut set = |name: &str, value: Value| info.insert(name.to_owned(), value);
        set("isConnected", tagged.connected.into());
        set("priority", tagged.has_tokens.into());
        set("pricing/balance", tracker.tokens(id, now_ns)?.into());
        set("userTags", json!(tagged.user_tags));
        if let (Some(capacity), Ok(balances), Ok(since), Ok(prices)) = (
            self.clients.pool().capacity(id),
            tracker.balances(id, now_ns),
            tracker.connected_since(id),
            tracker.prices(id),
        ) {
            set("capacity", capacity.into());
            let time = now_ns.saturating_sub(since) / NS_PER_SECOND;
            set("connectionTime", time.into());
            set("pricing/negBalance", balances.negative.into());
            info.extend(params::shown(prices));
        }
        Ok(info)
    }

    fn totals(&self, total: u64) -> Params {
        let (pool, tracker) = (self.clients.pool(), self.clients.tracker());
        let with_tokens = pool.capacities().filter(|(id, _)| tracker.has_tokens(id));
        // At most the total of the pool.
        let priority: u64 = with_tokens.map(|(_, capacity)| capacity).sum();
        let mut totals = Params::new();
        let mut set = |name: &str, value: u64| totals.insert(name.to_owned(), value.into());
        set("totalCapacity", total);
        set("totalConnectedCapacity", pool.total_capacity());
        set("priorityConnectedCapacity", priority);
        totals
    }

    fn happened(&mut self, kind: Kind, id: &Id, now_ns: u64) {
        // A store that fails now is reported to whoever needs the balance; here it is only shown.
        let (Ok(tagged), Ok(info)) = (self.tagged(id, now_ns), self.info(id, now_ns)) else {
            return;
        };
        let totals = self.totals(self.clients.pool().limits().capacity);
        self.events
            .push(Event::of_client(&totals, kind, text(id), info, tagged));
    }
}
