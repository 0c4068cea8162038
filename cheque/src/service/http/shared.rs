//! What the connections of a server share.

use super::{HttpLimits, Networks, Refusals, caller::Place, connections::Connections};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// What all connections share.
pub(super) struct Shared {
    pub(super) limits: HttpLimits,
    pub(super) refusals: Refusals,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) connections: Connections,
    pub(super) proxies: Networks,
}

/// A connection that has a place.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
}
