//! The reverse proxy: takes requests from clients, sells them, and hands them to the upstream.
//!
//! A sale has a task of its own. The upstream's outcome decides what is charged; the client's connection does not.

mod body;
mod budget;
mod claims;
mod cors;
mod discovery;
mod exact;
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

pub use crate::discovery::PAY_PATH;
pub use body::ProxyBody;
use prefix::bounded_network;
pub use prefix::network_prefix;
pub use shared::{ProxyLimits, ProxySettings};

use crate::{
    capacity::{Capacity, Refusal},
    discovery::Document,
    exact::Facilitator,
    forward::{Origin, Upstream},
    seller::{Seller, request, sale::Entry},
    wire::PAYMENT_RESPONSE,
};
use body::collect;
use budget::Budget;
use bytes::Bytes;
use cheque::service::{http::Caller, metrics as names};
use claims::Exact;
use exact::ExactSale;
use http::{
    Method, Request, Response, StatusCode, Uri,
    header::{HOST, HeaderMap},
    request::Parts,
};
use http_body::Body;
use metrics::counter;
use reply::{no_capacity, problem, response, unread};
use selling::Selling;
use shared::{DOCUMENTS, HEAD_BYTES, Shared};
use socket::{Leaving, Wanted};
use std::{
    error::Error,
    sync::{Arc, OnceLock},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

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
                budget: Budget::new(settings.limits.memory, settings.max_body),
                pages: Arc::new(Semaphore::new(page::MAX_WAITING)),
                seller,
                upstream,
                settings,
                documents: Semaphore::new(DOCUMENTS),
                exact: OnceLock::new(),
                sales: TaskTracker::new(),
                draining: CancellationToken::new(),
                cutting: CancellationToken::new(),
            }),
        }
    }

    /// Sells by the scheme `exact`, too, in the tokens for which the offers say so. The first facilitator counts.
    #[must_use]
    pub fn with_facilitator(self, facilitator: Facilitator) -> Self {
        let is_first = self.shared.exact.set(Exact::new(facilitator)).is_ok();
        if is_first {
            self.shared.seller.sell_exact();
        }
        self
    }

    /// Returns the capacity.
    pub fn capacity(&self) -> &Capacity {
        &self.shared.settings.capacity
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

    /// Ends all streams where they are, and charges what was delivered. Call it when the host cannot wait for their ends.
    pub fn cut(&self) {
        self.shared.cutting.cancel();
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
        let status = answer.status().as_str().to_owned();
        counter!(names::GATEWAY_ANSWERS, "status" => status).increment(1);
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
        let share = budget.share(bounded_network(origin.address));
        let body = match collect(body, settings.max_body, share, upload).await {
            Ok(body) => body,
            Err(reason) => return unread(reason),
        };
        let now = (settings.now)();
        if head.uri.path() == PAY_PATH {
            return self.top_up(&head.method, &body, now).await;
        }
        match Document::of(&head.method, &head.uri, &seller.offers()) {
            Some(Document::Cheque) => {
                return discovery::cheque_json(seller, &origin, &authority);
            }
            Some(Document::OpenApi) => {
                return discovery::openapi(&self.shared, head, &origin).await;
            }
            None => {}
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
        let capacity = &settings.capacity;
        let work = *offer.work();
        if let Err(refusal) = is_servable(capacity, &offer) {
            return no_capacity(&refusal);
        }
        if let Some(client) = socket {
            let upstream = &self.shared.upstream;
            let can_open = upstream.opens_sockets() && seller.opens_sockets(&asked);
            let Some(offer) = offer.of_socket().filter(|_| can_open) else {
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
        match seller.exact(&offer, &head.headers, now) {
            None => {}
            Some(Err(reply)) => return response(reply),
            Some(Ok(payment)) => {
                let shared = Arc::clone(&self.shared);
                let sale = ExactSale {
                    shared,
                    offer,
                    payment,
                };
                let caller = head.extensions.get::<Caller>().cloned();
                let answer = sale.start((head, body), origin).await;
                if let Some(caller) = caller
                    && answer.headers().contains_key(PAYMENT_RESPONSE)
                {
                    caller.trust();
                }
                return answer;
            }
        }
        let held = HEAD_BYTES.saturating_add(body.len() as u64);
        let room = self.shared.room(work, held);
        let client = network_prefix(origin.address);
        let entry = seller.admit(&offer, &head.headers, &client, &room, now);
        let entry = entry.await;
        // An answer that was bought before is no reason to trust: it can be asked for without end.
        if matches!(entry, Entry::Sale(_))
            && let Some(caller) = head.extensions.get::<Caller>()
        {
            caller.trust();
        }
        match entry {
            Entry::Free => match capacity.enter_free(origin.address, &work) {
                Ok(ticket) => sale::give(&self.shared, (head, body), &origin, ticket).await,
                Err(refusal) => {
                    seller.not_given(&offer, &client);
                    no_capacity(&refusal)
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
            } => {
                let share = self.shared.budget.share(bounded_network(origin.address));
                stored::again(&self.shared, &answer, (&receipt, &protocol), share)
            }
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
