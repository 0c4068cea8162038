//! What the operator can see and change, without a network.

use super::{
    defaults::Defaults,
    error::OperatorError,
    event::{Event, Kind, Subscription},
    limits::Announced,
    params::Params,
    tags::{self, Tagged},
};
use crate::{
    balance::{ConnectError, DisconnectError, LoadBalanceError},
    id::NodeId,
    pool::{ClientPool, Limits, PoolEvent},
    store::{Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::ControlFlow,
};

const TAGS: &[u8] = b"tags:";

/// A market's clients as their operator handles them; see the [module](super).
///
/// Clients connect, disconnect and are polled through it, so that the operator hears of them. Like the pool it has no
/// clock: times are nanoseconds that do not go back.
#[derive(Debug)]
pub struct Operator<Id, S> {
    pub(super) clients: ClientPool<Id, S>,
    pub(super) store: S,
    /// That of tags.
    pub(super) prefix: Vec<u8>,
    pub(super) user_tags: BTreeMap<Id, BTreeSet<String>>,
    pub(super) defaults: Defaults,
    pub(super) announced: Announced,
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
    /// Takes over a pool and loads what is stored under `prefix`, which is the prefix of the pool's tracker: tags, and the
    /// default prices and the bias that the operator has set, which replace those of the pool's settings.
    pub fn open(
        mut clients: ClientPool<Id, S>,
        store: S,
        prefix: &[u8],
    ) -> Result<Self, OperatorError> {
        let defaults = Defaults::new(prefix);
        if let Some(prices) = defaults.prices(&store)? {
            clients.tracker_mut().set_default_prices(prices);
        }
        if let Some(bias_ns) = defaults.bias_ns(&store)? {
            clients.set_connected_bias(bias_ns);
        }
        let announced = Announced::new(clients.pool().limits());
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
            defaults,
            announced,
            events: Vec::new(),
        })
    }

    /// The pool.
    pub const fn clients(&self) -> &ClientPool<Id, S> {
        &self.clients
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

    /// When [`poll`](Self::poll) next has something to do; that may be now.
    pub fn next_event(&self) -> u64 {
        self.announced.next_event().min(self.clients.next_event())
    }

    /// [`ClientPool::poll`], and the operator hears of capacities and notices. A lower total capacity that is due is in
    /// force before.
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<PoolEvent<Id>>, LoadBalanceError> {
        self.enforce(now_ns);
        let happened = self.clients.poll(now_ns)?;
        for event in &happened {
            match event {
                PoolEvent::Capacity(change) => {
                    self.happened(Kind::UpdateCapacity, &change.id, now_ns);
                }
                PoolEvent::Noticed(id) => self.happened(Kind::PriceUpdate, id, now_ns),
                PoolEvent::Disconnect(_) => {}
            }
        }
        Ok(happened)
    }

    /// Announces what there is to share. The operator hears of another capacity at once. More is to be had at once, too;
    /// less is in force a second later, by [`poll`](Self::poll), so that the operator can decide who gives way. What is
    /// still short then is taken from the lowest priorities. A number of places counts at once.
    pub fn set_limits(&mut self, limits: Limits, now_ns: u64) {
        let before = self.announced.capacity();
        self.announced.announce(limits, now_ns);
        if limits.capacity != before {
            let connected = self.clients.pool().total_capacity();
            let totals = self.totals();
            self.events
                .push(Event::global(&totals, limits.capacity < connected));
        }
        self.enforce(now_ns);
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

    /// Tags are looked for among all clients of which anything is known: connected ones, and those with tokens, tags, a
    /// stored total or a notice.
    pub(super) fn select(
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
        known.extend(tracker.clients_charged()?);
        for id in known {
            if self.tagged(&id, now_ns)?.has_all(tags) {
                selected.insert(id);
            }
        }
        Ok(selected)
    }

    pub(super) fn tagged(&self, id: &Id, now_ns: u64) -> Result<Tagged, LoadBalanceError> {
        Ok(Tagged {
            connected: self.clients.pool().capacity(id).is_some(),
            has_tokens: self.clients.tracker().tokens(id, now_ns)? > 0,
            user_tags: self.user_tags.get(id).cloned().unwrap_or_default(),
        })
    }

    fn enforce(&mut self, now_ns: u64) {
        let limits = self.announced.in_force(now_ns);
        if limits != self.clients.pool().limits() {
            self.clients.set_limits(limits, now_ns);
        }
    }

    pub(super) fn happened(&mut self, kind: Kind, id: &Id, now_ns: u64) {
        // A store that fails now is reported to whoever needs the balance; here it is only shown.
        let (Ok(tagged), Ok(info)) = (self.tagged(id, now_ns), self.info(id, now_ns)) else {
            return;
        };
        let totals = self.totals();
        self.events
            .push(Event::of_client(&totals, kind, text(id), info, tagged));
    }
}
