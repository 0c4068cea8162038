//! What the operator changes.

use super::{
    error::OperatorError,
    event::Kind,
    operator::{Operator, text},
    params::{ClientParams, Params},
};
use crate::{
    balance::Added,
    id::NodeId,
    store::{Batch, Store},
};
use std::collections::BTreeSet;

impl<Id: NodeId, S: Store> Operator<Id, S> {
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

    /// Changes the clients in `ids` and those that have all of the tags; without both, nobody. All of the parameters are set
    /// for all of them, or nothing is changed.
    ///
    /// `capacity` (at least the minimum) and the prices `pricing/timeFactor`, `pricing/capacityFactor`,
    /// `pricing/requestCostFactor` and the same behind `pricing/negative/` need a connection and last as long as it does.
    ///
    /// `userTags` replaces a client's tags. `pricing/alert` asks for one [event](super::Event) `priceUpdate` when the client
    /// was charged more than so many tokens in all, and `pricing/periodicUpdate` for one each time that so many more were
    /// charged; a client has one of the two at a time, and 0 ends it. These are stored and need no connection.
    ///
    /// # Errors
    ///
    /// [`OperatorError`], one for each client that is in the way: for an invalid parameter or tag, a client that is not
    /// connected where that is needed or cannot have the capacity, more capacity than there is, or a store that fails.
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

        // What had to be stored is stored, and the rest cannot fail.
        planned.make();
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

    /// Sets prices, by the names of [`set_client_params`](Self::set_client_params), for clients that connect from now on.
    /// They are stored; those that are not named stay as they are.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for an invalid parameter or a store that fails; then nothing has changed.
    pub fn set_default_params(&mut self, params: &Params) -> Result<(), OperatorError> {
        let params = ClientParams::parse_defaults(params)?;
        let tracker = self.clients.tracker_mut();
        let prices = params.applied_to(tracker.default_prices());
        self.defaults.store_prices(&self.store, prices)?;
        tracker.set_default_prices(prices);
        Ok(())
    }

    /// Sets for how many nanoseconds the lead of a client that asks for more capacity must last, and stores it.
    ///
    /// # Errors
    ///
    /// [`OperatorError`] for a time below 0 or a store that fails; then nothing has changed.
    pub fn set_connected_bias(&mut self, bias_ns: i64) -> Result<(), OperatorError> {
        let negative = |_| OperatorError::Bias(bias_ns);
        let bias_ns = u64::try_from(bias_ns).map_err(negative)?;
        self.defaults.store_bias_ns(&self.store, bias_ns)?;
        self.clients.set_connected_bias(bias_ns);
        Ok(())
    }

    /// Of a client that is connected.
    fn set_prices(&mut self, id: &Id, params: &ClientParams, now_ns: u64) {
        let tracker = self.clients.tracker_mut();
        if let Ok(prices) = tracker.prices(id) {
            let prices = params.applied_to(prices);
            if tracker.set_prices(id, prices, now_ns).is_ok() {
                self.happened(Kind::PriceUpdate, id, now_ns);
            }
        }
    }
}

fn put_tags<Id: NodeId>(
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
