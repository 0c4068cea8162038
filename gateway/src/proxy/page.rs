//! WebSockets of pages, which cannot set headers: the first payment is the first message. The upstream is asked after it.

use super::{
    body::{ProxyBody, full},
    passing::close,
    relay::Relay,
    reply::busy,
    selling::Selling,
    shared::Shared,
    socket::{Leaving, Socket, Wanted, demand, memory, socket, switched},
    till::Till,
};
use crate::{
    forward::{ForwardError, Paid},
    offers::Usage,
    seller::{
        Seller,
        request::Offer,
        sale::{End, Entry, Sale},
    },
    wire::{PAYMENT_AUTHORIZATION, SocketFrame},
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL},
};
use std::sync::Arc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::derive_accept_key,
    protocol::{CloseFrame, Role, frame::coding::CloseCode},
};

/// The pages that may wait at the same time, with nothing paid.
pub(super) const MAX_WAITING: usize = 256;

/// The failed payments after which a page is sent away.
const MAX_FAILURES: usize = 3;

/// The reason why a page gets no WebSocket: a status, and its meaning.
type Refused = (StatusCode, String);

/// True for a page of a listed origin, without a payment, that wants a metered WebSocket.
pub(super) fn can_pay_within(
    seller: &Seller,
    offer: &Offer,
    headers: &HeaderMap,
    now: u64,
) -> bool {
    // Handshakes of other origins were refused before.
    headers.contains_key(ORIGIN)
        && seller.is_unpaid(headers, now)
        && offer.tariff().is_some_and(|tariff| tariff.is_live())
}

/// Opens the page's end, and waits for the payment in a task.
pub(super) fn start(shared: Arc<Shared>, offer: Offer, mut wanted: Wanted) -> Response<ProxyBody> {
    let Ok(place) = shared.pages.clone().try_acquire_owned() else {
        return busy();
    };
    let headers = &mut wanted.head.headers;
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let accept = derive_accept_key(key.unwrap_or_default());
    let mut answer = Response::new(full(Bytes::new()));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    // The upstream's choice is not known yet, so it gets the first protocol to choose from.
    if let Some(protocol) = first_protocol(headers) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        answer
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let sales = shared.sales.clone();
    sales.spawn(async move {
        let Wanted {
            head,
            origin,
            client,
            leaving,
        } = wanted;
        let limits = shared.settings.limits;
        let demand = demand(&offer, &limits);
        let Some(mut client) = socket(client, Role::Server, &limits).await else {
            return;
        };
        let connection = (&mut client, &leaving);
        let waiting = first_payment(&shared, &offer, &head.headers, connection);
        let paid = tokio::select! {
            paid = waiting => paid,
            () = sleep(limits.unpaid) => Err(refused("no payment came in time")),
            () = leaving.wanted() => Err(refused("no payment came while there was room")),
        };
        drop(place);
        let sale = match paid {
            Ok(sale) => sale,
            Err(refused) => return send_away(&shared, client, refused).await,
        };
        let Some(share) = shared.budget.take(memory(&limits)) else {
            let selling = Selling::new(shared.clone(), sale, demand);
            let _ = selling
                .settle(End::NotForwarded, &Usage::default(), None)
                .await;
            let refused = (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many connections".to_owned(),
            );
            return send_away(&shared, client, refused).await;
        };
        let mut selling = Selling::new(shared.clone(), sale, demand);
        if let Err(answer) = selling.enter().await {
            let reason = "there is no capacity for the connection".to_owned();
            return send_away(&shared, client, (answer.status(), reason)).await;
        }
        let paid = Paid::of(&selling.sale);
        let asking = shared.upstream.upgrade(head, &origin, Some(&paid));
        match selling.holding(asking).await {
            Ok((_, Some(upstream))) => {
                let opening = socket(upstream, Role::Client, &limits);
                let upstream = selling.holding(opening).await;
                let opened = upstream.map(|upstream| (client, upstream));
                Relay::run(Till::of_socket(selling), opened, leaving).await;
            }
            Ok((answer, None)) => {
                let status = answer.response.status();
                let end = End::Answered(status);
                let _ = selling.settle(end, &Usage::default(), None).await;
                let reason = "the upstream opens no WebSocket".to_owned();
                send_away(&shared, client, (status, reason)).await;
            }
            Err(error) => {
                let end = match error {
                    ForwardError::TimedOut => End::TimedOut,
                    _ => End::Failed,
                };
                let answer = selling.failed(end, &error).await;
                send_away(&shared, client, (answer.status(), error.to_string())).await;
            }
        }
        drop(share);
    });
    switched(answer)
}

/// Reads the first payment. Anything else before it ends the connection.
async fn first_payment(
    shared: &Shared,
    offer: &Offer,
    headers: &HeaderMap,
    (client, leaving): (&mut Socket, &Leaving),
) -> Result<Sale, Refused> {
    let settings = &shared.settings;
    for _ in 0..MAX_FAILURES {
        let authorization = loop {
            match client.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(text))) => match SocketFrame::decode(&text) {
                    Some(SocketFrame::Authorization { authorization }) => break authorization,
                    _ => return Err(refused("the first message is no payment")),
                },
                _ => return Err(refused("the first message is no payment")),
            }
        };
        let mut headers = headers.clone();
        let value = HeaderValue::from_str(&authorization);
        let value = value.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        // The page's own `Authorization` is a part of the request that the payment is for.
        headers.insert(PAYMENT_AUTHORIZATION, value);
        let now = (settings.now)();
        let seller = &shared.seller;
        // A request with a payment is not free, so its network does not count.
        let (work, held) = demand(offer, &settings.limits);
        let room = shared.room(work, held);
        let entry = seller.admit(offer, &headers, &[], &room, now);
        let reply = match entry.await {
            Entry::Sale(sale) => {
                leaving.trust();
                let data = seller.first_receipt(&sale, now);
                tell(shared, client, &SocketFrame::PaymentReceipt { data }).await;
                return Ok(*sale);
            }
            Entry::Reply(reply) => reply,
            Entry::Free | Entry::Again { .. } => {
                return Err(refused("the payment has bought another answer"));
            }
        };
        let error = SocketFrame::PaymentError {
            status: reply.status.as_u16(),
            message: String::from_utf8_lossy(&reply.body).into_owned(),
        };
        tell(shared, client, &error).await;
    }
    Err(refused("too many payments have failed"))
}

fn refused(reason: &str) -> Refused {
    (StatusCode::PAYMENT_REQUIRED, reason.to_owned())
}

fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').next()?.trim();
    HeaderValue::from_str(first).ok()
}

async fn tell(shared: &Shared, client: &mut Socket, frame: &SocketFrame) {
    let message = Message::text(frame.encode());
    let _ = timeout(shared.settings.limits.unread, client.send(message)).await;
}

async fn send_away(shared: &Shared, mut client: Socket, (status, message): Refused) {
    let status = status.as_u16();
    let error = SocketFrame::PaymentError { status, message };
    tell(shared, &mut client, &error).await;
    let frame = CloseFrame {
        code: CloseCode::Policy,
        reason: "not sold".into(),
    };
    close(&mut client, Some(frame), &shared.settings.limits).await;
}
