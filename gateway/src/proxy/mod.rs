//! The reverse proxy: takes requests from clients, sells them, and hands them to the upstream.
//!
//! A sale has a task of its own. The upstream's outcome decides what is charged; the client's connection does not.

mod body;
mod cors;
mod prefix;
mod reply;
mod sale;
mod shared;
mod stored;

pub use body::ProxyBody;
pub use prefix::network_prefix;
pub use shared::ProxySettings;

use crate::{
    capacity::{Capacity, Refusal},
    forward::{Origin, Upstream},
    ledger::RoomFor,
    seller::{Seller, request, sale::Entry},
};
use body::collect;
use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode, Uri,
    header::{HOST, HeaderMap},
    request::Parts,
};
use http_body::Body;
use reply::{busy, problem, response, unread};
use sale::Selling;
use shared::Shared;
use std::{error::Error, sync::Arc};

/// The path to which clients post proofs that buy no request.
pub const PAY_PATH: &str = "/.well-known/cheque/pay";

/// The memory of a waiting request besides its body, in bytes.
const HEAD_BYTES: u64 = 4_096;

/// A reverse proxy that sells its upstream's answers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// Sells `upstream` by `seller`.
    pub fn new(seller: Seller, upstream: Upstream, settings: ProxySettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                seller,
                upstream,
                settings,
            }),
        }
    }

    /// Returns the capacity.
    pub fn capacity(&self) -> &Capacity {
        &self.shared.settings.capacity
    }

    /// Returns the seller.
    pub fn seller(&self) -> &Seller {
        &self.shared.seller
    }

    /// Answers a request. Every failure is an answer, too.
    pub async fn answer<B>(&self, request: Request<B>, origin: Origin) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let is_from_page = cors::is_from_page(request.headers());
        if cors::is_preflight(&request) {
            return cors::preflight();
        }
        let mut answer = self.sell(request, origin).await;
        if is_from_page {
            cors::open(answer.headers_mut());
        }
        answer
    }

    async fn sell<B>(&self, request: Request<B>, origin: Origin) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Shared {
            seller, settings, ..
        } = &*self.shared;
        let (head, body) = request.into_parts();
        let Some(authority) = authority(&head) else {
            let detail = "the request names no host, or several; send one Host header";
            return problem(StatusCode::BAD_REQUEST, "host", detail);
        };
        let body = match collect(body, settings.max_body).await {
            Ok(body) => body,
            Err(reason) => return unread(reason),
        };
        let now = (settings.now)();
        if head.uri.path() == PAY_PATH {
            return self.top_up(&head.method, &body, now).await;
        }
        let target = head.uri.path_and_query();
        let asked = request::Request {
            method: &head.method,
            scheme: if origin.is_secure { "https" } else { "http" },
            authority: &authority,
            target: target.map_or("", |target| target.as_str()),
            headers: &head.headers,
            body: &body,
        };
        let offer = match seller.quote(&asked) {
            Ok(offer) => offer,
            Err(refusal) => {
                return problem(refusal.status(), "not_sold", &refusal.to_string());
            }
        };
        let capacity = &settings.capacity;
        let work = *offer.work();
        if let Err(refusal) = is_servable(capacity, &offer) {
            return busy(&refusal);
        }
        let held = HEAD_BYTES.saturating_add(body.len() as u64);
        let rooms = capacity.clone();
        let room: RoomFor = Arc::new(move |account| rooms.room(account, &work, held));
        let client = network_prefix(origin.address);
        let entry = seller.admit(&offer, &head.headers, &client, &room, now);
        match entry.await {
            Entry::Free => match capacity.enter_free(origin.address, &work) {
                Ok(ticket) => sale::give(&self.shared, (head, body), &origin, ticket).await,
                Err(refusal) => {
                    seller.not_given(&offer, &client);
                    busy(&refusal)
                }
            },
            Entry::Sale(sale) => {
                let shared = Arc::clone(&self.shared);
                Selling::new(shared, *sale, (work, held))
                    .start((head, body), origin)
                    .await
            }
            Entry::Again {
                answer,
                receipt,
                protocol,
            } => match stored::decode(&answer) {
                Some(mut answer) => {
                    let status = answer.status();
                    seller.receipt(answer.headers_mut(), &receipt, &protocol, status, now);
                    answer
                }
                None => problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "stored_answer",
                    "the stored answer cannot be read; it was paid for, and is lost",
                ),
            },
            Entry::Reply(reply) => response(reply),
        }
    }

    async fn top_up(&self, method: &Method, body: &Bytes, now: u64) -> Response<ProxyBody> {
        if method != Method::POST {
            let detail = "proofs come by POST, one in a line";
            return problem(StatusCode::METHOD_NOT_ALLOWED, "method", detail);
        }
        let Ok(text) = str::from_utf8(body) else {
            let detail = "the body is no text; send proofs, one in a line";
            return problem(StatusCode::BAD_REQUEST, "malformed_payment", detail);
        };
        response(self.shared.seller.top_up(text, now).await)
    }
}

/// Refuses a request that could never be served, before it is paid for.
fn is_servable(capacity: &Capacity, offer: &request::Offer) -> Result<(), Refusal> {
    let Some((paid, free)) = capacity.largest() else {
        return Ok(());
    };
    let (cost, max) = match offer.tariff() {
        Some(_) => (offer.work().most(), paid),
        None => (offer.work().most(), free),
    };
    match cost <= max {
        true => Ok(()),
        false => Err(Refusal::TooLarge { cost, max }),
    }
}

/// The host that a request names: `:authority` of HTTP/2, or `Host`. `None` if they differ, or if there is not exactly one.
fn authority(head: &Parts) -> Option<String> {
    let named = |headers: &HeaderMap| {
        let mut values = headers.get_all(HOST).iter();
        let first = values.next().map(|value| value.to_str().ok());
        match (first, values.next()) {
            (None, _) => Some(None),
            (Some(Some(host)), None) => Some(Some(host.to_owned())),
            _ => None,
        }
    };
    let of_header = named(&head.headers)?;
    let of_uri = Uri::authority(&head.uri).map(|authority| authority.as_str().to_owned());
    match (of_uri, of_header) {
        (Some(uri), Some(header)) if !uri.eq_ignore_ascii_case(&header) => None,
        (Some(name), _) | (None, Some(name)) => Some(name),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
