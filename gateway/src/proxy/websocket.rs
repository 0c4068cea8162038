//! WebSockets: the handshake. The upstream is asked after the payment.

use super::{
    body::{ProxyBody, full},
    budget::Share,
    page,
    passing::pass_on,
    prefix::network_prefix,
    relay::Relay,
    reply::{busy, no_capacity, problem, response},
    selling::{Selling, failure},
    shared::{ProxyLimits, Shared},
    socket::{Socket, Wanted, demand, memory, socket, switched},
    stored,
    till::Till,
};
use crate::{
    capacity::Ticket,
    forward::{Answer, ForwardError, Paid},
    seller::{
        request::Offer,
        sale::{End, Entry},
    },
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{CONNECTION, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Sells a WebSocket, or answers that it is not sold.
pub(super) async fn sell(
    shared: &Arc<Shared>,
    offer: &Offer,
    wanted: Wanted,
) -> Response<ProxyBody> {
    let settings = &shared.settings;
    // Before the payment: a client that is refused has not paid.
    let Some(share) = shared.budget.take(memory(&settings.limits)) else {
        return busy();
    };
    let headers = &wanted.head.headers;
    let (client, now) = (network_prefix(wanted.origin.address), (settings.now)());
    let seller = &shared.seller;
    let (work, held) = demand(offer, &settings.limits);
    let room = shared.room(work, held);
    let entry = seller.admit(offer, headers, &client, &room, now);
    let entry = entry.await;
    if matches!(entry, Entry::Sale(_)) {
        wanted.leaving.trust();
    }
    match entry {
        Entry::Free => match settings.capacity.enter_free(wanted.origin.address, &work) {
            Ok(ticket) => give(shared.clone(), wanted, (share, ticket)).await,
            Err(refusal) => {
                seller.not_given(offer, &client);
                no_capacity(&refusal)
            }
        },
        Entry::Sale(sale) => {
            let selling = Selling::new(shared.clone(), *sale, (work, held));
            selling.start_socket(wanted, share).await
        }
        Entry::Again {
            answer,
            receipt,
            protocol,
        } => stored::again(shared, &answer, (&receipt, &protocol), share),
        Entry::Reply(_) if page::can_pay_within(seller, offer, headers, now) => {
            drop(share);
            page::start(shared.clone(), offer.clone(), wanted)
        }
        Entry::Reply(reply) => response(reply),
    }
}

/// True for a request that wants a WebSocket over HTTP/1.1.
pub(super) fn is_wanted(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    };
    method == Method::GET
        && version == Version::HTTP_11
        && has(CONNECTION, "upgrade")
        && has(UPGRADE, "websocket")
}

/// Refuses a handshake that is not one, or of a page that may not make one. A browser sends pages' handshakes to any server, with
/// all cookies.
pub(super) fn refuse(headers: &HeaderMap, origins: &[String]) -> Option<Response<ProxyBody>> {
    let mut pages = headers.get_all(ORIGIN).iter();
    let is_listed = |page: &HeaderValue| {
        let mut listed = origins.iter();
        listed.any(|origin| page.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    };
    if !pages.all(is_listed) {
        let detail = "pages of this origin may not open WebSockets here";
        return Some(problem(StatusCode::FORBIDDEN, "origin", detail));
    }
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") || !headers.contains_key(SEC_WEBSOCKET_KEY) {
        let detail = "the handshake has no key, or is not of version 13";
        return Some(problem(StatusCode::BAD_REQUEST, "handshake", detail));
    }
    None
}

/// Opens a WebSocket that costs nothing.
async fn give(shared: Arc<Shared>, wanted: Wanted, places: (Share, Ticket)) -> Response<ProxyBody> {
    let Wanted {
        head,
        origin,
        client,
        leaving,
    } = wanted;
    match shared.upstream.upgrade(head, &origin, None).await {
        Ok((answer, Some(upstream))) => {
            let limits = shared.settings.limits;
            shared.sales.spawn(async move {
                if let Some((client, upstream)) = open(client, upstream, &limits).await {
                    pass_on(client, upstream, &leaving, &limits).await;
                }
                drop(places);
            });
            switching(answer)
        }
        Ok((answer, None)) => answer.response.map(BodyExt::boxed_unsync),
        Err(error) => failure(&error),
    }
}

impl Selling {
    /// Opens, relays and settles a WebSocket in a task of its own. Returns the answer to the handshake.
    async fn start_socket(self, wanted: Wanted, share: Share) -> Response<ProxyBody> {
        let (tell, told) = oneshot::channel();
        let sales = self.shared.sales.clone();
        sales.spawn(self.run_socket(wanted, share, tell));
        told.await.unwrap_or_else(|_| {
            let detail = "the gateway failed; send the same payment again";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
        })
    }

    async fn run_socket(
        mut self,
        wanted: Wanted,
        share: Share,
        tell: oneshot::Sender<Response<ProxyBody>>,
    ) {
        let shared = Arc::clone(&self.shared);
        let Wanted {
            head,
            origin,
            client,
            leaving,
        } = wanted;
        if let Err(refusal) = self.enter().await {
            let _ = tell.send(refusal);
            return;
        }
        let paid = Paid::of(&self.sale);
        let asking = shared.upstream.upgrade(head, &origin, Some(&paid));
        let (answer, upstream) = match self.holding(asking).await {
            Ok((answer, Some(upstream))) => (answer, upstream),
            Ok((answer, None)) => return self.answered(answer, tell).await,
            Err(error) => {
                let end = match error {
                    ForwardError::TimedOut => End::TimedOut,
                    _ => End::Failed,
                };
                let _ = tell.send(self.failed(end, &error).await);
                return;
            }
        };
        let limits = shared.settings.limits;
        let mut till = Till::of_socket(self);
        if till.is_live {
            let _ = tell.send(switching(answer));
            let opened = open(client, upstream, &limits).await;
            Relay::run(till, opened, leaving).await;
            return drop(share);
        }
        // One price for the whole WebSocket, however long.
        let ticket = till.selling.ticket.take();
        let answer = till.settle_then_answer(switching(answer)).await;
        let is_open = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let _ = tell.send(answer);
        if is_open && let Some((client, upstream)) = open(client, upstream, &limits).await {
            pass_on(client, upstream, &leaving, &limits).await;
        }
        drop((share, ticket));
    }
}

/// Waits for both connections. `None` if the client or the upstream has gone.
async fn open(
    client: OnUpgrade,
    upstream: OnUpgrade,
    limits: &ProxyLimits,
) -> Option<(Socket, Socket)> {
    let both = async {
        tokio::join!(
            socket(client, Role::Server, limits),
            socket(upstream, Role::Client, limits)
        )
    };
    let (client, upstream) = both.await;
    client.zip(upstream)
}

/// The answer 101, with the upstream's headers.
fn switching(answer: Answer) -> Response<ProxyBody> {
    let (head, _) = answer.response.into_parts();
    switched(Response::from_parts(head, full(Bytes::new())))
}
