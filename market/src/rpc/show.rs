//! Information for the operator.

use super::{
    error::OperatorError,
    names::{self, Params},
    operator::Operator,
    params,
};
use crate::{
    balance::{error::LoadBalanceError, types::Notice},
    id::PeerId,
    store::interface::Store,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// A page of the clients with tokens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PriorityClients<Id> {
    /// Information by client; see [`Operator::client_info`].
    pub clients: BTreeMap<Id, Params>,
    /// First client of the next page.
    pub next: Option<Id>,
}

impl<Id: PeerId, S: Store> Operator<Id, S> {
    /// Returns information about the whole market, in units of capacity: `minimumCapacity` of an active client,
    /// `maximumCapacity` of one client, `freeClientCapacity` of a client without tokens, `totalCapacity`,
    /// `totalConnectedCapacity` in use, `priorityConnectedCapacity` in use by clients with tokens, and
    /// `totalPriorityCapacity`: the latter and all that is [set](Self::set_client_params) for clients. It may exceed the
    /// total; then clients with tokens can be refused, too.
    pub fn server_info(&self) -> Params {
        let pool = self.clients().pool();
        let total = self.hall.capacity();
        let mut info = self.totals();
        let min = pool.settings().min_capacity.get();
        info.insert("minimumCapacity".to_owned(), min.into());
        info.insert("maximumCapacity".to_owned(), total.into());
        info.insert("freeClientCapacity".to_owned(), min.into());
        let priority = self.total_priority_capacity();
        info.insert("totalPriorityCapacity".to_owned(), priority.into());
        info
    }

    /// Returns information about the clients in `ids` and the clients that have all of `tags`; without ids and tags
    /// about all connected clients.
    ///
    /// The names are `isConnected`, `priority` (true with tokens), `pricing/balance` (tokens), `pricing/totalAmount`
    /// (tokens [charged](crate::balance::Charged)), `pricing/alert` or `pricing/periodicUpdate` if set, and
    /// `userTags`; `pricing/balanceMeta` if noted; `capacity` if set; with a connection the present `capacity`, `connectionTime` in seconds, rounded down, `pricing/negBalance`
    /// (tokens owed) and the prices.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for an invalid tag, or if the store fails.
    pub fn client_info(
        &self,
        ids: &[Id],
        tags: &[String],
        now_ns: u64,
    ) -> Result<BTreeMap<Id, Params>, OperatorError> {
        let connected = [names::CONNECTED.to_owned()];
        let tags = match ids.is_empty() && tags.is_empty() {
            true => &connected,
            false => tags,
        };
        let selected = self.select(ids, tags, now_ns)?;
        let infos = selected.into_iter().map(|id| {
            let mut info = self.info(&id, now_ns)?;
            if let Some(meta) = self.meta.get(self.clients().tracker(), &id)? {
                info.insert(names::META.to_owned(), meta.into());
            }
            Ok((id, info))
        });
        infos.collect()
    }

    /// Returns at most `max` clients with tokens, in order of their ids' bytes, from `start` up to but excluding
    /// `stop`, or to the end without `stop`.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] if the store fails.
    pub fn priority_client_info(
        &self,
        start: &[u8],
        stop: Option<&[u8]>,
        max: usize,
        now_ns: u64,
    ) -> Result<PriorityClients<Id>, OperatorError> {
        let tracker = self.clients().tracker();
        let one_more = max.saturating_add(1);
        let mut found = tracker.clients_with_tokens(start, stop, one_more, now_ns)?;
        let next = match found.len() > max {
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

    pub(super) fn info(&self, id: &Id, now_ns: u64) -> Result<Params, LoadBalanceError> {
        let tracker = self.clients().tracker();
        let tagged = self.tagged(id, now_ns)?;
        let mut info = Params::new();
        let mut set = |name: &str, value: Value| {
            info.insert(name.to_owned(), value);
        };
        set("isConnected", tagged.connected.into());
        set("priority", tagged.has_tokens.into());
        set("pricing/balance", tracker.tokens(id, now_ns)?.into());
        let charged = tracker.charged(id, now_ns)?;
        set("pricing/totalAmount", charged.total.into());
        match charged.notice {
            None => {}
            Some(Notice::Above(tokens)) => set("pricing/alert", tokens.get().into()),
            Some(Notice::Every(tokens)) => set("pricing/periodicUpdate", tokens.get().into()),
        }
        set("userTags", json!(tagged.user_tags));
        if let Some(capacity) = self.assigned.get(id) {
            set("capacity", capacity.into());
        }
        if let (Some(capacity), Ok(balances), Ok(since), Ok(prices)) = (
            self.clients().pool().capacity(id),
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

    /// Returns the capacity that clients with tokens use or are assigned, the larger of both for each, at most
    /// 2^64 - 1.
    fn total_priority_capacity(&self) -> u64 {
        let (pool, tracker) = (self.clients().pool(), self.clients().tracker());
        let used = |id: &Id| match tracker.has_tokens(id) {
            true => pool.capacity(id).unwrap_or(0),
            false => 0,
        };
        let beyond = |(id, assigned): (&Id, u64)| assigned.saturating_sub(used(id));
        let missing = self.assigned.iter().map(beyond);
        missing.fold(tracker.priority_capacity(), u64::saturating_add)
    }

    /// Returns the announced capacity, and the capacity in use.
    pub(super) fn totals(&self) -> Params {
        self.totals_of(self.clients().pool().total_capacity())
    }

    /// Returns the announced capacity, and `connected` capacity in use.
    pub(super) fn totals_of(&self, connected: u64) -> Params {
        let tracker = self.clients().tracker();
        let mut totals = Params::new();
        let mut set = |name: &str, value: u64| totals.insert(name.to_owned(), value.into());
        set("totalCapacity", self.hall.capacity());
        set("totalConnectedCapacity", connected);
        set("priorityConnectedCapacity", tracker.priority_capacity());
        totals
    }
}
