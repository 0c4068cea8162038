//! What the operator is told of.

use super::{params::Params, tags::Tagged};
use serde_json::Value;

/// What happened to a client, or to the capacity of the whole market.
#[derive(Clone, Debug)]
pub struct Event {
    payload: Params,
    client: Option<Tagged>,
    underrun: bool,
}

/// Which events somebody wants; made by [`Operator::subscription`](super::Operator::subscription).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub(super) tags: Vec<String>,
    pub(super) total_cap_underrun: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    UpdateCapacity,
    /// Its balance or prices were changed by the operator, or its notice is due.
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
        kind: Kind,
        id: String,
        info: Params,
        tagged: Tagged,
    ) -> Self {
        let mut payload = totals.clone();
        let kind = match kind {
            Kind::Connect => "connect",
            Kind::Disconnect => "disconnect",
            Kind::UpdateCapacity => "updateCapacity",
            Kind::PriceUpdate => "priceUpdate",
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

    /// `totalCapacity`, `totalConnectedCapacity` and `priorityConnectedCapacity`; if it is of a client, also `clientEvent`
    /// (`connect`, `disconnect`, `updateCapacity` or `priceUpdate`), `clientId` and `clientInfo`.
    pub const fn payload(&self) -> &Params {
        &self.payload
    }

    /// Whether a subscription includes the event: by the client's tags or, if it is of the whole market, always or only
    /// where there is less capacity than connected clients have.
    pub fn is_for(&self, subscription: &Subscription) -> bool {
        match &self.client {
            Some(tagged) => tagged.has_all(&subscription.tags),
            None => self.underrun || !subscription.total_cap_underrun,
        }
    }
}
