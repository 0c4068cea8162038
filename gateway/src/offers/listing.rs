//! Offers as clients read them before a request: routes and prices.

use crate::offers::types::{Offers, Price, Route};
use cheque::{Address, Amount};
use http::Method;
use serde::Serialize;
use std::collections::BTreeMap;

/// A route and its prices. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedRoute {
    /// The method; absent for all methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The pattern of the path.
    pub path: String,
    /// What the operator says about the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The unit of `perUnit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The prices by the name of the token; empty for a free route.
    pub prices: BTreeMap<String, ListedPrice>,
    /// The number of free requests for each client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_requests: Option<u32>,
    /// The seconds after which the free requests begin again; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_every: Option<u64>,
}

/// The price of a route in one token, in its units. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPrice {
    /// The fixed price of a request, or of a call without a price of its own.
    pub amount: Amount,
    /// The price of 1,024 bytes of the answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub per_kib: Amount,
    /// The price of a second.
    #[serde(skip_serializing_if = "is_zero")]
    pub per_second: Amount,
    /// The price of a unit.
    #[serde(skip_serializing_if = "is_zero")]
    pub per_unit: Amount,
    /// The most of the variable part.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: Amount,
    /// The prices of calls by their method of JSON-RPC.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, Amount>,
}

/// In the form that serde calls.
const fn is_zero(amount: &Amount) -> bool {
    amount.is_zero()
}

/// The price of an operation in one token, before its request is known. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedOffer {
    /// The name of the token.
    pub token: String,
    /// The token's address.
    pub currency: Address,
    /// The most that a request can cost, in units of the token. `None`: the body decides.
    pub amount: Option<Amount>,
    /// True if the cost depends on the answer.
    pub is_variable: bool,
    /// What the operator says about the route.
    pub description: Option<String>,
}

impl Offers {
    /// Returns all routes in the order of the file, which is the order in which they take requests.
    pub fn routes(&self) -> Vec<ListedRoute> {
        self.routes.iter().map(|route| route.listed()).collect()
    }

    /// True if a route without stars in its path takes the request: the operator has a rule for this very path.
    pub(crate) fn names(&self, method: &Method, path: &str) -> bool {
        let mut routes = self.routes.iter();
        routes.any(|route| route.path.is_literal() && route.takes(method, path))
    }

    /// Returns the prices of the requests under a templated path such as `/users/{id}`: those of the first route that takes
    /// all of them. A part in braces is taken by a star only.
    pub(crate) fn of_operation(&self, method: &Method, template: &str) -> Vec<ListedOffer> {
        let mut routes = self.routes.iter();
        let Some(route) = routes.find(|route| route.takes(method, template)) else {
            return Vec::new();
        };
        let is_variable = route.prices.iter().any(|price| price.rates.is_variable());
        let offer = |price: &Price| ListedOffer {
            token: price.token.name.clone(),
            currency: price.token.currency.token,
            amount: match route.calls {
                Some(_) => None,
                // In range: the file was checked.
                None => price.fixed.checked_add(price.rates.max),
            },
            is_variable,
            description: route.description.clone(),
        };
        route.prices.iter().map(offer).collect()
    }
}

impl Route {
    fn listed(&self) -> ListedRoute {
        let prices = (0..).zip(&self.prices).map(|(index, price)| {
            let calls = self.calls.iter().flatten();
            let calls = calls.filter_map(|(method, prices)| {
                let price = prices.get(index)?;
                Some((method.clone(), *price))
            });
            let listed = ListedPrice {
                amount: price.fixed,
                per_kib: price.rates.per_kib,
                per_second: price.rates.per_second,
                per_unit: price.rates.per_unit,
                max: price.rates.max,
                calls: calls.collect(),
            };
            (price.token.name.clone(), listed)
        });
        ListedRoute {
            method: self.method.as_ref().map(|method| method.to_string()),
            path: self.path.as_str().to_owned(),
            description: self.description.clone(),
            unit: self.unit.clone(),
            prices: prices.collect(),
            free_requests: self.free.map(|tier| tier.requests),
            free_every: self.free.and_then(|tier| tier.window),
        }
    }
}
