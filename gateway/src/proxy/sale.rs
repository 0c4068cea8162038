//! One sale, from its reservation to its settlement.

use super::{
    body::{ProxyBody, full},
    budget::Share,
    metered::{self, is_event_stream},
    reply::{no_capacity, problem},
    shared::Shared,
    stored,
    till::{Cover, Till},
};
use crate::{
    capacity::{Metered, Ticket},
    forward::{Answer, AnswerBody, ForwardError, Origin, Paid},
    ledger::Receipt,
    meter::{Metering, Part},
    offers::{Meter, Usage, Work},
    seller::sale::{End, Sale},
};
use bytes::Bytes;
use http::{
    HeaderMap, Request, Response, StatusCode, header::ACCEPT_ENCODING, request::Parts, response,
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

/// A request with its whole body.
pub(super) type Whole = (Parts, Bytes);

/// A reserved sale, and the task that owns it.
pub(super) struct Selling {
    pub(super) shared: Arc<Shared>,
    pub(super) sale: Sale,
    /// The most that the request uses of the capacity, and the bytes of memory that it holds while it waits.
    demand: (Work, u64),
    /// Present while the request is forwarded.
    pub(super) ticket: Option<Ticket>,
    /// The moment from which the time of the answer counts.
    pub(super) began: Instant,
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
        let sales = self.shared.sales.clone();
        sales.spawn(self.run(request, origin, tell));
        told.await.unwrap_or_else(|_| {
            let detail = "the gateway failed; send the same payment again";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
        })
    }

    async fn run(
        mut self,
        mut request: Whole,
        origin: Origin,
        tell: oneshot::Sender<Response<ProxyBody>>,
    ) {
        let shared = Arc::clone(&self.shared);
        if let Err(refusal) = self.enter().await {
            let _ = tell.send(refusal);
            return;
        }
        let paid = Paid::of(&self.sale);
        if self.sale.meter() == Meter::OpenaiUsage {
            // The report is read from the answer, so the answer comes as it is.
            request.0.headers.remove(ACCEPT_ENCODING);
        }
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

    /// Waits for capacity, and begins. Without capacity the reserved price is released; the error is the answer.
    pub(super) async fn enter(&mut self) -> Result<(), Response<ProxyBody>> {
        let capacity = self.shared.settings.capacity.clone();
        let account = *self.sale.account();
        let price = self.sale.reserved();
        let (work, bytes) = self.demand;
        let entering = capacity.enter(&account, &work, bytes, price);
        match self.holding(entering).await {
            Ok(ticket) => {
                self.ticket = Some(ticket);
                // The time in the queue is not charged.
                self.began = Instant::now();
                Ok(())
            }
            Err(refusal) => {
                let used = Usage::default();
                let settled = self.settle(End::NotForwarded, &used, None).await;
                Err(self.with_receipt(no_capacity(&refusal), settled))
            }
        }
    }

    /// Gives back the ticket of a request that has ended.
    pub(super) fn leave(&mut self, bytes: u64) {
        if let Some(ticket) = self.ticket.take() {
            ticket.give_back(bytes);
        }
    }

    pub(super) async fn answered(self, answer: Answer, tell: oneshot::Sender<Response<ProxyBody>>) {
        let (head, body) = answer.response.into_parts();
        let reported = answer.reported;
        if reported.is_unreadable {
            warn!(
                payment = %self.sale.payment(),
                "the upstream's report of a price cannot be read; the reserved price counts"
            );
        }
        let is_event_stream = is_event_stream(&head.headers);
        let metering = Metering::new(self.sale.meter(), is_event_stream, reported, self.began);
        // An answer that may be released needs no money while it runs.
        let is_live = self.sale.is_live() && head.status.as_u16() < 400;
        let max = self.shared.settings.max_stored as u64;
        let is_small = |length: &u64| *length <= max && !(is_live && is_event_stream);
        let length = body.size_hint().exact().filter(is_small);
        let length = length.and_then(|length| usize::try_from(length).ok());
        // The answer is there twice: for the client, and for the ledger. Without room for both, it is streamed.
        let share = length.and_then(|bytes| self.shared.budget.take(2 * bytes));
        let mut till = Till::new(self, metering, is_live);
        let whole = Part {
            bytes: length.unwrap_or_default(),
            units: 1,
        };
        if let Some(share) = share
            && till.cover(whole).await == Cover::Paid
        {
            let _ = tell.send(till.deliver_whole(head, body, share).await);
        } else if till.selling.sale.is_variable() {
            metered::deliver(till, head, body, tell).await;
        } else {
            till.settle_then_deliver(head, body, tell).await;
        }
    }

    /// Ends a sale without an answer of the upstream.
    pub(super) async fn failed(&mut self, end: End, error: &ForwardError) -> Response<ProxyBody> {
        self.leave(0);
        let settled = self.settle(end, &Usage::default(), None).await;
        self.with_receipt(failure(error), settled)
    }

    /// Does `work`, and renews the lease meanwhile.
    pub(super) async fn holding<T>(&mut self, work: impl Future<Output = T>) -> T {
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
    pub(super) async fn settle(
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

    pub(super) fn write_receipt(
        &self,
        headers: &mut HeaderMap,
        receipt: &Receipt,
        status: StatusCode,
    ) {
        let now = (self.shared.settings.now)();
        let protocol = self.sale.protocol();
        let seller = &self.shared.seller;
        seller.receipt(headers, receipt, protocol, status, now);
    }
}

impl Till {
    /// Reads a small answer, settles, and answers. The ledger keeps the answer.
    async fn deliver_whole(
        mut self,
        head: response::Parts,
        body: AnswerBody,
        share: Share,
    ) -> Response<ProxyBody> {
        let bytes = match self.selling.holding(body.collect()).await {
            Ok(collected) => {
                let bytes = collected.to_bytes();
                self.selling.leave(bytes.len() as u64);
                share.hold(bytes)
            }
            Err(error) => {
                let end = match error {
                    ForwardError::TimedOut => End::TimedOut,
                    _ => End::Broken,
                };
                return self.selling.failed(end, &error).await;
            }
        };
        self.metering.add(&bytes, self.metering.whole(&bytes));
        let usage = self.metering.last(true, Instant::now());
        let kept = stored::encode(head.status, &head.headers, &bytes);
        let end = End::Answered(head.status);
        let settled = self.selling.settle(end, &usage, Some(kept)).await;
        let answer = Response::from_parts(head, full(bytes));
        self.selling.with_receipt(answer, settled)
    }

    /// Settles an answer with a fixed price, and streams the answer.
    async fn settle_then_deliver(
        mut self,
        head: response::Parts,
        body: AnswerBody,
        tell: oneshot::Sender<Response<ProxyBody>>,
    ) {
        let body = match self.selling.ticket.take() {
            Some(ticket) => Metered::new(body, ticket).boxed_unsync(),
            None => body.boxed_unsync(),
        };
        let answer = Response::from_parts(head, body);
        let _ = tell.send(self.settle_then_answer(answer).await);
    }

    /// Settles an answer with a fixed price.
    pub(super) async fn settle_then_answer(
        self,
        answer: Response<ProxyBody>,
    ) -> Response<ProxyBody> {
        let usage = self.metering.last(true, Instant::now());
        let end = End::Answered(answer.status());
        let settled = self.selling.settle(end, &usage, None).await;
        self.selling.with_receipt(answer, settled)
    }
}

pub(super) fn whole((head, body): Whole) -> Request<Full<Bytes>> {
    Request::from_parts(head, Full::new(body))
}

/// The answer to a request that the upstream did not answer.
pub(super) fn failure(error: &ForwardError) -> Response<ProxyBody> {
    let (status, code) = match error {
        ForwardError::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
        ForwardError::Target => (StatusCode::BAD_REQUEST, "target"),
        _ => (StatusCode::BAD_GATEWAY, "upstream_failed"),
    };
    problem(status, code, &error.to_string())
}
