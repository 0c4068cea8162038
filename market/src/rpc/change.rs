//! Changes by the operator.

use super::{
    error::OperatorError, event::EventKind, id_text::id_text, names::Params, operator::Operator,
    params::ClientParams,
};
use crate::{
    balance::types::Added,
    id::PeerId,
    store::interface::{Batch, Store},
};
use std::collections::BTreeSet;

impl<Id: PeerId, S: Store> Operator<Id, S> {
    /// Adds tokens to a client's balance, connected or not, or subtracts them down to 0.
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
        let tracker = self.clients.tracker_mut();
        let added = tracker.add_balance(id, amount, now_ns)?;
        self.record_event(EventKind::PriceUpdate, id, now_ns);
        Ok(added)
    }

    /// Changes the clients in `ids` and the clients that have all of `tags`; without ids and tags no client changes.
    /// Sets all parameters for all of these clients, or nothing.
    ///
    /// `capacity` (at least the minimum) and the prices `pricing/timeFactor`, `pricing/capacityFactor`,
    /// `pricing/requestCostFactor`, and the same names after `pricing/negative/`, need a connection and end with it.
    ///
    /// `userTags` replaces a client's tags. `pricing/alert` requests one [event](super::Event) `priceUpdate` as soon
    /// as the total charged to the client exceeds this many tokens; `pricing/periodicUpdate` requests such an event
    /// each time the total has grown by this many tokens. A client has one of the two at a time, and 0 ends it. Tags
    /// and notices are stored and need no connection.
    ///
    /// # Errors
    ///
    /// [`OperatorError`], one for each affected client: for an invalid parameter or tag, a missing connection, a
    /// capacity above the client's priority or above the total, or a failure of the store.
    pub fn set_client_params(
        &mut self,
        ids: &[Id],
        tags: &[String],
        params: &Params,
        now_ns: u64,
    ) -> Result<(), OperatorError> {
        let min = self.clients.pool().settings().min_capacity.get();
        let params = ClientParams::parse(params, min)?;
        let selected = self.select(ids, tags, now_ns)?;
        if params.needs_connection() {
            let pool = self.clients.pool();
            let absent = selected.iter().filter(|id| pool.capacity(id).is_none());
            let absent = absent.map(|id| OperatorError::NotConnected(id_text(id)));
            OperatorError::of(absent.collect())?;
        }

        let mut planned = self.clients.plan(now_ns);
        if let Some(capacity) = params.capacity {
            let total = self.announced.capacity();
            let requested = u128::from(capacity) * selected.len() as u128;
            if requested > total.into() {
                return Err(OperatorError::TotalCapacity { requested, total });
            }
            planned = planned
                .with_capacities(&selected, capacity, 0)
                .map_err(OperatorError::capacity)?;
        }
        let mut batch = Batch::new();
        if let Some(user_tags) = &params.user_tags {
            put_tags(&mut batch, &self.prefix, &selected, user_tags);
        }
        match params.notice {
            Some(notice) => {
                let tracker = planned.tracker_mut();
                tracker.set_notices(&selected, notice, batch, now_ns)?;
            }
            None if batch.is_empty() => {}
            None => self.store.write(&batch)?,
        }

        // All writes are stored, and the rest cannot fail.
        planned.apply();
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
        let tracker = self.clients.tracker_mut();
        let prices = params.applied_to(tracker.default_prices());
        self.defaults.store_prices(&self.store, prices)?;
        tracker.set_default_prices(prices);
        Ok(())
    }

    /// Sets and stores the minimum duration of the lead of a client that requests more capacity, in nanoseconds.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for a negative time or a failure of the store; nothing changes.
    pub fn set_connected_bias(&mut self, bias_ns: i64) -> Result<(), OperatorError> {
        let negative = |_| OperatorError::Bias(bias_ns);
        let bias_ns = u64::try_from(bias_ns).map_err(negative)?;
        self.defaults.store_bias_ns(&self.store, bias_ns)?;
        self.clients.set_connected_bias(bias_ns);
        Ok(())
    }

    /// Sets the prices of a connected client.
    fn set_prices(&mut self, id: &Id, params: &ClientParams, now_ns: u64) {
        let tracker = self.clients.tracker_mut();
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
