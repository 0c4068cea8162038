//! Bodies of requests, read whole, and of answers.

use super::budget::Share;
use crate::forward::{AnswerBody, ForwardError};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// An answer's body.
pub type ProxyBody = UnsyncBoxBody<Bytes, ForwardError>;

/// Frames of an answer on their way from the sale's task to the client. Few: they are memory that a slow client holds.
const IN_FLIGHT: usize = 2;

/// A body that was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    Slow,
    Broken,
    /// All bodies together fill the gateway's memory.
    Full,
}

/// Reads a client's whole body, of at most `max` bytes and `within` a time. The share grows as bytes come: an announced length
/// alone takes nothing.
pub(super) async fn collect<B>(
    body: B,
    max: usize,
    share: Share,
    within: Duration,
) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > max as u64 {
        return Err(Unread::TooLarge);
    }
    let collected = timeout(within, gather(body, max, share)).await;
    collected.unwrap_or(Err(Unread::Slow))
}

async fn gather<B>(mut body: B, max: usize, mut share: Share) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        let length = read.len().saturating_add(data.len());
        if length > max {
            return Err(Unread::TooLarge);
        }
        if length > read.capacity() {
            let capacity = length.max(2 * read.capacity()).min(max);
            if !share.grow(capacity) {
                return Err(Unread::Full);
            }
            read.reserve_exact(capacity - read.len());
        }
        read.extend_from_slice(&data);
    }
    Ok(share.hold(read))
}

pub(super) fn full(bytes: Bytes) -> ProxyBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// What was read of an answer.
#[derive(Debug)]
pub(super) enum ReadBody {
    Whole(Bytes),
    /// The answer is longer. All of it, with the part that was read.
    Longer(Resumed),
}

/// Reads an answer of at most `max` bytes. Keeps nothing of a longer one but its first `max` bytes and a frame.
pub(super) async fn read(mut body: AnswerBody, max: usize) -> Result<ReadBody, ForwardError> {
    let mut bytes = BytesMut::new();
    while bytes.len() <= max {
        match body.frame().await.transpose()? {
            Some(frame) => {
                // Trailers end a body, and belong to the connection.
                if let Ok(data) = frame.into_data() {
                    bytes.extend_from_slice(&data);
                }
            }
            None => return Ok(ReadBody::Whole(bytes.freeze())),
        }
    }
    let read = Some(bytes.freeze());
    Ok(ReadBody::Longer(Resumed { read, body }))
}

/// A body of which a part was read.
#[derive(Debug)]
pub(super) struct Resumed {
    read: Option<Bytes>,
    body: AnswerBody,
}

impl Body for Resumed {
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        match self.read.take() {
            Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
            None => Pin::new(&mut self.body).poll_frame(context),
        }
    }
}

/// The client's end of a streamed answer.
#[derive(Debug)]
pub(super) struct Piped(mpsc::Receiver<Result<Frame<Bytes>, ForwardError>>);

/// The sale's end of a streamed answer.
#[derive(Debug)]
pub(super) struct Pipe {
    /// None once the client has gone.
    client: Option<mpsc::Sender<Result<Frame<Bytes>, ForwardError>>>,
}

pub(super) fn pipe() -> (Pipe, Piped) {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let client = Some(sender);
    (Pipe { client }, Piped(receiver))
}

impl Body for Piped {
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        self.0.poll_recv(context)
    }
}

impl Pipe {
    /// True if the client does not read any further part.
    pub(super) fn is_gone(&self) -> bool {
        self.client.as_ref().is_none_or(mpsc::Sender::is_closed)
    }

    /// Waits until the client has gone.
    pub(super) async fn gone(&self) {
        if let Some(client) = &self.client {
            client.closed().await;
        }
    }

    /// Hands a part to the client. A client that does not take it for `unread` counts as gone.
    pub(super) async fn send(&mut self, part: Bytes, unread: Duration) {
        self.put(Ok(Frame::data(part)), unread).await;
    }

    /// Ends the answer with trailers.
    pub(super) async fn end(mut self, trailers: HeaderMap, unread: Duration) {
        self.put(Ok(Frame::trailers(trailers)), unread).await;
    }

    /// Breaks the answer off, so that the client does not take its part for the whole.
    pub(super) async fn fail(mut self, error: ForwardError, unread: Duration) {
        self.put(Err(error), unread).await;
    }

    async fn put(&mut self, frame: Result<Frame<Bytes>, ForwardError>, unread: Duration) {
        if let Some(client) = &self.client
            && !matches!(timeout(unread, client.send(frame)).await, Ok(Ok(())))
        {
            self.client = None;
        }
    }
}
