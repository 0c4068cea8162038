//! The caller of a request: the other end of its connection.

use super::connections::{Busy, Connection, Slot};
use std::{fmt, net::IpAddr, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// A connection's place among those of the server, and its descriptor.
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// The connection of a request, as an extension of the request.
#[derive(Clone)]
pub struct Caller {
    place: Arc<Place>,
    address: IpAddr,
    is_secure: bool,
}

/// A connection that goes on after its last request, by another protocol.
pub struct Held {
    caller: Caller,
    _busy: Busy,
}

impl Caller {
    pub(super) fn new(place: Place, address: IpAddr, is_secure: bool) -> Self {
        let place = Arc::new(place);
        Self {
            place,
            address,
            is_secure,
        }
    }

    /// Returns the address from which the connection comes.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// True if the connection has TLS.
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Records that the caller has shown a token or paid, or needs to do neither. Its connection then makes room for a new one
    /// only between two requests, and only where no stranger could.
    pub fn trust(&self) {
        self.connection().trust();
    }

    /// Keeps the connection's place, and counts it as busy, until the value is dropped.
    pub fn hold(self) -> Held {
        let busy = Connection::begin(self.connection());
        Held {
            caller: self,
            _busy: busy,
        }
    }

    fn connection(&self) -> &Arc<Connection> {
        self.place.slot.connection()
    }
}

impl Held {
    /// Waits until the connection has to make room.
    pub async fn evicted(&self) {
        self.caller.connection().evicted().await;
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("address", &self.address)
            .field("is_secure", &self.is_secure)
            .finish_non_exhaustive()
    }
}
