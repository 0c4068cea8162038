//! An HTTP server with bounds: on connections, on the size of headers, and on every wait.
//!
//! A caller without the token costs a connection and a few kilobytes, for seconds. Where all connections are in use, a new one
//! takes the place of a caller that has shown no token yet, first of the address with the most of them. On a port that other
//! machines reach, one address has a bound of its own. So a flood of sockets neither stops the answers nor takes the descriptors of
//! the node and the store.

mod connections;
mod descriptors;
mod refusals;
mod write_timeout;

pub use connections::Caller;
pub use descriptors::raise_descriptor_limit;
pub use refusals::Refusals;

use connections::{Connection, Connections, MadeRoom, Slot, Source};
use descriptors::is_shortage;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::sleep,
};
use tower::Service;
use write_timeout::WriteTimeout;

/// Connections that are closing, beside those of the bound.
const CLOSING: usize = 32;

/// The pause after a failure to accept, so that the server does not spin until the cause has passed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer on a connection above the bound.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
connection: close\r\ncontent-length: 73\r\n\r\n{\"error\":\"all connections are in use; try again\",\"code\":\"too_many_calls\"}";

/// The bounds of a server. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The number of connections. Fewer if the process may open few descriptors: see [`HttpLimits::within`].
    pub max_connections: usize,
    /// The number of connections from one IPv4 address, or one network of 64 bits of IPv6, whose callers have not shown the token.
    /// Callers on this machine have no such bound. `None`: nobody has, as for a port that only this machine can reach.
    pub max_strangers: Option<usize>,
    /// The time from connecting to a complete first header.
    pub first_header: Duration,
    /// The time from an answer to the complete header of the next request.
    pub idle: Duration,
    /// The time that a caller may leave an answer unread.
    pub unread: Duration,
    /// The bytes of a header, at least 8,192.
    pub max_header: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_strangers: None,
            first_header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            unread: Duration::from_secs(30),
            max_header: 16 << 10,
        }
    }
}

impl HttpLimits {
    /// Lowers the number of connections so that they leave descriptors for the node, the relays and the store, of the
    /// `descriptors` that the process may open.
    #[must_use]
    pub fn within(mut self, descriptors: u64) -> Self {
        let left = descriptors::left_for_callers(descriptors);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.max_connections = self
            .max_connections
            .min(left.saturating_sub(CLOSING).max(1));
        self
    }

    /// Leaves a single stranger a quarter of the connections, if other machines can reach the address of the listener.
    #[must_use]
    pub const fn facing(mut self, listener: SocketAddr) -> Self {
        if !listener.ip().to_canonical().is_loopback() {
            let quarter = self.max_connections / 4;
            self.max_strangers = Some(if quarter > 0 { quarter } else { 1 });
        }
        self
    }
}

/// What all connections share.
struct Shared {
    limits: HttpLimits,
    connections: Connections,
    refusals: Refusals,
}

/// Answers requests by `service` until `stop` resolves; then finishes open requests, without a deadline. Drop the future to end
/// at once. HTTP/1 only.
///
/// Each request has a [`Caller`] among its extensions, for the gate to [trust](Caller::trust).
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: HttpLimits,
    refusals: Refusals,
    stop: impl Future<Output = ()>,
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
    let permits = Arc::new(Semaphore::new(
        limits.max_connections.saturating_add(CLOSING),
    ));
    let shared = Arc::new(Shared {
        limits,
        connections: Connections::new(limits.max_connections, limits.max_strangers),
        refusals,
    });
    let (stopped, stopping) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = open.join_next() => {}
            (stream, peer, permit) = accept(&listener, &permits, &shared) => {
                if let Some(slot) = admit(&shared, peer, &stream) {
                    let (shared, service) = (Arc::clone(&shared), service.clone());
                    open.spawn(answer(shared, slot, stream, service, stopping.clone(), permit));
                } else {
                    refuse(stream);
                }
            }
        }
    }
    drop(listener);
    stopped.send_replace(true);
    while open.join_next().await.is_some() {}
}

/// Accepts the next connection, once a closing one has given up its descriptor.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    shared: &Shared,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                if let Some(pause) = shared.on_accept_error(&error) {
                    sleep(pause).await;
                }
            }
        }
    }
}

impl Shared {
    /// Counts a failure to accept. Closes a connection only where that helps: to give a descriptor or memory to the next. Returns
    /// the pause before another try.
    fn on_accept_error(&self, error: &io::Error) -> Option<Duration> {
        // The caller has gone.
        if is_of_caller(error) {
            return None;
        }
        if is_shortage(error) {
            self.refusals.count("descriptors");
            self.connections.evict();
        } else {
            // A firewall or the network, such as EPERM and ENETDOWN.
            self.refusals.count("accept_failed");
        }
        Some(ACCEPT_PAUSE)
    }
}

fn is_of_caller(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Gives a new connection a place, if need be that of another.
fn admit(shared: &Shared, peer: SocketAddr, stream: &TcpStream) -> Option<Slot> {
    let admitted = shared.connections.admit(Source::of(peer.ip()));
    match &admitted {
        Some((_, Some(MadeRoom::Full))) => shared.refusals.count("evicted"),
        Some((_, Some(MadeRoom::OfSource))) => shared.refusals.count("many_of_address"),
        Some((_, None)) => {}
        None => shared.refusals.count("too_many_calls"),
    }
    // An answer is one write, so there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    Some(admitted?.0)
}

/// Tells a caller that there is no room, as far as it listens.
fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(FULL);
    }
}

/// Answers the requests of one connection.
async fn answer<S, B>(
    shared: Arc<Shared>,
    slot: Slot,
    stream: TcpStream,
    service: S,
    mut stopping: watch::Receiver<bool>,
    _permit: Option<OwnedSemaphorePermit>,
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
    let (limits, connection) = (shared.limits, Arc::clone(slot.connection()));
    let service = TowerToHyperService::new(service);
    let tracked = {
        let connection = Arc::clone(&connection);
        service_fn(move |mut request: Request<Incoming>| {
            let busy = Connection::begin(&connection);
            let caller = Caller::new(Arc::clone(&connection));
            request.extensions_mut().insert(caller);
            let answered = hyper::service::Service::call(&service, request);
            async move {
                let response: Response<B> = answered.await?;
                Ok::<_, Infallible>(response.map(|body| Answer { body, _busy: busy }))
            }
        })
    };
    let io = TokioIo::new(WriteTimeout::new(stream, limits.unread));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.max_header)
        .serve_connection(io, tracked);
    let mut served = pin!(served);
    let mut first = pin!(sleep(limits.first_header));
    let (mut has_called, mut is_ending) = (false, false);
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
            ended = served.as_mut() => {
                if let Err(error) = ended
                    && let Some(reason) = reason(&error, connection.has_called())
                {
                    shared.refusals.count(reason);
                }
                return;
            }
        }
    }
}

/// The reason why a connection ended, if the server has ended it.
fn reason(error: &hyper::Error, has_called: bool) -> Option<&'static str> {
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
    _busy: connections::Busy,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
