//! WebSockets: the messages between a client and the upstream, paid while they come.

use super::{
    metered::TICK,
    passing::{SILENT, STOPS, close, closing},
    shared::ProxyLimits,
    socket::{Leaving, Socket},
    till::{Cover, Short, Till},
};
use crate::{
    meter::Part,
    seller::sale::End,
    wire::{MppReceipt, SocketFrame, stream_receipt},
};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use std::{collections::VecDeque, pin::pin};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// The failed payments of a connection, after which it is closed.
const MAX_FAILURES: u32 = 16;

/// The messages of a client that wait for a payment.
const MAX_QUEUE: usize = 64;

/// A WebSocket on sale.
pub(super) struct Relay {
    till: Till,
    client: Socket,
    upstream: Socket,
    leaving: Leaving,
    limits: ProxyLimits,
    /// Messages of the client that came while the connection was not paid, and their bytes.
    queue: VecDeque<Message>,
    queued: usize,
    failures: u32,
    /// The moment of the last message.
    last: Instant,
    /// The next time at which silence is paid.
    tick: Instant,
}

/// A message on its way, with the side that it is for.
enum To {
    Client(Message),
    Upstream(Message),
}

/// The end of a WebSocket.
enum Stop {
    /// The client has closed, or its connection has ended.
    Client(Option<CloseFrame>),
    Upstream(Option<CloseFrame>),
    /// The client wants its receipt.
    Requested,
    Unpaid,
    /// The client sends too much that is not paid, or fails to pay too often.
    Abuse,
    Silent,
    /// The gateway stops, or needs the place.
    Away,
    Lapsed,
}

type Read = Option<Result<Message, tokio_tungstenite::tungstenite::Error>>;

impl Relay {
    /// Relays a WebSocket, and settles at its end. `None`: a side has gone before.
    pub(super) async fn run(till: Till, opened: Option<(Socket, Socket)>, leaving: Leaving) {
        let Some((client, upstream)) = opened else {
            till.settle_socket().await;
            return;
        };
        let limits = till.selling.shared.settings.limits;
        let mut relay = Self {
            till,
            client,
            upstream,
            leaving,
            limits,
            queue: VecDeque::new(),
            queued: 0,
            failures: 0,
            last: Instant::now(),
            tick: Instant::now() + TICK,
        };
        let stop = loop {
            if let Err(stop) = relay.step().await {
                break stop;
            }
        };
        relay.finish(stop).await;
    }

    /// Passes on one message, or pays for silence.
    async fn step(&mut self) -> Result<(), Stop> {
        if let Some(message) = self.queue.pop_front() {
            self.queued -= message.len();
            return self.pass(To::Upstream(message)).await;
        }
        // Of the relay, not of this call: pings must not put it off.
        let tick = self.tick;
        let silent = self.last + self.limits.silence;
        let (client, upstream) = (&mut self.client, &mut self.upstream);
        let leaving = &self.leaving;
        let reading = async {
            tokio::select! {
                read = client.next() => Ok(Some((true, read))),
                read = upstream.next() => Ok(Some((false, read))),
                () = sleep_until(tick) => Ok(None),
                () = leaving.wanted() => Err(Stop::Away),
            }
        };
        match self.till.selling.holding(reading).await? {
            None if Instant::now() >= silent => Err(Stop::Silent),
            None => {
                self.tick = Instant::now() + TICK;
                self.pay(Part::default()).await
            }
            Some((true, read)) => match self.of_client(read).await? {
                Some(message) => self.pass(To::Upstream(message)).await,
                None => Ok(()),
            },
            Some((false, read)) => match read {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    self.pass(To::Client(message)).await
                }
                Some(Ok(Message::Close(frame))) => Err(Stop::Upstream(frame)),
                Some(Ok(_)) => Ok(()),
                Some(Err(_)) | None => Err(Stop::Upstream(None)),
            },
        }
    }

    /// Reads a message of the client: answers payments, and returns application data.
    async fn of_client(&mut self, read: Read) -> Result<Option<Message>, Stop> {
        let text = match read {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(message @ Message::Binary(_))) => return Ok(Some(message)),
            Some(Ok(Message::Close(frame))) => return Err(Stop::Client(frame)),
            Some(Ok(_)) => return Ok(None),
            Some(Err(_)) | None => return Err(Stop::Client(None)),
        };
        match SocketFrame::decode(&text) {
            None => Ok(Some(Message::Text(text))),
            Some(SocketFrame::Message { data }) => Ok(Some(Message::text(data))),
            Some(SocketFrame::PaymentCloseRequest) => Err(Stop::Requested),
            Some(SocketFrame::Authorization { authorization }) => {
                self.take_payment(&authorization).await?;
                Ok(None)
            }
            // Messages of a server mean nothing from a client.
            Some(_) => Ok(None),
        }
    }

    async fn take_payment(&mut self, authorization: &str) -> Result<(), Stop> {
        let selling = &mut self.till.selling;
        let (shared, sale) = (selling.shared.clone(), selling.sale.clone());
        let now = (shared.settings.now)();
        let taking = shared.seller.top_up_within(&sale, authorization, now);
        match selling.holding(taking).await {
            Ok(None) => Ok(()),
            Ok(Some(data)) => self.tell(SocketFrame::PaymentReceipt { data }).await,
            Err((status, message)) => {
                self.failures += 1;
                let status = status.as_u16();
                self.tell(SocketFrame::PaymentError { status, message })
                    .await?;
                match self.failures < MAX_FAILURES {
                    true => Ok(()),
                    false => Err(Stop::Abuse),
                }
            }
        }
    }

    /// Passes on a message once it is paid.
    async fn pass(&mut self, to: To) -> Result<(), Stop> {
        let (To::Client(message) | To::Upstream(message)) = &to;
        let part = Part {
            bytes: message.len(),
            units: 1,
        };
        self.pay(part).await?;
        self.last = Instant::now();
        match to {
            To::Upstream(message) => {
                self.till.metering.count(part);
                let sending = timeout(self.limits.unread, self.upstream.send(message));
                match self.till.selling.holding(sending).await {
                    Ok(Ok(())) => Ok(()),
                    _ => Err(Stop::Upstream(None)),
                }
            }
            To::Client(message) => {
                self.till.metering.count(part);
                match message {
                    Message::Text(text) => {
                        let data = text.to_string();
                        self.tell(SocketFrame::Message { data }).await
                    }
                    other => self.send(other).await,
                }
            }
        }
    }

    async fn pay(&mut self, part: Part) -> Result<(), Stop> {
        match self.till.cover(part).await {
            Cover::Paid => Ok(()),
            Cover::Lapsed => Err(Stop::Lapsed),
            Cover::Short(_) | Cover::Unknown => self.pause(part).await,
        }
    }

    /// Waits until a part is paid. The upstream is not read meanwhile; the client is, because its messages pay.
    async fn pause(&mut self, part: Part) -> Result<(), Stop> {
        self.till.metering.pause(Instant::now());
        let deadline = Instant::now() + self.limits.unpaid;
        let watch = {
            let selling = &self.till.selling;
            selling.shared.seller.watch(&selling.sale)
        };
        let mut told = None;
        loop {
            let mut credit = pin!(watch.next());
            credit.as_mut().enable();
            match self.till.cover(part).await {
                Cover::Paid => break,
                Cover::Lapsed => return Err(Stop::Lapsed),
                Cover::Short(short) if told != Some(short.missing) => {
                    told = Some(short.missing);
                    let asked = timeout_at(deadline, self.ask(&short)).await;
                    asked.map_err(|_| Stop::Unpaid)??;
                }
                Cover::Short(_) | Cover::Unknown => {}
            }
            let (client, leaving) = (&mut self.client, &self.leaving);
            let waiting = async {
                tokio::select! {
                    () = &mut credit => Ok(None),
                    () = sleep(self.limits.look) => Ok(None),
                    read = client.next() => Ok(Some(read)),
                    () = leaving.wanted() => Err(Stop::Away),
                }
            };
            let waiting = self.till.selling.holding(timeout_at(deadline, waiting));
            let read = waiting.await.map_err(|_| Stop::Unpaid)??;
            if let Some(read) = read
                && let Some(message) = self.of_client(read).await?
            {
                self.queued += message.len();
                self.queue.push_back(message);
                if self.queued > self.limits.max_message || self.queue.len() > MAX_QUEUE {
                    return Err(Stop::Abuse);
                }
            }
        }
        self.till.metering.resume(Instant::now());
        Ok(())
    }

    async fn ask(&mut self, short: &Short) -> Result<(), Stop> {
        match self.till.wish(short).await {
            Some(data) => self.tell(SocketFrame::PaymentNeedVoucher { data }).await,
            None => Ok(()),
        }
    }

    async fn tell(&mut self, frame: SocketFrame) -> Result<(), Stop> {
        self.send(Message::text(frame.encode())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Stop> {
        let sending = timeout(self.limits.unread, self.client.send(message));
        match self.till.selling.holding(sending).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Stop::Client(None)),
        }
    }

    /// Settles, tells the client, and closes both sides.
    async fn finish(mut self, stop: Stop) {
        let receipt = self.till.settle_socket().await;
        let error = |status: StatusCode, message: &str| {
            let (status, message) = (status.as_u16(), message.to_owned());
            Some(SocketFrame::PaymentError { status, message })
        };
        let (error, frame) = match &stop {
            Stop::Client(_) => (None, None),
            Stop::Upstream(Some(frame)) => (None, Some(frame.clone())),
            Stop::Upstream(None) => (None, closing(CloseCode::Error, "the upstream has gone")),
            Stop::Requested => (None, closing(CloseCode::Normal, "")),
            Stop::Unpaid => (
                error(
                    StatusCode::PAYMENT_REQUIRED,
                    "the next message was not paid in time",
                ),
                closing(CloseCode::Policy, "not paid"),
            ),
            Stop::Abuse => (
                error(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many unpaid messages, or failed payments",
                ),
                closing(CloseCode::Policy, "too much"),
            ),
            Stop::Silent => (None, closing(CloseCode::Away, SILENT)),
            Stop::Away => (None, closing(CloseCode::Away, STOPS)),
            Stop::Lapsed => (
                error(StatusCode::SERVICE_UNAVAILABLE, "the sale has ended"),
                closing(CloseCode::Error, "the sale has ended"),
            ),
        };
        if let Stop::Client(frame) = stop {
            close(&mut self.upstream, frame, &self.limits).await;
        } else {
            let last = receipt.map(|data| match stop {
                Stop::Requested => SocketFrame::PaymentCloseReady { data },
                _ => SocketFrame::PaymentReceipt { data },
            });
            for frame in [error, last].into_iter().flatten() {
                let message = Message::text(frame.encode());
                let _ = timeout(self.limits.unread, self.client.send(message)).await;
            }
            close(&mut self.upstream, None, &self.limits).await;
        }
        close(&mut self.client, frame, &self.limits).await;
    }
}

impl Till {
    /// Charges what a WebSocket has used.
    async fn settle_socket(&self) -> Option<MppReceipt> {
        let usage = self.metering.last(true, Instant::now());
        let end = End::Answered(StatusCode::SWITCHING_PROTOCOLS);
        let receipt = self.selling.settle(end, &usage, None).await.ok()??;
        let now = (self.selling.shared.settings.now)();
        Some(stream_receipt(&receipt, self.selling.sale.protocol(), now))
    }
}
