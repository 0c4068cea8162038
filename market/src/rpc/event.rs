//! Events for the operator.

use super::{names::Params, tags::Tagged};
use serde_json::Value;

/// An event of a client, or of the capacity of the whole market.
#[derive(Clone, Debug)]
pub struct Event {
    payload: Params,
    client: Option<Tagged>,
    underrun: bool,
}

/// A selection of events; made by [`Operator::subscription`](super::Operator::subscription).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub(super) tags: Vec<String>,
    pub(super) total_cap_underrun: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum EventKind {
    Connect,
    Disconnect,
    UpdateCapacity,
    /// The operator changed the client's balance or prices, or its notice is due.
    PriceUpdate,
}

impl Event {
    pub(super) fn global(totals: &Params, underrun: bool) -> Self {
        Self {
            payload: totals.clone(),
            client: None,
            underrun,
        }
    }

    pub(super) fn of_client(
        totals: &Params,
        kind: EventKind,
        id: String,
        info: Params,
        tagged: Tagged,
    ) -> Self {
        let mut payload = totals.clone();
        let kind = match kind {
            EventKind::Connect => "connect",
            EventKind::Disconnect => "disconnect",
            EventKind::UpdateCapacity => "updateCapacity",
            EventKind::PriceUpdate => "priceUpdate",
        };
        payload.insert("clientEvent".to_owned(), kind.into());
        payload.insert("clientId".to_owned(), id.into());
        payload.insert("clientInfo".to_owned(), Value::Object(info));
        Self {
            payload,
            client: Some(tagged),
            underrun: false,
        }
    }

    /// Returns `totalCapacity`, `totalConnectedCapacity` and `priorityConnectedCapacity`; for an event of a client
    /// also `clientEvent` (`connect`, `disconnect`, `updateCapacity` or `priceUpdate`), `clientId` and `clientInfo`.
    pub const fn payload(&self) -> &Params {
        &self.payload
    }

    /// True if a subscription includes the event. For an event of a client: by the client's tags; a subscription
    /// without tags includes all clients. For an event of the market: always, or only if connected clients have more
    /// than the new capacity.
    pub fn is_for(&self, subscription: &Subscription) -> bool {
        match &self.client {
            Some(tagged) => subscription.tags.is_empty() || tagged.has_all(&subscription.tags),
            None => self.underrun || !subscription.total_cap_underrun,
        }
    }
}
