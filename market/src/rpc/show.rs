//! What the operator is shown.

use super::{
    error::OperatorError,
    operator::{Operator, PriorityClients},
    params::{self, Params},
    tags,
};
use crate::{
    balance::{LoadBalanceError, Notice},
    id::NodeId,
    store::Store,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NS_PER_SECOND: u64 = 1_000_000_000;

impl<Id: NodeId, S: Store> Operator<Id, S> {
    /// The market as a whole, in units of capacity: `minimumCapacity` of an active client, `maximumCapacity` that one
    /// client can have, `totalCapacity` to share, `totalConnectedCapacity` that is in use, and `priorityConnectedCapacity`
    /// that clients with tokens use.
    pub fn server_info(&self) -> Params {
        let pool = self.clients.pool();
        let total = self.announced.capacity();
        let mut info = self.totals();
        let least = pool.settings().min_capacity.get();
        info.insert("minimumCapacity".to_owned(), least.into());
        info.insert("maximumCapacity".to_owned(), total.into());
        info
    }

    /// What is known of the clients in `ids` and of those that have all of the tags; without ids and tags, of all that are
    /// connected.
    ///
    /// `isConnected`, `priority` (whether it has tokens), `pricing/balance` (tokens), `pricing/totalAmount` (tokens it was
    /// [charged](crate::balance::Charged)), `pricing/alert` or `pricing/periodicUpdate` if it is set, and `userTags`. If it is
    /// connected, also `capacity`, `connectionTime` in seconds, rounded down, `pricing/negBalance` (tokens owed) and the prices.
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

    pub(super) fn info(&self, id: &Id, now_ns: u64) -> Result<Params, LoadBalanceError> {
        let tracker = self.clients.tracker();
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

    /// The capacity there is, as it was announced, and how much of it is in use.
    pub(super) fn totals(&self) -> Params {
        let (pool, tracker) = (self.clients.pool(), self.clients.tracker());
        let with_tokens = pool.capacities().filter(|(id, _)| tracker.has_tokens(id));
        // At most the total of the pool.
        let priority: u64 = with_tokens.map(|(_, capacity)| capacity).sum();
        let mut totals = Params::new();
        let mut set = |name: &str, value: u64| totals.insert(name.to_owned(), value.into());
        set("totalCapacity", self.announced.capacity());
        set("totalConnectedCapacity", pool.total_capacity());
        set("priorityConnectedCapacity", priority);
        totals
    }
}
