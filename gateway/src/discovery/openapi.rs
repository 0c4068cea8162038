//! The upstream's OpenAPI document with prices, as MPP's discovery has them.

use super::object::{Object, raw};
use crate::{
    offers::{ListedOffer, Offers},
    wire::{Intent, Wire},
};
use http::{Method, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

/// The keys of a path's operations.
const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("head", Method::HEAD),
    ("patch", Method::PATCH),
    ("trace", Method::TRACE),
];

/// The field of an operation's prices.
const PAYMENT_INFO: &str = "x-payment-info";

#[derive(Serialize)]
struct PaymentInfo {
    offers: Vec<PaymentOffer>,
}

#[derive(Serialize)]
struct PaymentOffer {
    intent: &'static str,
    method: &'static str,
    amount: Option<String>,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Deserialize)]
struct Server {
    url: String,
}

/// Adds prices and a 402 answer to each operation that is sold. All other bytes of values stay. `None` for other
/// documents than OpenAPI in JSON.
pub(crate) fn annotate(bytes: &[u8], offers: &Offers, wire: &Wire) -> Option<Vec<u8>> {
    let mut document: Object = serde_json::from_slice(bytes).ok()?;
    document.get("openapi").or(document.get("swagger"))?;
    let base = base_path(&document);
    let mut paths = Object::parse(document.get("paths")?)?;
    for (template, item) in &mut paths.0 {
        let Some(mut operations) = Object::parse(item) else {
            continue;
        };
        let path = format!("{base}{template}");
        let mut is_priced = false;
        for (key, method) in METHODS {
            let mut sold = offers.of_operation(&method, &path);
            sold.retain(|offer| wire.terms.of(&offer.token).is_some());
            let operation = operations.get(key).and_then(Object::parse);
            let Some(operation) = operation.filter(|_| !sold.is_empty()) else {
                continue;
            };
            operations.set(key, priced(operation, sold)?);
            is_priced = true;
        }
        if is_priced {
            *item = operations.to_raw()?;
        }
    }
    document.set("paths", paths.to_raw()?);
    serde_json::to_vec(&document).ok()
}

fn priced(mut operation: Object, sold: Vec<ListedOffer>) -> Option<Box<RawValue>> {
    let offers = sold.into_iter().map(|offer| PaymentOffer {
        intent: match offer.is_variable {
            true => Intent::Session.name(),
            false => Intent::Charge.name(),
        },
        method: "cheque",
        amount: offer.amount.map(|amount| amount.to_string()),
        currency: offer.currency.to_checksum(None),
        description: offer.description,
    });
    let info = PaymentInfo {
        offers: offers.collect(),
    };
    operation.set(PAYMENT_INFO, raw(&info)?);
    let responses = operation.get("responses").and_then(Object::parse);
    let mut responses = responses.unwrap_or_default();
    if responses.get("402").is_none() {
        responses.set("402", raw(&json!({ "description": "Payment Required" }))?);
    }
    operation.set("responses", responses.to_raw()?);
    operation.to_raw()
}

/// The path before all paths of the document: the path of its first server, or `basePath` of older documents.
fn base_path(document: &Object) -> String {
    let servers = document.get("servers");
    let servers: Option<Vec<Server>> =
        servers.and_then(|servers| serde_json::from_str(servers.get()).ok());
    let base = match servers.and_then(|servers| servers.into_iter().next()) {
        Some(server) if server.url.starts_with('/') => server.url,
        Some(server) => {
            let uri = server.url.parse::<Uri>().ok();
            uri.map_or(String::new(), |uri| uri.path().to_owned())
        }
        None => {
            let base = document.get("basePath");
            base.and_then(|base| serde_json::from_str(base.get()).ok())
                .unwrap_or_default()
        }
    };
    base.trim_end_matches('/').to_owned()
}
