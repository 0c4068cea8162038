//! WebSockets: messages that need no payment one by one, and the closing of both sides.

use super::{
    shared::ProxyLimits,
    socket::{Leaving, Socket},
};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{
    Message, Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// The time for a side to close, too.
const CLOSING: Duration = Duration::from_secs(2);

/// Reasons of the gateway's own to close.
pub(super) const SILENT: &str = "no message for too long";
pub(super) const STOPS: &str = "the gateway stops, or needs the place";

/// Passes on the messages of a WebSocket that is paid, or costs nothing, until a side closes.
pub(super) async fn pass_on(
    mut client: Socket,
    mut upstream: Socket,
    leaving: &Leaving,
    limits: &ProxyLimits,
) {
    let mut last = Instant::now();
    let away = loop {
        let (is_client, read) = tokio::select! {
            read = client.next() => (true, read),
            read = upstream.next() => (false, read),
            () = sleep_until(last + limits.silence) => break closing(CloseCode::Away, SILENT),
            () = leaving.wanted() => break closing(CloseCode::Away, STOPS),
        };
        let to = if is_client {
            &mut upstream
        } else {
            &mut client
        };
        match read {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                last = Instant::now();
                let sent = timeout(limits.unread, to.send(message)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    break None;
                }
            }
            // The library answers these. They break no silence.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(frame))) => {
                close(to, frame, limits).await;
                break None;
            }
            Some(Err(_)) | None => break None,
        }
    };
    close(&mut client, away, limits).await;
    close(&mut upstream, None, limits).await;
}

pub(super) fn closing(code: CloseCode, reason: &'static str) -> Option<CloseFrame> {
    let reason = Utf8Bytes::from_static(reason);
    Some(CloseFrame { code, reason })
}

/// Closes a side, and waits a moment for its own closing, so that the last messages arrive.
pub(super) async fn close(socket: &mut Socket, frame: Option<CloseFrame>, limits: &ProxyLimits) {
    let closing = async {
        if socket.close(frame).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let patience = limits.unread.min(CLOSING);
    let _ = timeout(patience, closing).await;
}
