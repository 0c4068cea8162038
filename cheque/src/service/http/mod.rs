//! An HTTP server with bounds: on connections, on the size of headers, and on every wait.
//!
//! A caller that is not trusted costs a connection and a few kilobytes, for seconds. Where all connections are in use, a new one
//! takes the place of a caller that nobody has trusted yet, first of the address with the most of them. On a port that other
//! machines reach, one address has a bound of its own. So a flood of sockets neither stops the answers nor takes the descriptors of
//! the node and the store.

mod caller;
mod connections;
mod conversation;
mod descriptors;
mod networks;
mod refusals;
mod server;
mod shared;
mod tls;
mod write_timeout;

pub use caller::{Caller, Held};
pub use descriptors::raise_descriptor_limit;
pub use networks::{NetworkError, Networks};
pub use refusals::Refusals;
pub use server::HttpServer;
pub use tls::{Tls, TlsError};

use std::{net::SocketAddr, time::Duration};

/// Connections that are closing, beside those of the bound.
const CLOSING: usize = 32;

/// The bounds of a server. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The number of connections. Fewer if the process may open few descriptors: see [`HttpLimits::within`].
    pub max_connections: usize,
    /// The number of connections from one IPv4 address, or one network of 64 bits of IPv6, whose callers nobody has trusted.
    /// Callers on this machine have no such bound. `None`: nobody has, as for a port that only this machine can reach.
    pub max_strangers: Option<usize>,
    /// The time from connecting to a complete first header, with the handshake of TLS.
    pub first_header: Duration,
    /// The time from an answer to the complete header of the next request. A connection of HTTP/2 without a request ends after
    /// twice this time at the latest.
    pub idle: Duration,
    /// The time that a caller may leave an answer unread; a part of an answer has to be taken within four times this time.
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

#[cfg(test)]
mod tests;
