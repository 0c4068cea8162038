//! Queries and changes of the operator, without a network.

use super::{
    assigned::AssignedCapacities,
    defaults::Defaults,
    error::OperatorError,
    event::{Event, EventKind, Subscription},
    id_text::id_text,
    meta::BalanceMeta,
    names::{CONNECTED, PRIORITY},
    tags::{self, Tagged},
};
use crate::{
    balance::error::{ConnectError, DisconnectError, LoadBalanceError},
    hall::{Hall, HallError, SaleTerms},
    id::PeerId,
    pool::{
        clients::{ClientPool, PoolEvent},
        types::Limits,
    },
    store::interface::{Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::ControlFlow,
};

const TAGS: &[u8] = b"tags:";

/// A market's clients under an operator; see the [module](super).
///
/// Connect, disconnect and poll clients through this type, so that the operator gets their events. The operator has
/// no clock: times are nanoseconds that do not go back.
#[derive(Debug)]
pub struct Operator<Id, S> {
    pub(super) hall: Hall<Id, S>,
    pub(super) store: S,
    /// Key prefix of tags.
    pub(super) prefix: Vec<u8>,
    pub(super) user_tags: BTreeMap<Id, BTreeSet<String>>,
    pub(super) defaults: Defaults,
    pub(super) assigned: AssignedCapacities<Id>,
    pub(super) meta: BalanceMeta,
    events: Vec<Event>,
}

impl<Id: PeerId, S: Store> Operator<Id, S> {
    /// Starts selling tokens by these terms; see [`Hall::with_sale`].
    ///
    /// # Errors
    ///
    /// Those of [`Hall::with_sale`].
    pub fn with_sale(mut self, terms: SaleTerms, now_ns: u64) -> Result<Self, HallError> {
        let prefix = self.prefix.strip_suffix(TAGS).unwrap_or_default();
        self.hall = self.hall.with_sale(&self.store, prefix, terms, now_ns)?;
        Ok(self)
    }

    /// Takes over a pool and loads the state under `prefix`, which is the prefix of the pool's tracker: tags, and the
    /// operator's default prices and bias, which replace those of the pool's settings.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] if the store fails or has a damaged record.
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
        let assigned = AssignedCapacities::load(&store, prefix)?;
        let meta = BalanceMeta::new(prefix);
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
            hall: Hall::new(clients),
            store,
            prefix,
            user_tags,
            defaults,
            assigned,
            meta,
            events: Vec::new(),
        })
    }

    /// Returns the hall, of which the operator is a view.
    pub const fn hall(&self) -> &Hall<Id, S> {
        &self.hall
    }

    /// Returns the hall, for payments and trades. Connect, disconnect, poll and set limits through the operator, which
    /// records events.
    pub const fn hall_mut(&mut self) -> &mut Hall<Id, S> {
        &mut self.hall
    }

    pub(super) const fn store(&self) -> &S {
        &self.store
    }

    /// Returns the pool.
    pub const fn clients(&self) -> &ClientPool<Id, S> {
        self.hall.clients()
    }

    /// Returns the pool, for charging requests, requesting capacity and operations. Connect, disconnect, poll and set
    /// limits through the operator instead.
    pub const fn clients_mut(&mut self) -> &mut ClientPool<Id, S> {
        self.hall.clients_mut()
    }

    /// Calls [`ClientPool::connect`], requests the capacity that was [set](Self::set_client_params) for the client, and
    /// records an event.
    ///
    /// # Errors
    ///
    /// Those of [`ClientPool::connect`].
    pub fn connect(&mut self, id: &Id, address: &[u8], now_ns: u64) -> Result<u64, ConnectError> {
        let capacity = self.hall.connect(id, address, now_ns)?;
        self.raise_to_assigned(id, now_ns);
        self.record_event(EventKind::Connect, id, now_ns);
        Ok(self.clients().pool().capacity(id).unwrap_or(capacity))
    }

    /// Calls [`ClientPool::disconnect`] and records an event.
    ///
    /// # Errors
    ///
    /// Those of [`ClientPool::disconnect`].
    pub fn disconnect(&mut self, id: &Id, now_ns: u64) -> Result<(), DisconnectError> {
        self.hall.disconnect(id, now_ns)?;
        self.record_event(EventKind::Disconnect, id, now_ns);
        Ok(())
    }

    /// Returns the moment of the next work for [`poll`](Self::poll), possibly now.
    pub fn next_event(&self) -> u64 {
        self.hall.next_event()
    }

    /// Applies a due decrease of the total capacity, calls [`ClientPool::poll`], and records events of capacities and
    /// notices.
    ///
    /// # Errors
    ///
    /// Those of [`ClientPool::poll`].
    pub fn poll(&mut self, now_ns: u64) -> Result<Vec<PoolEvent<Id>>, LoadBalanceError> {
        let happened = self.hall.poll(now_ns)?;
        for event in &happened {
            match event {
                PoolEvent::Capacity(change) => {
                    if change.old == 0 {
                        self.raise_to_assigned(&change.id, now_ns);
                    }
                    self.record_event(EventKind::UpdateCapacity, &change.id, now_ns);
                }
                PoolEvent::Noticed(id) => self.record_event(EventKind::PriceUpdate, id, now_ns),
                PoolEvent::Disconnect(_) => {}
            }
        }
        Ok(happened)
    }

    /// Announces the limits, and records an event if the capacity changes. An increase takes effect at once. A
    /// decrease takes effect a second later, in [`poll`](Self::poll), so that the operator can choose the clients
    /// that yield; any remaining shortage is taken from the lowest priorities. The number of slots takes effect at
    /// once.
    pub fn set_limits(&mut self, limits: Limits, now_ns: u64) {
        let connected = self.clients().pool().total_capacity();
        if self.hall.set_limits(limits, now_ns) {
            let totals = self.totals_of(connected);
            self.events
                .push(Event::global(&totals, limits.capacity < connected));
        }
    }

    /// Stores the balances of all connected clients. Call this before the process ends.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    pub fn save(&mut self, now_ns: u64) -> Result<(), StoreError> {
        self.clients_mut().tracker_mut().save(now_ns)
    }

    /// Returns the events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    /// Returns a subscription to events of the market, and of clients that have all of `tags`, or of all clients
    /// without tags.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for an invalid tag.
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

    /// Selects clients by id or by tags. Tags are matched for all known clients: connected clients, and clients with
    /// tokens, tags, a set capacity, a stored total or a notice.
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
        for id in self.candidates(tags, now_ns)? {
            if self.tagged(&id, now_ns)?.has_all(tags) {
                selected.insert(id);
            }
        }
        Ok(selected)
    }

    /// Returns a superset of the clients that have all of `tags`. Reads stored balances only for tags that need them.
    fn candidates(&self, tags: &[String], now_ns: u64) -> Result<BTreeSet<Id>, OperatorError> {
        let tracker = self.clients().tracker();
        if tags.iter().any(|tag| tag == CONNECTED) {
            return Ok(tracker.clients().cloned().collect());
        }
        if let Some(tag) = tags.iter().find(|tag| !tag.starts_with('$')) {
            let tagged = self.user_tags.iter().filter(|(_, tags)| tags.contains(tag));
            return Ok(tagged.map(|(id, _)| id.clone()).collect());
        }
        let mut known = tracker.clients_with_tokens(&[], None, usize::MAX, now_ns)?;
        if !tags.iter().any(|tag| tag == PRIORITY) {
            known.extend(tracker.clients().cloned());
            known.extend(self.user_tags.keys().cloned());
            known.extend(self.assigned.iter().map(|(id, _)| id.clone()));
            known.extend(tracker.clients_charged()?);
        }
        Ok(known.into_iter().collect())
    }

    pub(super) fn tagged(&self, id: &Id, now_ns: u64) -> Result<Tagged, LoadBalanceError> {
        Ok(Tagged {
            connected: self.clients().pool().capacity(id).is_some(),
            has_tokens: self.clients().tracker().tokens(id, now_ns)? > 0,
            user_tags: self.user_tags.get(id).cloned().unwrap_or_default(),
        })
    }

    pub(super) fn record_event(&mut self, kind: EventKind, id: &Id, now_ns: u64) {
        // This event only displays the balance; a failure of the store is reported by calls that need it.
        let (Ok(tagged), Ok(info)) = (self.tagged(id, now_ns), self.info(id, now_ns)) else {
            return;
        };
        let totals = self.totals();
        self.events
            .push(Event::of_client(&totals, kind, id_text(id), info, tagged));
    }
}
