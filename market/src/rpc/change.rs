//! Changes by the operator.

use super::{
    error::OperatorError, event::EventKind, id_text::id_text, meta::BalanceMeta, names::Params,
    operator::Operator, params::ClientParams,
};
use crate::{
    balance::{error::ChangeBalanceError, types::Added},
    id::PeerId,
    store::interface::{Batch, Store},
};
use std::collections::BTreeSet;

impl<Id: PeerId, S: Store> Operator<Id, S> {
    /// Adds tokens to a client's balance, connected or not, or subtracts them down to 0. Keeps an earlier note.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for a balance above 2^63 - 1, or if the store fails.
    pub fn add_balance(
        &mut self,
        id: &Id,
        amount: i64,
        now_ns: u64,
    ) -> Result<Added, OperatorError> {
        self.add_noted_balance(id, amount, None, now_ns)
    }

    /// Does the same, and replaces the note about the balance, of at most 1,024 bytes; an empty one ends it.
    ///
    /// # Errors
    ///
    /// Those of [`add_balance`](Self::add_balance), and [`OperatorError::Value`] for a longer note.
    pub fn add_noted_balance(
        &mut self,
        id: &Id,
        amount: i64,
        meta: Option<&str>,
        now_ns: u64,
    ) -> Result<Added, OperatorError> {
        meta.map_or(Ok(()), BalanceMeta::check)?;
        let notes = &self.meta;
        let tracker = self.hall.clients_mut().tracker_mut();
        let added = tracker.operation(id, None, now_ns, |balance| {
            if let Some(meta) = meta {
                notes.put(balance.extra_writes(), id.as_ref(), meta);
            }
            balance.add(amount)
        });
        let added: Result<_, ChangeBalanceError> = added;
        let added = added?;
        self.raise_to_assigned(id, now_ns);
        self.record_event(EventKind::PriceUpdate, id, now_ns);
        Ok(added)
    }

    /// Changes the clients in `ids` and the clients that have all of `tags`; without ids and tags no client changes.
    /// Sets all parameters for all of these clients, or nothing.
    ///
    /// `capacity` (at least the minimum) is stored. A connected client has it at once; a client that is away gets it
    /// when it connects, as far as its priority allows. 0 ends an earlier setting and gives the minimum.
    ///
    /// The prices `pricing/timeFactor`, `pricing/capacityFactor`, `pricing/requestCostFactor`, and the same names after
    /// `pricing/negative/`, need a connection and end with it.
    ///
    /// `userTags` replaces a client's tags. `pricing/alert` requests one [event](super::Event) `priceUpdate` as soon
    /// as the total charged to the client exceeds this many tokens; `pricing/periodicUpdate` requests such an event
    /// each time the total has grown by this many tokens. A client has one of the two at a time, and 0 ends it. Tags
    /// and notices are stored and need no connection.
    ///
    /// # Errors
    ///
    /// [`OperatorError`], one for each affected client: for an invalid parameter or tag, a price without connection, a
    /// capacity above the client's priority or above the total, or a failure of the store.
    pub fn set_client_params(
        &mut self,
        ids: &[Id],
        tags: &[String],
        params: &Params,
        now_ns: u64,
    ) -> Result<(), OperatorError> {
        let min = self.clients().pool().settings().min_capacity.get();
        let params = ClientParams::parse(params, min)?;
        let selected = self.select(ids, tags, now_ns)?;
        if params.sets_prices() {
            let pool = self.clients().pool();
            let absent = selected.iter().filter(|id| pool.capacity(id).is_none());
            let absent = absent.map(|id| OperatorError::NotConnected(id_text(id)));
            OperatorError::of(absent.collect())?;
        }

        let pool = self.clients().pool();
        let connected = selected.iter().filter(|id| pool.capacity(id).is_some());
        let connected: BTreeSet<_> = connected.cloned().collect();
        let total = self.hall.capacity();
        let mut planned = self.hall.clients_mut().plan(now_ns);
        let mut batch = Batch::new();
        if let Some(capacity) = params.capacity {
            // Clients that are away compete for it when they connect.
            let requested = u128::from(capacity) * connected.len().max(1) as u128;
            if requested > total.into() {
                return Err(OperatorError::TotalCapacity { requested, total });
            }
            planned = planned
                .with_capacities(&connected, capacity.max(min), 0)
                .map_err(OperatorError::capacity)?;
            self.assigned.put(&mut batch, &selected, capacity);
        }
        if let Some(user_tags) = &params.user_tags {
            put_tags(&mut batch, &self.prefix, &selected, user_tags);
        }
        match params.notice {
            Some(notice) => {
                let tracker = planned.tracker_mut();
                tracker.set_notices(&selected, notice, batch, now_ns)?;
            }
            None if batch.is_empty() => {}
            None => planned.tracker_mut().write_rows(batch)?,
        }

        // All writes are stored, and the rest cannot fail.
        planned.apply();
        if let Some(capacity) = params.capacity {
            self.assigned.set(&selected, capacity);
        }
        if let Some(user_tags) = params.user_tags.as_ref() {
            for id in &selected {
                match user_tags.is_empty() {
                    true => self.user_tags.remove(id),
                    false => self.user_tags.insert(id.clone(), user_tags.clone()),
                };
            }
        }
        if params.sets_prices() {
            for id in &selected {
                self.set_prices(id, &params, now_ns);
            }
        }
        Ok(())
    }

    /// Sets and stores prices, by the names of [`set_client_params`](Self::set_client_params), of clients that
    /// connect from now on. Other prices do not change.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for an invalid parameter or a failure of the store; nothing changes.
    pub fn set_default_params(&mut self, params: &Params) -> Result<(), OperatorError> {
        let params = ClientParams::parse_defaults(params)?;
        let tracker = self.hall.clients_mut().tracker_mut();
        let prices = params.applied_to(tracker.default_prices());
        tracker.write_rows(self.defaults.row_of_prices(prices))?;
        tracker.set_default_prices(prices);
        Ok(())
    }

    /// Sets and stores the minimum duration of the lead of newcomers and of clients that request more capacity, in
    /// nanoseconds.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for a negative time or a failure of the store; nothing changes.
    pub fn set_connected_bias(&mut self, bias_ns: i64) -> Result<(), OperatorError> {
        let negative = |_| OperatorError::Bias(bias_ns);
        let bias_ns = u64::try_from(bias_ns).map_err(negative)?;
        let row = self.defaults.row_of_bias(bias_ns);
        self.clients_mut().tracker_mut().write_rows(row)?;
        self.clients_mut().set_connected_bias(bias_ns);
        Ok(())
    }

    /// Sets the prices of a connected client.
    fn set_prices(&mut self, id: &Id, params: &ClientParams, now_ns: u64) {
        let tracker = self.hall.clients_mut().tracker_mut();
        if let Ok(prices) = tracker.prices(id) {
            let prices = params.applied_to(prices);
            if tracker.set_prices(id, prices, now_ns).is_ok() {
                self.record_event(EventKind::PriceUpdate, id, now_ns);
            }
        }
    }
}

fn put_tags<Id: PeerId>(
    batch: &mut Batch,
    prefix: &[u8],
    ids: &BTreeSet<Id>,
    tags: &BTreeSet<String>,
) {
    let list: Vec<_> = tags.iter().map(String::as_str).collect();
    for id in ids {
        let key = [prefix, id.as_ref()].concat();
        match tags.is_empty() {
            true => batch.delete(key),
            false => batch.put(key, list.join("\n")),
        }
    }
}
