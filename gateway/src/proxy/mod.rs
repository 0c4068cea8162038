//! The reverse proxy: takes requests from clients, sells them, and hands them to the upstream.
//!
//! A sale has a task of its own. The upstream's outcome decides what is charged; the client's connection does not.

mod body;
mod budget;
mod cors;
mod metered;
mod page;
mod passing;
mod prefix;
mod relay;
mod reply;
mod sale;
mod selling;
mod shared;
mod socket;
mod stored;
mod till;
mod websocket;

pub use body::ProxyBody;
pub use prefix::network_prefix;
pub use shared::{ProxyLimits, ProxySettings};

use crate::{
    forward::{Origin, Upstream},
    seller::{Seller, request, sale::Entry},
};
use body::collect;
use budget::Budget;
use bytes::Bytes;
use cheque::service::http::Caller;
use http::{
    Method, Request, Response, StatusCode, Uri,
    header::{HOST, HeaderMap},
    request::Parts,
};
use http_body::Body;
use reply::{problem, response, unread};
use selling::Selling;
use shared::Shared;
use socket::{Leaving, Wanted};
use std::{error::Error, sync::Arc};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The path to which clients post proofs that buy no request.
pub const PAY_PATH: &str = "/.well-known/cheque/pay";

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
                budget: Budget::new(settings.limits.memory),
                pages: Arc::new(Semaphore::new(page::MAX_WAITING)),
                seller,
                upstream,
                settings,
                sales: TaskTracker::new(),
                draining: CancellationToken::new(),
            }),
        }
    }

    /// Returns the seller.
    pub fn seller(&self) -> &Seller {
        &self.shared.seller
    }

    /// Ends event streams that are paid while they run, between two events, and WebSockets. Other answers go on to their end.
    /// Call it when the host begins to stop.
    pub fn drain(&self) {
        self.shared.draining.cancel();
    }

    /// Waits until all sales are settled. Call it after the last request.
    pub async fn settled(&self) {
        let sales = &self.shared.sales;
        sales.close();
        sales.wait().await;
    }

    /// Answers a request. Every failure is an answer, too. A caller that pays is [trusted](Caller::trust).
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

    async fn sell<B>(&self, mut request: Request<B>, origin: Origin) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Shared {
            seller,
            settings,
            budget,
            ..
        } = &*self.shared;
        let is_socket =
            websocket::is_wanted(request.method(), request.version(), request.headers());
        if is_socket && let Some(refusal) = websocket::refuse(request.headers(), &settings.origins)
        {
            return refusal;
        }
        let socket = is_socket.then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        let Some(authority) = authority(&head) else {
            let detail = "the request names no host, or several; send one Host header";
            return problem(StatusCode::BAD_REQUEST, "host", detail);
        };
        let upload = settings.limits.upload;
        let body = match collect(body, settings.max_body, budget, upload).await {
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
        if let Some(offer) = seller.top_up_offer(&asked)
            && let Some(reply) = seller.top_up_by(&offer, &head.headers, now).await
        {
            return response(reply);
        }
        let offer = match seller.quote(&asked) {
            Ok(offer) => offer,
            Err(refusal) => {
                return problem(refusal.status(), "not_sold", &refusal.to_string());
            }
        };
        if let Some(client) = socket {
            let Some(offer) = offer.of_socket() else {
                let detail = "this route sells no WebSockets";
                return problem(StatusCode::BAD_REQUEST, "no_socket", detail);
            };
            let leaving = Leaving::new(&self.shared, &mut head.extensions);
            let wanted = Wanted {
                head,
                origin,
                client,
                leaving,
            };
            return websocket::sell(&self.shared, &offer, wanted).await;
        }
        let client = network_prefix(origin.address);
        let entry = seller.admit(&offer, &head.headers, &client, &settings.room, now);
        let entry = entry.await;
        if matches!(entry, Entry::Sale(_) | Entry::Again { .. })
            && let Some(caller) = head.extensions.get::<Caller>()
        {
            caller.trust();
        }
        match entry {
            Entry::Free => sale::give(&self.shared, (head, body), &origin).await,
            Entry::Sale(sale) => {
                let shared = Arc::clone(&self.shared);
                Selling::new(shared, *sale)
                    .start((head, body), origin)
                    .await
            }
            Entry::Again {
                answer,
                receipt,
                protocol,
            } => stored::again(&self.shared, &answer, &receipt, &protocol),
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
