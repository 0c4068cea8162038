//! Answers with a variable price, streamed as they come and paid while they run.
//!
//! Nothing is collected: a part goes to the client before the next one is read. While the account does not cover the next part,
//! the upstream is not read.

use super::{
    body::{Pipe, ProxyBody, pipe},
    till::{Cover, Short, Till},
};
use crate::{
    forward::{AnswerBody, ForwardError},
    meter::{MAX_EVENT, Part},
    seller::sale::End,
    wire::{need_event, receipt_event, stream_receipt},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER},
    response,
};
use http_body::Frame;
use http_body_util::BodyExt;
use std::{mem, pin::pin, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};

/// A silent stream is paid for its time so often.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// The fields of a receipt after a streamed answer. Over HTTP/1.1 only fields named before can follow.
const RECEIPT_TRAILERS: &str = "cheque-balance, cheque-charged, payment-response, payment-receipt";

/// Tells nginx not to collect an answer.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An answer on its way.
struct Stream {
    till: Till,
    body: AnswerBody,
    pipe: Pipe,
    trailers: HeaderMap,
    /// The begin of an event that is not paid yet.
    held: Bytes,
}

/// The next thing to do for an answer.
enum Next {
    Frame(Option<Result<Frame<Bytes>, ForwardError>>),
    Tick,
    Drain,
}

/// The end of an answer.
enum Stop {
    Whole,
    Broken(ForwardError),
    Unpaid,
    /// The client has gone, and what was reserved is used up. Nothing more is charged to a client that does not read.
    Gone,
    Lapsed,
    /// The gateway stops, between two events.
    Drained,
    /// The gateway cannot wait for the end.
    Cut,
}

/// True for events that the gateway can add its own to.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let is_plain = !headers.contains_key(CONTENT_ENCODING);
    kind.trim().eq_ignore_ascii_case("text/event-stream") && is_plain
}

/// Streams an answer, and settles at its end. The receipt is in the trailers, and is the last event of an event stream.
pub(super) async fn deliver(
    till: Till,
    head: response::Parts,
    body: AnswerBody,
    tell: oneshot::Sender<Response<ProxyBody>>,
) {
    let status = head.status;
    let (pipe, piped) = pipe();
    let mut answer = Response::from_parts(head, piped.boxed_unsync());
    // The receipt is not known yet, and a shared cache must not give away a paid answer.
    let headers = answer.headers_mut();
    headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    headers.append(TRAILER, HeaderValue::from_static(RECEIPT_TRAILERS));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if till.metering.is_event_stream() {
        headers.remove(CONTENT_LENGTH);
    }
    let _ = tell.send(answer);
    let stream = Stream {
        till,
        body,
        pipe,
        trailers: HeaderMap::new(),
        held: Bytes::new(),
    };
    stream.run(status).await;
}

impl Stream {
    async fn run(mut self, status: StatusCode) {
        let cutting = self.till.selling.shared.cutting.clone();
        let stop = loop {
            let step = tokio::select! {
                biased;
                () = cutting.cancelled() => Err(Stop::Cut),
                step = self.step() => step,
            };
            if let Err(stop) = step {
                break stop;
            }
        };
        self.finish(stop, status).await;
    }

    /// Hands on one frame of the upstream, or pays for silence.
    async fn step(&mut self) -> Result<(), Stop> {
        let is_live = self.till.is_live;
        let can_end = is_live && self.till.metering.is_between_events();
        let draining = self.till.selling.shared.draining.clone();
        let body = &mut self.body;
        let reading = async {
            tokio::select! {
                biased;
                () = draining.cancelled(), if can_end => Next::Drain,
                frame = body.frame() => Next::Frame(frame),
                () = sleep(TICK), if is_live => Next::Tick,
            }
        };
        match self.till.selling.holding(reading).await {
            Next::Drain => Err(Stop::Drained),
            Next::Tick => self.pay_for_time().await,
            Next::Frame(None) => self.pass_last().await,
            Next::Frame(Some(Err(error))) => Err(Stop::Broken(error)),
            Next::Frame(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => self.pass(data).await,
                Err(frame) => {
                    self.trailers = frame.into_trailers().unwrap_or_default();
                    Ok(())
                }
            },
        }
    }

    async fn pay_for_time(&mut self) -> Result<(), Stop> {
        if self.pipe.is_gone() && !self.till.is_paid(Part::default()) {
            return Err(Stop::Gone);
        }
        match self.till.cover(Part::default()).await {
            Cover::Paid => Ok(()),
            Cover::Lapsed => Err(Stop::Lapsed),
            Cover::Short(_) | Cover::Unknown => self.pause(Part::default()).await,
        }
    }

    /// Hands on bytes, as many at a time as are paid.
    async fn pass(&mut self, data: Bytes) -> Result<(), Stop> {
        let mut rest = match self.held.is_empty() {
            true => data,
            false => [mem::take(&mut self.held), data].concat().into(),
        };
        while !rest.is_empty() {
            match self.till.metering.complete(&rest) {
                Some(part) => self.pass_part(&mut rest, part).await?,
                None => return self.pass_unfinished(rest).await,
            }
        }
        Ok(())
    }

    /// Hands on the largest piece of a part that is paid, or waits until its least piece is.
    async fn pass_part(&mut self, rest: &mut Bytes, part: Part) -> Result<(), Stop> {
        if self.pipe.is_gone() && !self.till.is_paid(part) {
            return Err(Stop::Gone);
        }
        let short = match self.till.cover(part).await {
            Cover::Paid => {
                self.deliver(rest, part).await;
                return Ok(());
            }
            Cover::Lapsed => return Err(Stop::Lapsed),
            Cover::Unknown => return self.pause(part).await,
            Cover::Short(short) => short,
        };
        let metering = &self.till.metering;
        let bytes = &rest[..part.bytes];
        let paid = metering.largest(bytes, |part| self.till.is_within(part, short.reach));
        let Some(paid) = paid else {
            return self.pause(metering.least(bytes)).await;
        };
        match self.till.cover(paid).await {
            Cover::Paid => {
                self.deliver(rest, paid).await;
                Ok(())
            }
            Cover::Lapsed => Err(Stop::Lapsed),
            Cover::Short(_) | Cover::Unknown => self.pause(paid).await,
        }
    }

    /// Hands on the begin of an event at once if the account covers the event, up to [`MAX_EVENT`]. Otherwise keeps the begin until
    /// the event's end has come, and its price is known: nothing can be asked within it, and a client reads no half of one.
    async fn pass_unfinished(&mut self, mut rest: Bytes) -> Result<(), Stop> {
        let is_begin = self.till.metering.is_between_events();
        let event = Part {
            bytes: if is_begin {
                rest.len().max(MAX_EVENT)
            } else {
                rest.len()
            },
            units: 1,
        };
        while self.till.cover(event).await != Cover::Paid {
            if is_begin && rest.len() < MAX_EVENT {
                self.held = rest;
                return Ok(());
            }
            if self.pipe.is_gone() {
                return Err(Stop::Gone);
            }
            self.pause(event).await?;
        }
        let part = Part {
            bytes: rest.len(),
            units: 0,
        };
        self.deliver(&mut rest, part).await;
        Ok(())
    }

    /// Hands on the begin of an event that has no end.
    async fn pass_last(&mut self) -> Result<(), Stop> {
        let mut rest = mem::take(&mut self.held);
        let part = Part {
            bytes: rest.len(),
            units: 1,
        };
        while !rest.is_empty() {
            self.pass_part(&mut rest, part).await?;
        }
        Err(Stop::Whole)
    }

    async fn deliver(&mut self, rest: &mut Bytes, part: Part) {
        let bytes = rest.split_to(part.bytes);
        self.till.metering.add(&bytes, part);
        self.send(bytes).await;
    }

    async fn send(&mut self, bytes: Bytes) {
        let unread = self.till.selling.shared.settings.limits.unread;
        let sending = self.pipe.send(bytes, unread);
        self.till.selling.holding(sending).await;
    }

    /// Waits until a part is paid. The upstream is not read meanwhile, and the time does not count.
    async fn pause(&mut self, part: Part) -> Result<(), Stop> {
        self.till.metering.pause(Instant::now());
        let limits = self.till.selling.shared.settings.limits;
        let deadline = Instant::now() + limits.unpaid;
        let watch = {
            let selling = &self.till.selling;
            selling.shared.seller.watch(&selling.sale)
        };
        let draining = self.till.selling.shared.draining.clone();
        let mut told = None;
        loop {
            let mut credit = pin!(watch.next());
            credit.as_mut().enable();
            match self.till.cover(part).await {
                Cover::Paid => break,
                Cover::Lapsed => return Err(Stop::Lapsed),
                Cover::Short(short) if told != Some(short.missing) => {
                    told = Some(short.missing);
                    let asking = self.ask(&short);
                    // A client that does not read does not pay.
                    if timeout_at(deadline, asking).await.is_err() {
                        return Err(Stop::Unpaid);
                    }
                }
                Cover::Short(_) | Cover::Unknown => {}
            }
            let can_end = self.till.metering.is_between_events();
            let pipe = &self.pipe;
            let waiting = async {
                tokio::select! {
                    () = &mut credit => {}
                    () = sleep(limits.look) => {}
                    () = pipe.gone() => {}
                    () = draining.cancelled(), if can_end => {}
                }
            };
            let waiting = self.till.selling.holding(timeout_at(deadline, waiting));
            if waiting.await.is_err() {
                return Err(Stop::Unpaid);
            }
            if self.pipe.is_gone() {
                return Err(Stop::Gone);
            }
            if can_end && draining.is_cancelled() {
                return Err(Stop::Drained);
            }
        }
        self.till.metering.resume(Instant::now());
        self.body.resume();
        Ok(())
    }

    /// Asks for money, where the answer has a place for it.
    async fn ask(&mut self, short: &Short) {
        if self.till.metering.is_between_events()
            && let Some(wish) = self.till.wish(short).await
        {
            self.send(need_event(&wish)).await;
        }
    }

    /// Settles, and ends the answer. A client must not take a part for the whole, so what is not paid breaks off, except events.
    async fn finish(mut self, stop: Stop, status: StatusCode) {
        let end = match stop {
            Stop::Broken(_) | Stop::Cut => End::Broken,
            _ => End::Answered(status),
        };
        let is_whole = matches!(stop, Stop::Whole);
        let usage = self.till.metering.last(is_whole, Instant::now());
        self.till.selling.leave(usage.bytes);
        let Till {
            selling, metering, ..
        } = &self.till;
        let settled = selling.settle(end, &usage, None).await;
        let unread = selling.shared.settings.limits.unread;
        let can_speak = metering.is_between_events();
        match stop {
            Stop::Whole | Stop::Drained => {}
            Stop::Unpaid if can_speak => {}
            Stop::Broken(error) => return self.pipe.fail(error, unread).await,
            Stop::Unpaid | Stop::Lapsed => {
                return self.pipe.fail(ForwardError::Unpaid, unread).await;
            }
            Stop::Gone | Stop::Cut => return,
        }
        let mut trailers = self.trailers;
        if let Ok(Some(receipt)) = settled {
            selling.write_receipt(&mut trailers, &receipt, status);
            if can_speak && !receipt.released {
                let now = (selling.shared.settings.now)();
                let receipt = stream_receipt(&receipt, selling.sale.protocol(), now);
                self.pipe.send(receipt_event(&receipt), unread).await;
            }
        }
        self.pipe.end(trailers, unread).await;
    }
}
