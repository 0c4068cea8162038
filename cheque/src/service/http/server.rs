//! The loop that accepts connections.

use super::{
    CLOSING, HttpLimits, Networks, Refusals, Tls,
    caller::Place,
    connections::{Connections, MadeRoom, Slot, Source},
    conversation::answer,
    descriptors::is_shortage,
    shared::{Accepted, Shared},
};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::sleep,
};
use tower::Service;

/// The pause after a failure to accept, so that the server does not spin until the cause has passed.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer on a connection above the bound.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
connection: close\r\ncontent-length: 73\r\n\r\n{\"error\":\"all connections are in use; try again\",\"code\":\"too_many_calls\"}";

/// A server of HTTP/1.1 and HTTP/2, with bounds.
#[derive(Clone, Debug)]
pub struct HttpServer {
    limits: HttpLimits,
    refusals: Refusals,
    tls: Option<Tls>,
    proxies: Networks,
}

impl HttpServer {
    /// A server within these limits, which counts refused callers in `refusals`.
    pub fn new(limits: HttpLimits, refusals: Refusals) -> Self {
        Self {
            limits,
            refusals,
            tls: None,
            proxies: Networks::default(),
        }
    }

    /// Speaks TLS alone, by this certificate.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Trusts connections from these reverse proxies, which bound their own callers.
    #[must_use]
    pub fn behind(mut self, proxies: Networks) -> Self {
        self.proxies = proxies;
        self
    }

    /// Answers requests by `service` until `stop` resolves; then finishes open requests, without a deadline. Drop the future to
    /// end at once.
    ///
    /// Each request has a [`Caller`](super::Caller) among its extensions, to [trust](super::Caller::trust).
    pub async fn serve<S, B>(
        self,
        listener: TcpListener,
        service: S,
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
        let limits = self.limits;
        let permits = Arc::new(Semaphore::new(
            limits.max_connections.saturating_add(CLOSING),
        ));
        let shared = Arc::new(Shared {
            limits,
            refusals: self.refusals,
            tls: self.tls.map(|tls| tls.acceptor()),
            connections: Connections::new(limits.max_connections, limits.max_strangers),
            proxies: self.proxies,
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
                        let place = Place { slot, _permit: permit };
                        let accepted = Accepted { stream, peer, place };
                        let (shared, service) = (Arc::clone(&shared), service.clone());
                        open.spawn(answer(shared, accepted, service, stopping.clone()));
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
    pub(super) fn on_accept_error(&self, error: &io::Error) -> Option<Duration> {
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
    let is_proxy = shared.proxies.contain(peer.ip());
    let admitted = shared.connections.admit(Source::of(peer.ip()), is_proxy);
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
