//! Bodies of requests, read whole, and of answers.

use crate::forward::{AnswerBody, ForwardError};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// An answer's body.
pub type ProxyBody = UnsyncBoxBody<Bytes, ForwardError>;

/// The time for a client to send its whole body.
const UPLOAD: Duration = Duration::from_secs(60);

/// Frames of an answer on their way from the sale's task to the client.
const IN_FLIGHT: usize = 8;

/// A body that was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    Slow,
    Broken,
}

/// Reads a client's whole body, of at most `max` bytes.
pub(super) async fn collect<B>(body: B, max: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if body.size_hint().lower() > max as u64 {
        return Err(Unread::TooLarge);
    }
    match timeout(UPLOAD, Limited::new(body, max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::Slow),
    }
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

/// The amount of a streamed answer, and whether it came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Streamed {
    pub(super) bytes: u64,
    pub(super) is_whole: bool,
}

impl Pipe {
    /// Hands an answer to the client as it comes, and waits for its end. A client that has gone changes nothing: the rest is
    /// read and counted. A client that does not read for `unread` counts as gone.
    pub(super) async fn carry(&mut self, mut body: AnswerBody, unread: Duration) -> Streamed {
        let mut streamed = Streamed::default();
        while let Some(frame) = body.frame().await {
            let is_error = frame.is_err();
            if let Ok(frame) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                streamed.bytes = streamed.bytes.saturating_add(bytes as u64);
            }
            if let Some(sender) = &self.client
                && !matches!(timeout(unread, sender.send(frame)).await, Ok(Ok(())))
            {
                self.client = None;
            }
            if is_error {
                return streamed;
            }
        }
        streamed.is_whole = true;
        streamed
    }

    /// Ends the answer with trailers.
    pub(super) async fn end(self, trailers: HeaderMap) {
        if let Some(client) = self.client {
            let _ = client.send(Ok(Frame::trailers(trailers))).await;
        }
    }
}
