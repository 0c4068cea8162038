//! One connection, from its first byte to its last.

use super::{
    caller::Caller,
    connections::{AnswerClock, Busy, Connection},
    shared::{Accepted, Shared},
    write_timeout::WriteTimeout,
};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    error::Error,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout},
};
use tower::Service;

/// Requests that a caller may have open on one connection of HTTP/2.
const MAX_STREAMS: u32 = 128;

/// The bytes that a caller may send ahead of the reader, in one body and in all of a connection of HTTP/2.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// The bytes of answers that wait for a caller, of each request on a connection of HTTP/2.
const SEND_BUFFER: usize = 64 << 10;

/// A caller that takes a part of an answer, however slowly, has this many times the limit of one that takes nothing.
const SLOWNESS: u32 = 4;

/// The time that a connection of HTTP/2 has to answer a ping.
const PONG: Duration = Duration::from_secs(20);

/// Answers the requests of one connection.
pub(super) async fn answer<S, B>(
    shared: Arc<Shared>,
    accepted: Accepted,
    service: S,
    stopping: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Accepted {
        stream,
        peer,
        place,
    } = accepted;
    let connection = Arc::clone(place.slot.connection());
    let caller = Caller::new(place, peer.ip(), shared.tls.is_some());
    let stream = WriteTimeout::new(stream, shared.limits.unread);
    let Some(acceptor) = &shared.tls else {
        return talk(&shared, &connection, caller, stream, service, stopping).await;
    };
    let mut handshake = pin!(timeout(shared.limits.first_header, acceptor.accept(stream)));
    let mut stopped = stopping.clone();
    let shaken = tokio::select! {
        biased;
        () = connection.evicted() => return,
        _ = stopped.wait_for(|stop| *stop) => return,
        shaken = &mut handshake => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => talk(&shared, &connection, caller, stream, service, stopping).await,
        Ok(Err(_)) => shared.refusals.count("not_tls"),
        Err(_) => shared.refusals.count("slow_header"),
    }
}

async fn talk<S, B>(
    shared: &Shared,
    connection: &Arc<Connection>,
    caller: Caller,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    service: S,
    mut stopping: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limits = &shared.limits;
    let service = TowerToHyperService::new(service);
    let tracked = {
        let connection = Arc::clone(connection);
        service_fn(move |mut request: Request<Incoming>| {
            let (busy, clock) = (Connection::begin(&connection), connection.clock());
            request.extensions_mut().insert(caller.clone());
            let answered = service.call(request);
            async move {
                let response: Response<B> = answered.await?;
                Ok::<_, Infallible>(response.map(|body| Answer {
                    body,
                    clock,
                    _busy: busy,
                }))
            }
        })
    };
    let builder = builder(shared);
    let mut served = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), tracked));
    let mut first = pin!(sleep(limits.first_header));
    let mut idle = every(limits.idle);
    let mut unread = every(limits.unread);
    let (mut has_called, mut is_ending, mut seen) = (false, false, 0);
    loop {
        tokio::select! {
            biased;
            () = connection.evicted() => return,
            _ = stopping.wait_for(|stop| *stop), if !is_ending => {
                is_ending = true;
                if !connection.has_called() {
                    return;
                }
                served.as_mut().graceful_shutdown();
            }
            () = &mut first, if !has_called => {
                has_called = connection.has_called();
                if !has_called {
                    shared.refusals.count("slow_header");
                    return;
                }
            }
            // A caller of HTTP/2 may keep its connection alive and take nothing.
            _ = unread.tick() => {
                if connection.has_unread(limits.unread.saturating_mul(SLOWNESS)) {
                    shared.refusals.count("unread");
                    return;
                }
            }
            // HTTP/2 has no timer of its own for a connection without requests.
            _ = idle.tick() => {
                let requests = connection.requests();
                if requests > 0 && requests == seen && !connection.is_busy() {
                    if is_ending {
                        return;
                    }
                    is_ending = true;
                    served.as_mut().graceful_shutdown();
                }
                seen = requests;
            }
            ended = served.as_mut() => {
                if let Err(error) = ended
                    && let Some(reason) = reason(&*error, connection.has_called())
                {
                    shared.refusals.count(reason);
                }
                return;
            }
        }
    }
}

fn builder(shared: &Shared) -> auto::Builder<TokioExecutor> {
    let limits = &shared.limits;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.max_header);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_header).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(limits.idle)
        .keep_alive_timeout(PONG);
    builder
}

/// Ticks each `pause`, the first time after it.
fn every(pause: Duration) -> Interval {
    let mut interval = interval(pause.max(Duration::from_millis(1)));
    interval.reset();
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The reason why a connection ended, if the server has ended it.
fn reason(error: &(dyn Error + Send + Sync + 'static), has_called: bool) -> Option<&'static str> {
    let error = error.downcast_ref::<hyper::Error>()?;
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    let cause = cause.map(io::Error::kind);
    if error.is_parse_too_large() {
        Some("large_header")
    } else if error.is_parse() {
        Some("not_http")
    } else if error.is_timeout() {
        // An idle connection between two requests is usual.
        (!has_called).then_some("slow_header")
    } else if cause == Some(io::ErrorKind::TimedOut) {
        Some("unread")
    } else {
        None
    }
}

/// An answer's body. The connection is busy until the body is sent or dropped.
struct Answer<B> {
    body: B,
    clock: Arc<AnswerClock>,
    _busy: Busy,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let has_part = matches!(polled, Poll::Ready(Some(_)));
        self.clock.set(has_part.then(Instant::now));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
