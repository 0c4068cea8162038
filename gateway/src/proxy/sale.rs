//! One sale, from its reservation to its settlement.

use super::{
    body::{Pipe, ProxyBody, full, pipe},
    reply::{busy, problem},
    shared::Shared,
    stored,
};
use crate::{
    capacity::{Metered, Refusal, Ticket},
    forward::{Answer, AnswerBody, ForwardError, Origin, Paid},
    ledger::Receipt,
    offers::{Usage, Work},
    seller::sale::{End, Sale},
    wire::Reported,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, TRAILER},
    request::Parts,
    response,
};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tracing::{error, warn};

/// A lease is renewed this long before its end.
const RENEW_BEFORE: u64 = 10;

/// The pauses before the settlement is tried again, after a failure of the store.
const SETTLE_AGAIN: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// The time that a client may leave a streamed answer unread, before the rest is read without it.
const UNREAD: Duration = Duration::from_secs(30);

/// The fields of a receipt after a streamed answer. Over HTTP/1.1 only fields named before can follow.
const RECEIPT_TRAILERS: &str = "cheque-balance, cheque-charged, payment-response, payment-receipt";

/// A request with its whole body.
type Whole = (Parts, Bytes);

/// A reserved sale, and the task that owns it.
pub(super) struct Selling {
    shared: Arc<Shared>,
    sale: Sale,
    /// The most that the request uses of the capacity, and the bytes of memory that it holds while it waits.
    demand: (Work, u64),
    /// Present while the request is forwarded.
    ticket: Option<Ticket>,
    began: Instant,
}

/// Hands a free request to the upstream.
pub(super) async fn give(
    shared: &Shared,
    request: Whole,
    origin: &Origin,
    ticket: Ticket,
) -> Response<ProxyBody> {
    match shared.upstream.send(whole(request), origin, None).await {
        Ok(answer) => answer
            .response
            .map(|body| Metered::new(body, ticket).boxed_unsync()),
        Err(error) => {
            ticket.give_back(0);
            failure(&error)
        }
    }
}

impl Selling {
    pub(super) fn new(shared: Arc<Shared>, sale: Sale, demand: (Work, u64)) -> Self {
        Self {
            shared,
            sale,
            demand,
            ticket: None,
            began: Instant::now(),
        }
    }

    /// Serves and settles the sale in a task of its own. Returns the answer as soon as its header is final.
    pub(super) async fn start(self, request: Whole, origin: Origin) -> Response<ProxyBody> {
        let (tell, told) = oneshot::channel();
        tokio::spawn(self.run(request, origin, tell));
        told.await.unwrap_or_else(|_| {
            let detail = "the gateway failed; send the same payment again";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
        })
    }

    async fn run(
        mut self,
        request: Whole,
        origin: Origin,
        tell: oneshot::Sender<Response<ProxyBody>>,
    ) {
        let shared = Arc::clone(&self.shared);
        match self.enter().await {
            Ok(ticket) => self.ticket = Some(ticket),
            Err(refusal) => {
                let used = Usage::default();
                let settled = self.settle(End::NotForwarded, &used, None).await;
                let _ = tell.send(self.with_receipt(busy(&refusal), settled));
                return;
            }
        }
        // The time in the queue is not charged.
        self.began = Instant::now();
        let paid = Paid::of(&self.sale);
        let sending = shared.upstream.send(whole(request), &origin, Some(&paid));
        match self.holding(sending).await {
            Ok(answer) => self.answered(answer, tell).await,
            Err(error) => {
                let end = match error {
                    ForwardError::TimedOut => End::TimedOut,
                    _ => End::Failed,
                };
                let _ = tell.send(self.failed(end, &error).await);
            }
        }
    }

    /// Waits for capacity. The price is reserved. A refusal releases it.
    async fn enter(&mut self) -> Result<Ticket, Refusal> {
        let capacity = self.shared.settings.capacity.clone();
        let account = *self.sale.account();
        let price = self.sale.reserved();
        let (work, bytes) = self.demand;
        let entering = capacity.enter(&account, &work, bytes, price);
        self.holding(entering).await
    }

    /// Gives back the ticket of a request that has ended.
    fn leave(&mut self, bytes: u64) {
        if let Some(ticket) = self.ticket.take() {
            ticket.give_back(bytes);
        }
    }

    async fn answered(self, answer: Answer, tell: oneshot::Sender<Response<ProxyBody>>) {
        let (head, body) = answer.response.into_parts();
        let reported = answer.reported;
        if reported.is_unreadable {
            warn!(
                payment = %self.sale.payment(),
                "the upstream's report of a price cannot be read; the reserved price counts"
            );
        }
        let max = self.shared.settings.max_stored as u64;
        let is_small = body.size_hint().exact().is_some_and(|length| length <= max);
        if is_small {
            let _ = tell.send(self.deliver_whole(head, body, &reported).await);
        } else if self.sale.is_variable() {
            self.deliver_then_settle(head, body, &reported, tell).await;
        } else {
            self.settle_then_deliver(head, body, &reported, tell).await;
        }
    }

    /// Reads a small answer, settles, and answers. The ledger keeps the answer.
    async fn deliver_whole(
        mut self,
        head: response::Parts,
        body: AnswerBody,
        reported: &Reported,
    ) -> Response<ProxyBody> {
        let bytes = match self.holding(body.collect()).await {
            Ok(collected) => {
                let bytes = collected.to_bytes();
                self.leave(bytes.len() as u64);
                bytes
            }
            Err(error) => {
                let end = match error {
                    ForwardError::TimedOut => End::TimedOut,
                    _ => End::Broken,
                };
                return self.failed(end, &error).await;
            }
        };
        let usage = self.usage(bytes.len() as u64, reported);
        let kept = stored::encode(head.status, &head.headers, &bytes);
        let end = End::Answered(head.status);
        let settled = self.settle(end, &usage, Some(kept)).await;
        self.with_receipt(Response::from_parts(head, full(bytes)), settled)
    }

    /// Settles an answer with a fixed price, and streams the answer.
    async fn settle_then_deliver(
        mut self,
        head: response::Parts,
        body: AnswerBody,
        reported: &Reported,
        tell: oneshot::Sender<Response<ProxyBody>>,
    ) {
        let usage = self.usage(0, reported);
        let settled = self.settle(End::Answered(head.status), &usage, None).await;
        let body = match self.ticket.take() {
            Some(ticket) => Metered::new(body, ticket).boxed_unsync(),
            None => body.boxed_unsync(),
        };
        let answer = Response::from_parts(head, body);
        let _ = tell.send(self.with_receipt(answer, settled));
    }

    /// Streams an answer with a variable price, and settles at its end. The receipt is in the trailers.
    async fn deliver_then_settle(
        mut self,
        head: response::Parts,
        body: AnswerBody,
        reported: &Reported,
        tell: oneshot::Sender<Response<ProxyBody>>,
    ) {
        let status = head.status;
        let (mut pipe, piped): (Pipe, _) = pipe();
        let mut answer = Response::from_parts(head, piped.boxed_unsync());
        // The receipt is not known yet, and a shared cache must not give away a paid answer.
        let headers = answer.headers_mut();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
        headers.append(TRAILER, HeaderValue::from_static(RECEIPT_TRAILERS));
        let _ = tell.send(answer);
        let streamed = self.holding(pipe.carry(body, UNREAD)).await;
        self.leave(streamed.bytes);
        let usage = self.usage(streamed.bytes, reported);
        let end = if streamed.is_whole {
            End::Answered(status)
        } else {
            End::Broken
        };
        if let Ok(Some(receipt)) = self.settle(end, &usage, None).await {
            let mut trailers = HeaderMap::new();
            self.write_receipt(&mut trailers, &receipt, status);
            pipe.end(trailers).await;
        }
    }

    /// Ends a sale without an answer of the upstream.
    async fn failed(&mut self, end: End, error: &ForwardError) -> Response<ProxyBody> {
        self.leave(0);
        let settled = self.settle(end, &Usage::default(), None).await;
        self.with_receipt(failure(error), settled)
    }

    /// Does `work`, and renews the lease meanwhile.
    async fn holding<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let now = (self.shared.settings.now)();
            let until_end = self.sale.lease_until().saturating_sub(now);
            let pause = Duration::from_secs(until_end.saturating_sub(RENEW_BEFORE).max(1));
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(pause) => {
                    let now = (self.shared.settings.now)();
                    match self.shared.seller.renew(&self.sale, now).await {
                        Ok(Some(renewed)) => self.sale = renewed,
                        // The settlement finds the sale released.
                        Ok(None) => {}
                        Err(fault) => warn!(%fault, "a lease was not renewed"),
                    }
                }
            }
        }
    }

    /// Settles, and tries again while the store fails. The error says that nothing is known about the charge.
    async fn settle(
        &self,
        end: End,
        usage: &Usage,
        answer: Option<Vec<u8>>,
    ) -> Result<Option<Receipt>, ()> {
        let mut pauses = SETTLE_AGAIN.into_iter();
        loop {
            let now = (self.shared.settings.now)();
            let seller = &self.shared.seller;
            let settled = seller.settle(&self.sale, end, usage, answer.clone(), now);
            let fault = match settled.await {
                Ok(receipt) => {
                    if let Some(receipt) = &receipt {
                        let capacity = &self.shared.settings.capacity;
                        capacity.charged(&receipt.account, receipt.charged);
                    }
                    return Ok(receipt);
                }
                Err(fault) => fault,
            };
            let Some(pause) = pauses.next() else {
                error!(payment = %self.sale.payment(), %fault, "a sale was not settled");
                return Err(());
            };
            sleep(pause).await;
        }
    }

    /// Puts the receipt into an answer. Without a settlement there is no answer: the same payment buys it again.
    fn with_receipt(
        &self,
        mut answer: Response<ProxyBody>,
        settled: Result<Option<Receipt>, ()>,
    ) -> Response<ProxyBody> {
        match settled {
            Ok(Some(receipt)) => {
                let status = answer.status();
                self.write_receipt(answer.headers_mut(), &receipt, status);
                answer
            }
            // The lease had ended before: the sale costs nothing.
            Ok(None) => answer,
            Err(()) => {
                let detail = "the payment could not be settled; send it again in a minute";
                problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
        }
    }

    fn write_receipt(&self, headers: &mut HeaderMap, receipt: &Receipt, status: StatusCode) {
        let now = (self.shared.settings.now)();
        let protocol = self.sale.protocol();
        let seller = &self.shared.seller;
        seller.receipt(headers, receipt, protocol, status, now);
    }

    fn usage(&self, bytes: u64, reported: &Reported) -> Usage {
        let elapsed = self.began.elapsed().as_millis();
        Usage {
            bytes,
            milliseconds: u64::try_from(elapsed).unwrap_or(u64::MAX),
            units: reported.units,
            charge: reported.charge,
        }
    }
}

fn whole((head, body): Whole) -> Request<Full<Bytes>> {
    Request::from_parts(head, Full::new(body))
}

/// The answer to a request that the upstream did not answer.
fn failure(error: &ForwardError) -> Response<ProxyBody> {
    let (status, code) = match error {
        ForwardError::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
        ForwardError::Target => (StatusCode::BAD_REQUEST, "target"),
        _ => (StatusCode::BAD_GATEWAY, "upstream_failed"),
    };
    problem(status, code, &error.to_string())
}
