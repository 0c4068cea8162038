//! One sale, from its reservation to its settlement.

use super::{
    body::{ProxyBody, full},
    budget::Share,
    metered::{self, is_event_stream},
    reply::problem,
    selling::{Selling, failure},
    shared::Shared,
    stored,
    till::{Cover, Till},
};
use crate::{
    capacity::{Metered, Ticket},
    forward::{Answer, AnswerBody, ForwardError, Origin, Paid},
    meter::{Metering, Part},
    offers::Meter,
    seller::sale::End,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::ACCEPT_ENCODING, request::Parts, response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::sync::Arc;
use tokio::{sync::oneshot, time::Instant};
use tracing::warn;

/// A request with its whole body.
pub(super) type Whole = (Parts, Bytes);

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
        if self.sale.meter() != Meter::Reported {
            // Reports and events are read from the answer, so the answer comes as it is.
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
