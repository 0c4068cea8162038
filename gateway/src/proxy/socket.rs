//! Connections that become WebSockets.

use super::{
    body::ProxyBody,
    shared::{HEAD_BYTES, ProxyLimits, Shared},
};
use crate::{forward::Origin, offers::Work, seller::request::Offer};
use cheque::service::http::{Caller, Held};
use http::{
    Extensions, HeaderValue, Response, StatusCode,
    header::{CONNECTION, UPGRADE},
    request::Parts,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::{future::pending, time::Duration};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

/// The time for both connections to become WebSockets, after the answer 101.
const OPENING: Duration = Duration::from_secs(10);

/// The buffers of a connection. Larger messages are held as they are, up to the limit.
const BUFFER: usize = 4 << 10;

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The most that a WebSocket uses of the capacity, and the memory that its handshake holds while it waits.
pub(super) fn demand(offer: &Offer, limits: &ProxyLimits) -> (Work, u64) {
    let held = HEAD_BYTES.saturating_add(memory(limits) as u64);
    (*offer.work(), held)
}

/// A request for a WebSocket.
pub(super) struct Wanted {
    pub(super) head: Parts,
    pub(super) origin: Origin,
    pub(super) client: OnUpgrade,
    pub(super) leaving: Leaving,
}

/// The connection of a WebSocket in the host's server, and the host's wishes that it ends.
pub(super) struct Leaving {
    /// The place of the connection, which the server gives up with the upgrade.
    held: Option<Held>,
    caller: Option<Caller>,
    draining: CancellationToken,
}

impl Leaving {
    /// Keeps the connection's place, if the host's server is one with places.
    pub(super) fn new(shared: &Shared, extensions: &mut Extensions) -> Self {
        let caller: Option<Caller> = extensions.remove();
        Self {
            held: caller.clone().map(Caller::hold),
            caller,
            draining: shared.draining.clone(),
        }
    }

    /// Records that the client has paid.
    pub(super) fn trust(&self) {
        if let Some(caller) = &self.caller {
            caller.trust();
        }
    }

    /// Waits until the server wants the connection's place, or stops.
    pub(super) async fn wanted(&self) {
        let evicted = async {
            match &self.held {
                Some(held) => held.evicted().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = evicted => {}
            () = self.draining.cancelled() => {}
        }
    }
}

/// Returns the bytes of a WebSocket's messages: in either direction one half read, one on its way, and some that are not paid.
pub(super) const fn memory(limits: &ProxyLimits) -> usize {
    4 * limits.max_message
}

/// Waits for a connection to become a WebSocket.
pub(super) async fn socket(upgrade: OnUpgrade, role: Role, limits: &ProxyLimits) -> Option<Socket> {
    let upgraded = timeout(OPENING, upgrade).await.ok()?.ok()?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        // A message of JSON takes up to six times the bytes of its text.
        .max_write_buffer_size(8 * limits.max_message + 2 * BUFFER)
        .max_message_size(Some(limits.max_message))
        .max_frame_size(Some(limits.max_message));
    let stream = TokioIo::new(upgraded);
    Some(WebSocketStream::from_raw_socket(stream, role, Some(config)).await)
}

/// Completes an answer 101.
pub(super) fn switched(mut response: Response<ProxyBody>) -> Response<ProxyBody> {
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = [(CONNECTION, "upgrade"), (UPGRADE, "websocket")];
    for (name, value) in fields {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
